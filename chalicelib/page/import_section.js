// Importing: a file is chosen and looked at, sent piece by piece, and each row that failed is shown with its reason.

import { fieldName } from "./customers.js";
import { element, fill } from "./element.js";
import { csvOf, piecesOf, tableOf, textOf } from "./import_file.js";
import { askFirst, button, choice, labelled, standing } from "./parts.js";
import { change, inPool, refusalOf } from "./requests.js";
import { number, reason, say } from "./words.js";

export function importSection() {
  const file = element("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", onchange: () => look() });
  const key = choice({ id: say("import.key_id"), phone: say("field.phone"), email: say("field.email") }, "phone");
  const duplicate = choice({
    skip: say("import.skip"), update: say("import.update"), reject: say("import.reject"),
  }, "skip");
  const seen = element("div", { "aria-live": "polite" });
  const look = async () => {
    if (file.files.length === 0) return fill(seen);
    const { columns, rows } = tableOf(await textOf(file.files[0]));
    if (!columns.includes("name") || rows.length === 0) return fill(seen, standing(say("import.no_name"), "bad"));
    const shownColumns = columns.map((each) => (each === "name" ? say("import.name") : fieldName(each))).join(", ");
    return fill(seen,
      element("p", {}, say("import.seen", { count: rows.length, columns: shownColumns })),
      button(say("import.go"), () => run(seen, rows, { key: key.value, on_duplicate: duplicate.value }), { class: "main" }));
  };
  return element("div", { class: "card" },
    element("p", { class: "quiet-text" }, say("import.about")),
    labelled(say("import.file"), file),
    element("div", { class: "fields" }, labelled(say("import.key"), key), labelled(say("import.duplicate"), duplicate)),
    seen);
}

async function run(host, rows, how) {
  const bar = element("progress", { max: rows.length, value: 0, "aria-label": say("import.progress") });
  const output = element("p", { "aria-live": "polite" });
  const failed = [], imports = [];
  const path = inPool("/import"); // the reader may choose another pool meanwhile
  let sent = 0, ok = 0;
  fill(host, bar, output);
  for (const piece of piecesOf(rows)) {
    try {
      const answer = await change(path, { ...how, rows: piece.map(({ row }) => row) });
      imports.push(answer.import_id);
      ok += answer.summary.ok;
      answer.results.forEach((result, i) => { if (!result.ok) failed.push({ ...piece[i], why: reason(result) }); });
    } catch (error) {
      failed.push(...piece.map((each) => ({ ...each, why: reason(refusalOf(error)) })));
    }
    sent += piece.length;
    bar.value = sent;
    fill(output, say("import.so_far", { sent: number(sent), all: number(rows.length) }));
  }
  fill(host, imported(ok, failed, imports.map((id) => `${path}s/${encodeURIComponent(id)}/undo`)));
  host.firstChild.focus();
}

function imported(ok, failed, undos) {
  const host = element("div", { class: "imported", tabindex: -1 },
    element("h3", {}, failed.length ? say("import.mixed", { ok: number(ok), failed: number(failed.length) })
      : say("import.all_done", { ok: number(ok) })),
    failed.length > 0 && [
      failedTable(failed),
      button(say("import.download"), () => download(failed)),
    ],
    undos.length > 0 && ok > 0 && button(say("import.undo"), () => undo(host, undos), { class: "warn" }));
  return host;
}

const MOST_SHOWN = 200;

function failedTable(failed) {
  const titles = ["import.line", "import.name", "import.why"].map((key) => element("th", { scope: "col" }, say(key)));
  return element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": say("import.failed_rows") },
    element("table", {},
      element("thead", {}, element("tr", {}, titles)),
      element("tbody", {}, failed.slice(0, MOST_SHOWN).map(({ line, row, why }) =>
        element("tr", {}, element("td", {}, number(line)), element("td", {}, row.name), element("td", {}, why))))),
    failed.length > MOST_SHOWN && element("p", {}, say("and_more", { count: failed.length - MOST_SHOWN })));
}

/** The failed rows as a file, to be put right and imported again. */
function download(failed) {
  const names = [...new Set(failed.flatMap(({ row }) => Object.keys(row.fields)))];
  const lines = failed.map(({ row, why }) => [row.id, row.name, row.priority, ...names.map((each) => row.fields[each]), why]);
  const text = csvOf([["id", "name", "priority", ...names, say("import.why")], ...lines]);
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: address, download: "not-imported.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function undo(host, undos) {
  askFirst(say("import.undo"), standing(say("import.undo_about")), say("import.undo"), async () => {
    const sum = { ok: 0, failed: 0 };
    for (const each of undos) {
      const { summary } = await change(each);
      sum.ok += summary.ok;
      sum.failed += summary.failed;
    }
    fill(host, element("h3", {}, say("import.undone", { ok: number(sum.ok), failed: number(sum.failed) })));
  }, "warn");
}
