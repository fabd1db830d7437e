// A file of customers as people have it, a table of text, turned into the rows that the service takes. No requests here.

import { say } from "./words.js";

/** What the usual columns are called, in small letters. Every other column is a field under its own name. */
const COLUMNS = {
  id: ["id", "编号", "客户编号"],
  name: ["name", "customer", "company", "名称", "客户名称", "姓名", "公司", "公司名称", "客户"],
  priority: ["priority", "优先级"],
  phone: ["phone", "telephone", "tel", "mobile", "电话", "手机", "手机号", "联系电话"],
  email: ["email", "e-mail", "mail", "邮箱", "电子邮箱"],
  city: ["city", "城市"],
  address: ["address", "地址"],
  contact: ["contact", "联系人"],
  industry: ["industry", "行业"],
};
const OF_THE_ROW = new Set(["id", "name", "priority"]);

/** The text of a file, in UTF-8 or as Chinese spreadsheets write it. */
export async function textOf(file) {
  const bytes = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("gb18030").decode(bytes);
  }
}

/** { columns, rows: [{ line, row }] }; the first line names the columns. */
export function tableOf(text) {
  const [head, ...lines] = cellsOf(text.replace(/^\uFEFF/, ""));
  if (head === undefined) return { columns: [], rows: [] };
  const columns = head.map(columnOf);
  return { columns, rows: lines.map((cells, i) => ({ line: i + 2, row: rowOf(columns, cells) })) };
}

function columnOf(title) {
  const said = title.trim();
  // Of refused rows that were downloaded and put right.
  if (said === say("import.why")) return "";
  const known = Object.entries(COLUMNS).find(([, names]) => names.includes(said.toLowerCase()));
  return known ? known[0] : said;
}

function rowOf(columns, cells) {
  const row = { name: "", fields: {} };
  columns.forEach((column, i) => {
    const value = (cells[i] ?? "").trim().replace(/^'(?=[=+@-])/, "");
    if (column === "" || value === "") return;
    if (column === "priority") row.priority = Number.isInteger(Number(value)) ? Number(value) : value;
    else if (OF_THE_ROW.has(column)) row[column] = value;
    else row.fields[column] = value;
  });
  return row;
}

/** Lines of cells, apart by commas, semicolons or tabs, whichever the first line has most of; quotes as usual. */
function cellsOf(text) {
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const apart = [",", ";", "\t"].reduce((best, each) => (first.split(each).length > first.split(best).length ? each : best));
  const lines = [];
  let line = [], cell = "", quoted = false;
  const endCell = () => { line.push(cell); cell = ""; };
  const endLine = () => {
    endCell();
    if (line.some((each) => each.trim() !== "")) lines.push(line);
    line = [];
  };
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (quoted && char === '"' && text[i + 1] === '"') { cell += char; i += 1; }
    else if (char === '"' && (quoted || cell === "")) quoted = !quoted;
    else if (!quoted && char === apart) endCell();
    else if (!quoted && char === "\n") endLine();
    else if (quoted || char !== "\r") cell += char;
  }
  endLine();
  return lines;
}

/** Pieces that one request can carry: at most a hundred rows and 200 KB. */
export function piecesOf(rows) {
  const pieces = [];
  let piece = [], size = 0;
  for (const each of rows) {
    const weight = new TextEncoder().encode(JSON.stringify(each.row)).length;
    if (piece.length === 100 || (piece.length > 0 && size + weight > 200_000)) {
      pieces.push(piece);
      [piece, size] = [[], 0];
    }
    piece.push(each);
    size += weight;
  }
  return piece.length ? [...pieces, piece] : pieces;
}

/** Text that a spreadsheet opens as it is, and never takes for a formula. */
export function csvOf(lines) {
  const cell = (value) => {
    const text = String(value ?? "");
    return `"${(/^[=+@\t-]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  };
  return `\uFEFF${lines.map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
}
