// Importing a file: the service reads it piece by piece; the reader corrects the mapping, tries it, imports, and may undo.
// Nothing here knows what a file looks like inside.

import { Badge, Button, Choice, Empty, Field, Loaded } from "./components.js";
import { fieldName } from "./customers.js";
import { openForm } from "./dialogs.js";
import { notice } from "./notices.js";
import { now } from "./now.js";
import { nameOf } from "./people.js";
import { change, inPool, newKey, query, read, refusalOf, Refused } from "./requests.js";
import { html, reactive, useEffect, useRef } from "./view.js";
import { moment, number, reason, say, sayable } from "./words.js";

const PIECE_BYTES = 256 * 1024;
const ROWS_AT_ONCE = 100;
const BYTES_AT_ONCE = 200_000;
const ROWS_SHOWN = 5;
const FAILED_SHOWN = 200;
const HINTS_SHOWN = 5;
const FORMULA = /^'*[=+\-@\t\r]/; // what a spreadsheet would run
const ENCODINGS = ["UTF-8", "GB18030", "Big5", "Shift_JIS", "EUC-JP", "EUC-KR", "Windows-1250", "Windows-1251", "Windows-1252"];
const OWN_TARGETS = ["name", "id", "priority", "holder"];

/** `file` that was chosen, for the `pool` of that moment; `mapping` and `encoding` that were changed, the `first` preview, and what a run has brought. */
const importing = reactive({ file: null, pool: null, mapping: {}, encoding: "", first: null, duplicate: "skip", run: null, error: null, listed: 0 });

export function ImportScreen() {
  const here = importing.pool === now.pool.id; // a file of another pool is shown there
  return html`<${FileChoice} key=${now.pool.id}/>
    ${here && importing.error && html`<p class="refused" role="alert">${reason(importing.error)}</p>`}
    ${here && importing.first && html`<${Preview} first=${importing.first}/>`}
    ${here && importing.run && html`<${Run} run=${importing.run}/>`}
    <section><h2>${say("import.list")}</h2><${Imports}/></section>`;
}

function FileChoice() {
  const choose = (event) => {
    Object.assign(importing, { file: event.target.files[0] ?? null, pool: now.pool.id, mapping: {}, encoding: "", first: null, run: null, error: null });
    if (importing.file) look();
  };
  return html`<div class="card"><p class="quiet-text">${say("import.about")}</p>
    <${Field} label=${say("import.file")}><input type="file" accept=".csv,.tsv,.txt,.xlsx,text/csv" onChange=${choose}/></${Field}></div>`;
}

/** Read the first piece, with the mapping that was chosen. */
async function look() {
  const { file } = importing;
  try {
    const first = await previewOf(importPath(), file, 0, null);
    if (file === importing.file) Object.assign(importing, { first, error: null });
  } catch (error) {
    Object.assign(importing, { error: refusalOf(error) });
  }
}

/** A path of the pool that the file is for: the reader may have chosen another one meanwhile. */
function importPath() {
  return `/pools/${encodeURIComponent(importing.pool)}/import`;
}

async function previewOf(path, file, at, after) {
  const piece = await file.slice(at, at + PIECE_BYTES).arrayBuffer().catch(() => { throw new Refused(0, { code: "file_changed" }); });
  const bytes = new Uint8Array(piece);
  let binary = "";
  for (let start = 0; start < bytes.length; start += 32_768) binary += String.fromCharCode(...bytes.subarray(start, start + 32_768));
  const body = { base64: btoa(binary), name: file.name, more: at + PIECE_BYTES < file.size, mapping: importing.mapping };
  return change(`${path}/preview`, { ...body, ...(importing.encoding && { encoding: importing.encoding }), ...(after && { after }) });
}

/** The heading of a column in a file of refused lines: one that was mapped by hand is what it was mapped to. */
function headingOf({ heading }, i) {
  const shown = importing.mapping[heading || `#${i + 1}`] ?? heading;
  return FORMULA.test(shown) ? `'${shown}` : shown;
}

const problemText = ({ line, text }) => (line === null ? text : say("import.problem", { line: number(line), text }));

/** Every row of the file with its line and cells, and every line that has no row with its reason. Throws Refused. */
async function readFile(path, file, progress) {
  const rows = [], failed = [], warnings = [], earlier = new Set(), copies = new Map();
  const countOn = (id) => { // the service counts equal rows of one piece
    copies.set(id, (copies.get(id) ?? 0) + 1);
    return copies.get(id) === 1 ? id : `${id}-${copies.get(id)}`;
  };
  for (let at = 0, after = null; ;) {
    const answer = await previewOf(path, file, at, after);
    if (answer.refused) throw new Refused(0, { detail: problemText(answer.problems[0]) });
    if (after !== null) warnings.push(...answer.warnings.map(problemText)); // the first ones are shown before the run
    const why = new Map(answer.problems.map((problem) => [problem.line, problem.text]));
    for (const { line, row, cells, ...keys } of answer.lines) {
      const found = answer.rows[row];
      if (keys.new_id) found.id = countOn(keys.new_id);
      if (row === null) failed.push({ line, cells, why: why.get(line) ?? "" });
      else if (keys.own_keys.some((key) => earlier.has(key))) failed.push({ line, cells, row: found, why: reason({ code: "duplicate_in_request" }) });
      else {
        rows.push({ line, cells, row: found, key: found.id === undefined ? "auto" : answer.key });
        for (const key of [...keys.own_keys, ...keys.other_keys]) earlier.add(key);
      }
    }
    if (answer.next === null) return { rows, failed, warnings: [...new Set(warnings)], withoutKey: [...copies.values()].reduce((sum, count) => sum + count, 0) };
    at += answer.next.offset;
    after = answer.next.after;
    progress(at);
  }
}

function Hints({ texts }) {
  const more = texts.length - HINTS_SHOWN;
  return html`${texts.slice(0, HINTS_SHOWN).map((text) => html`<p class="hint">${text}</p>`)}
    ${more > 0 && html`<p class="hint">${say("and_more", { count: more })}</p>`}`;
}

function Preview({ first }) {
  const map = (heading, target) => {
    importing.mapping = { ...importing.mapping, [heading]: target === "" ? null : target };
    importing.run = null;
    return look();
  };
  const decode = (encoding) => {
    Object.assign(importing, { encoding, run: null });
    return look();
  };
  const rows = first.rows.slice(0, ROWS_SHOWN);
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row.fields ?? {})))];
  const heads = ["name", ...keys];
  return html`<section class="card"><h2>${say("import.columns")}</h2>
    <p class="quiet-text">${readAs(first)}</p>
    <${Hints} texts=${first.warnings.map(problemText)}/><${Hints} texts=${first.problems.map(problemText)}/>
    ${first.sheet === null && html`<${Field} label=${say("import.read_as")}><${Choice} value=${importing.encoding} onChange=${(event) => decode(event.target.value)}
      options=${{ "": say("import.guess"), ...Object.fromEntries(ENCODINGS.map((each) => [each, each])) }}/></${Field}>`}
    <div class="scrolls-wide"><table class="plain"><thead><tr>${["import.heading", "import.sample", "import.target"].map((key) => html`<th scope="col">${say(key)}</th>`)}</tr></thead>
      <tbody>${first.columns.map((column, i) => html`<tr key=${i}><th scope="row"><bdi>${column.heading}</bdi></th><td><bdi>${String(column.sample ?? "")}</bdi></td>
        <td><${Choice} aria-label=${say("import.target_of", { heading: column.heading })} value=${column.target ?? ""} options=${targetsOf(column)}
          onChange=${(event) => map(column.heading || `#${i + 1}`, event.target.value)}/></td></tr>`)}</tbody></table></div>
    ${rows.length > 0 && html`<h3>${say("import.first_rows")}</h3><div class="scrolls-wide" tabindex="0" role="region" aria-label=${say("import.first_rows")}><table class="plain">
      <thead><tr>${heads.map((key) => html`<th scope="col">${fieldName(key)}</th>`)}</tr></thead>
      <tbody>${rows.map((row, i) => html`<tr key=${i}>${heads.map((key) => html`<td><bdi>${String((key === "name" ? row.name : row.fields?.[key]) ?? "")}</bdi></td>`)}</tr>`)}</tbody></table></div>`}
    <${Field} label=${say("import.duplicate")}><${Choice} value=${importing.duplicate} options=${{ skip: say("import.skip"), update: say("import.update"), reject: say("import.reject") }}
      onChange=${(event) => { importing.duplicate = event.target.value; importing.run = null; }}/></${Field}>
    ${!first.refused && first.lines.length > 0 && html`<div class="buttons start"><${Button} act=${() => carry(true)}>${say("import.try")}</${Button}>
      <${Button} kind="main" act=${() => carry(false)}>${say("import.go")}</${Button}></div>`}</section>`;
}

/** How the service has read the file. */
function readAs({ encoding, separator, sheet, header_row: row }) {
  const parts = [sheet ? say("import.sheet", { sheet }) : encoding && say("import.encoding", { encoding }),
    separator && say("import.separator", { separator: separator === "\t" ? "Tab" : separator }), row && say("import.header_row", { row: number(row) })];
  return parts.filter(Boolean).join(" · ");
}

function targetsOf({ target, heading }) {
  const keys = [...new Set([...OWN_TARGETS, target, ...now.pool.fields.map((field) => field.key), heading])].filter(Boolean);
  return { "": say("import.leave_out"), ...Object.fromEntries(keys.map((key) => [key, sayable(`import.target.${key}`) ? say(`import.target.${key}`) : fieldName(key)])) };
}

/** Pieces that one request can carry: their rows have one key. */
function piecesOfRows(rows) {
  const pieces = [];
  let piece = [], size = 0;
  for (const each of rows) {
    const weight = new TextEncoder().encode(JSON.stringify(each.row)).length;
    const full = piece.length === ROWS_AT_ONCE || size + weight > BYTES_AT_ONCE;
    if (piece.length > 0 && (full || each.key !== piece[0].key)) {
      pieces.push(piece);
      [piece, size] = [[], 0];
    }
    piece.push(each);
    size += weight;
  }
  return piece.length ? [...pieces, piece] : pieces;
}

/** Try the whole file, or import it. The reader may choose another pool meanwhile: the file stays with its own. */
async function carry(trial) {
  const { file, duplicate } = importing;
  const path = importPath();
  const source = { id: newKey(), file: file.name.slice(0, 200) };
  const sums = { created: 0, updated: 0, unchanged: 0, done: 0 };
  const forecast = trial ? forecaster() : null;
  const show = (changes) => { importing.run = { ...importing.run, ...changes }; };
  importing.error = null;
  importing.run = { trial, done: false, progress: 0, most: file.size, sums, failed: [], heading: importing.first.columns.map(headingOf) };
  let found;
  try {
    found = await readFile(path, file, (at) => show({ progress: at }));
  } catch (error) {
    Object.assign(importing, { run: null, error: refusalOf(error) });
    return;
  }
  const { rows, failed } = found;
  show({ ...found, progress: 0, most: rows.length });
  let sent = 0;
  for (const piece of piecesOfRows(rows)) {
    const body = { rows: piece.map(({ row }) => row), key: piece[0].key, on_duplicate: duplicate };
    try {
      const answer = await change(path, { ...body, ...(trial ? { dry_run: true } : { import: source }) });
      answer.results.forEach((result, i) => {
        const row = forecast ? forecast(result, answer.room ?? {}) : result;
        if (row.ok) sums[row.outcome ?? "done"] += 1;
        else failed.push({ ...piece[i], why: reason(row) });
      });
    } catch (error) {
      failed.push(...piece.map((each) => ({ ...each, why: reason(refusalOf(error)) })));
    }
    sent += piece.length;
    show({ progress: sent, sums: { ...sums }, failed: [...failed] });
  }
  if (!trial) Object.assign(sums, await countsOf(path, source.id, sums.done));
  show({ done: true, sums: { ...sums }, failed: failed.sort((one, other) => one.line - other.line) });
  if (!trial) importing.listed += 1;
}

/** What the service has counted for an import: its responses do not distinguish a new customer from an unchanged one. */
async function countsOf(path, id, done) {
  const { items } = await read(`${path}s${query({ limit: 100 })}`);
  const listed = items.find((each) => each.id === id) ?? { created: done, updated: 0 };
  return { created: listed.created, updated: listed.updated, unchanged: Math.max(0, done - listed.created - listed.updated) };
}

/** Adds up the results of many trial requests: each states the room of a holder as if it were the only one. */
function forecaster() {
  const left = {}, assigned = new Set();
  return (result, room) => {
    Object.assign(left, { ...room, ...left });
    const { ok, id, holder } = result;
    if (!ok || !holder || (left[holder] ?? null) === null || assigned.has(id)) return result;
    if (left[holder] === 0) return { ok: false, code: "holding_limit" };
    left[holder] -= 1;
    if (id) assigned.add(id);
    return result;
  };
}

function Run({ run }) {
  const panel = useRef();
  useEffect(() => { if (run.done) panel.current.focus(); }, [run.done]);
  const { sums, failed } = run;
  const counts = { created: number(sums.created), updated: number(sums.updated), unchanged: number(sums.unchanged), failed: number(failed.length) };
  return html`<section class="card imported" tabindex="-1" ref=${panel} aria-label=${say("results")}>
    ${!run.done && html`<progress max=${run.most} value=${run.progress} aria-label=${say("import.progress")}></progress>`}
    <h3 aria-live="polite">${say(run.done ? (run.trial ? "import.would" : "import.done") : "import.under_way", counts)}</h3>
    ${run.done && html`<${Hints} texts=${run.warnings}/>
      ${run.withoutKey > 0 && html`<p class="hint">${say("import.without_key", { count: run.withoutKey })}</p>`}`}
    ${run.done && failed.length > 0 && html`<div class="scrolls" tabindex="0" role="region" aria-label=${say("import.failed_rows")}><table class="plain">
        <thead><tr>${["import.line", "import.name", "import.why"].map((key) => html`<th scope="col">${say(key)}</th>`)}</tr></thead>
        <tbody>${failed.slice(0, FAILED_SHOWN).map(({ line, row, cells, why }, i) => html`<tr key=${i}><td>${number(line)}</td><td><bdi>${row?.name ?? cells[0] ?? ""}</bdi></td><td>${why}</td></tr>`)}</tbody></table>
        ${failed.length > FAILED_SHOWN && html`<p>${say("and_more", { count: failed.length - FAILED_SHOWN })}</p>`}</div>
      <${Button} act=${() => downloadFailed(run)}>${say("import.download")}</${Button}>`}
    ${run.done && run.trial && html`<${Button} kind="main" act=${() => carry(false)}>${say("import.go")}</${Button}>`}</section>`;
}

/** The lines that were refused as a file, to be corrected and imported again: the errors file of the command line. */
function downloadFailed({ heading, failed }) {
  const cell = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const lines = [["poolctl_line", "poolctl_error", ...heading], ...failed.map(({ line, cells, why }) => [line, why, ...cells])];
  const text = `\uFEFF${lines.map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: "not-imported.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function Imports() {
  return html`<${Loaded} load=${() => read(inPool(`/imports${query({ limit: 100 })}`))} on=${importing.listed}>${({ items }, reload) => (items.length === 0 ? html`<${Empty}>${say("import.none")}</${Empty}>`
    : html`<div class="scrolls-wide"><table class="plain"><thead><tr>${["log.at", "log.by", "import.file", "import.created", "import.updated", "import.refused"].map((key) => html`<th scope="col">${say(key)}</th>`)}<th scope="col">${say("list.verbs")}</th></tr></thead>
      <tbody>${items.map((each) => html`<tr key=${each.id}><td>${moment(each.at)}</td><td>${nameOf(each.by)}</td><th scope="row"><bdi>${each.file ?? "–"}</bdi></th>
        <td class="number">${number(each.created)}</td><td class="number">${number(each.updated)}</td><td class="number">${number(each.refused)}</td>
        <td>${each.undone_at ? html`<${Badge}>${say("import.undone_at", { when: moment(each.undone_at) })}</${Badge}>`
          : html`<div class="buttons"><${Button} kind="warn" label=${say("import.undo_name", { file: each.file ?? moment(each.at) })} act=${() => undoImport(each, reload)}>${say("import.undo")}</${Button}></div>`}</td></tr>`)}</tbody></table></div>`)}</${Loaded}>`;
}

function undoImport({ id }, reload) {
  openForm({
    title: say("import.undo"), verb: say("import.undo"), verbKind: "warn", body: html`<p>${say("import.undo_about")}</p>`,
    async act() {
      const sums = { ok: 0, failed: 0 };
      const path = inPool(`/imports/${encodeURIComponent(id)}/undo`);
      for (let cursor = null; ;) {
        const answer = await change(path, cursor === null ? {} : { cursor });
        sums.ok += answer.summary.ok;
        sums.failed += answer.summary.failed;
        cursor = answer.next_cursor;
        if (cursor === null) break;
      }
      notice(say("import.undone", { ok: number(sums.ok), failed: number(sums.failed) }));
      await reload();
    },
  });
}
