// A table of customers: a table on a wide page, cards on a phone. Rows are ticked one by one, together, or from one to
// another with Shift; a bar that stays in sight has the verbs for those that are ticked.

import { go, linkTo, place } from "./address.js";
import { Button, Empty, Failed, Reading } from "./components.js";
import { nameOfCustomer } from "./customers.js";
import { keptFocus } from "./focus.js";
import { currentList, customerOf } from "./store.js";
import { perform, VerbButtons, VERBS } from "./verbs.js";
import { batch, html, useEffect, useLayoutEffect, useRef } from "./view.js";
import { reason, say } from "./words.js";

/**
 * `columns` are { key, title, sort, cell(customer) }; `verbs` those of a row and `batch` those of the bar; `extra(customer)`
 * stands under a row; `groups(customer)` names the group of a row, where rows come in groups; `empty` is for no row.
 */
export function CustomerTable({ list, columns, verbs, batchVerbs = [], extra = null, groups = null, empty, caption, more = null }) {
  const rows = list.ids.map(customerOf).filter((customer) => customer !== null);
  useFocusKept(rows.length);
  const last = useRef(null);
  const tickable = (customer) => batchVerbs.some((name) => VERBS[name].may(customer));
  const tick = (id, on, range) => {
    const [from, to] = [list.ids.indexOf(last.current), list.ids.indexOf(id)].sort((one, other) => one - other);
    const all = range && from >= 0 ? list.ids.slice(from, to + 1) : [id];
    batch(() => all.filter((each) => tickable(customerOf(each))).forEach((each) => list.tick(each, on)));
    last.current = id;
  };
  const shared = { list, columns, verbs, extra, tick, more, ticks: batchVerbs.length > 0 };
  return html`<div class="list" tabindex="-1" onKeyDown=${(event) => rowKeys(event, list, tick)}>
    <${Results} list=${list}/>
    ${batchVerbs.length > 0 && html`<${BatchBar} list=${list} rows=${rows} verbs=${batchVerbs} tickable=${tickable}/>`}
    ${rows.length > 0 && html`<table class="customers" role="table" aria-label=${caption}>
      <thead role="rowgroup"><tr role="row">
        ${shared.ticks && html`<td role="cell"></td>`}
        ${columns.map((column) => html`<${HeadCell} key=${column.key} column=${column}/>`)}
        <th role="columnheader" scope="col">${say("list.verbs")}</th>
      </tr></thead>
      ${rows.map((customer, i) => html`
        ${groups && (i === 0 || groups(rows[i - 1]) !== groups(customer)) && html`<tbody key=${`group-${groups(customer)}`} class="group" role="rowgroup">
          <tr role="row"><th role="rowheader" scope="rowgroup" colspan=${columns.length + 2}>${groups(customer)}</th></tr></tbody>`}
        <${Row} key=${customer.id} customer=${customer} tickable=${tickable} ...${shared}/>`)}
    </table>`}
    <div class="list-foot">
      ${list.phase === "reading" && html`<${Reading}/>`}
      ${list.phase === "failed" && html`<${Failed} error=${list.error} again=${list.reload}/>`}
      ${list.phase === "ready" && rows.length === 0 && html`<${Empty}>${empty}</${Empty}>`}
      ${list.phase === "ready" && list.cursor !== null && html`<${Button} act=${() => moreRows(list)}>${say("list.more")}</${Button}>`}
    </div>
  </div>`;
}

/** The focus goes on to the first of the new rows. */
async function moreRows(list) {
  const before = list.ids.length;
  await list.more();
  const first = list.ids[before];
  if (first) setTimeout(() => document.querySelector(`#console [data-id="${CSS.escape(first)}"] a.name`)?.focus());
}

function HeadCell({ column }) {
  const { key, title, sort } = column;
  if (!sort) return html`<th role="columnheader" scope="col" class=${`col-${key}`}>${title}</th>`;
  const on = (place.value.sort ?? column.usual) === sort;
  return html`<th role="columnheader" scope="col" class=${`col-${key}`} aria-sort=${on ? (sort.startsWith("-") ? "descending" : "ascending") : undefined}>
    <button type="button" class="sort" onClick=${() => go({ sort: sort === column.usual ? null : sort }, { replace: true })}>${title}
      <span aria-hidden="true">${on ? (sort.startsWith("-") ? " ▾" : " ▴") : ""}</span></button></th>`;
}

function Row({ list, customer, columns, verbs, extra, tick, ticks, tickable, more }) {
  const { id } = customer;
  const note = list.notes[id];
  const name = nameOfCustomer(customer);
  const below = extra?.(customer);
  return html`<tbody data-id=${id} role="rowgroup" class="${list.marked.has(id) ? "marked" : ""} ${list.ticked.has(id) ? "ticked" : ""}">
    <tr role="row" class="customer-row">
      ${ticks && html`<td role="cell" class="tick">${tickable(customer) && html`<input type="checkbox" checked=${list.ticked.has(id)}
        aria-label=${say("list.tick", { name })} onClick=${(event) => tick(id, event.target.checked, event.shiftKey)}/>`}</td>`}
      ${columns.map((column, i) => html`<td key=${column.key} role="cell" class=${`col-${column.key}`}>
        ${i === 0 ? html`<a class="name" href=${linkTo({ ...place.value, customer: id })} onClick=${(event) => openCustomer(event, id, list)}><bdi>${name}</bdi></a>` : null}
        ${column.cell?.(customer)}</td>`)}
      <td role="cell" class="verbs"><div class="buttons"><${VerbButtons} customer=${customer} names=${verbs} list=${list}/>${more?.(customer)}</div></td>
    </tr>
    ${note && html`<tr role="row"><td role="cell" class="under" colspan=${columns.length + 2}><p class="note ${note.kind}" role="status">${note.words}</p></td></tr>`}
    ${list.marked.has(id) && html`<tr role="row"><td role="cell" class="under" colspan=${columns.length + 2}><p class="note quiet-text">${say("list.marked")}</p></td></tr>`}
    ${below && html`<tr role="row"><td role="cell" class="under" colspan=${columns.length + 2}>${below}</td></tr>`}
  </tbody>`;
}

function openCustomer(event, id, list) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  currentList.value = list;
  go({ customer: id });
}

/** j and k go down and up, x ticks, c claims; Enter opens, since the name is a link. */
function rowKeys(event, list, tick) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
  const row = event.target.closest("[data-id]");
  const ids = list.ids;
  const at = row ? ids.indexOf(row.dataset.id) : -1;
  const step = { j: 1, k: -1 }[event.key];
  if (step) document.querySelector(`#console [data-id="${CSS.escape(ids[Math.min(ids.length - 1, Math.max(0, at + step))] ?? "")}"] a.name`)?.focus();
  else if (event.key === "x" && at >= 0) tick(ids[at], !list.ticked.has(ids[at]), false);
  else if (event.key === "c" && at >= 0) row.querySelector("[data-verb^=claim]")?.click();
  else return;
  event.preventDefault();
}

function BatchBar({ list, rows, verbs, tickable }) {
  const all = rows.filter(tickable);
  const chosen = rows.filter(({ id }) => list.ticked.has(id));
  const box = useRef();
  useLayoutEffect(() => { if (box.current) box.current.indeterminate = chosen.length > 0 && chosen.length < all.length; });
  if (all.length === 0 && chosen.length === 0) return null;
  const tickAll = (on) => { list.ticked = new Set(on ? all.map(({ id }) => id) : []); };
  return html`<div class="bulk ${chosen.length > 0 ? "some" : ""}">
    <label class="tick-all"><input type="checkbox" ref=${box} checked=${all.length > 0 && chosen.length === all.length}
      onChange=${(event) => tickAll(event.target.checked)}/>${say("list.tick_all")}</label>
    <span class="quiet-text" aria-live="polite">${chosen.length > 0 && say("list.ticked", { count: chosen.length })}</span>
    <div class="buttons">${verbs.map((name) => {
      const fit = chosen.filter((customer) => VERBS[name].may(customer));
      return html`<${Button} key=${name} kind=${VERBS[name].kind ?? ""} disabled=${fit.length === 0}
        act=${() => perform(name, fit, list, true)}>${say("verb.ticked", { verb: say(`verb.${name}`) })}</${Button}>`;
    })}</div>
  </div>`;
}

/** What came of a batch: one line for each customer, with the reason where one was refused. */
function Results({ list }) {
  const panel = useRef();
  const { results } = list;
  useLayoutEffect(() => { if (results) setTimeout(() => panel.current?.focus()); }, [results]);
  if (!results) return null;
  const { ok, failed } = results.summary;
  return html`<section class="results ${failed ? "some-failed" : "all-done"}" tabindex="-1" ref=${panel} aria-label=${say("results")}>
    <div class="results-head"><h3>${failed ? say("results.mixed", { ok, failed }) : say("results.all", { ok })}</h3>
      <button type="button" class="quiet" onClick=${() => { const back = keptFocus(document.activeElement); list.results = null; setTimeout(back); }}>${say("dismiss")}</button></div>
    <ul>${results.results.map((result) => html`<li class=${result.ok ? "done" : "failed"}>
      <span class="mark" aria-hidden="true">${result.ok ? "✓" : "✕"}</span>
      <strong><bdi>${nameOfCustomer(customerOf(result.id) ?? result.customer ?? { name: result.id })}</bdi></strong>
      <span>${result.ok ? results.done : reason(result)}</span></li>`)}</ul>
  </section>`;
}

/** Puts the focus back after a render in which what had it has left the page. */
function useFocusKept() {
  const back = useRef(null);
  useEffect(() => {
    const entered = ({ target }) => { back.current = keptFocus(target); };
    const left = ({ target, relatedTarget }) => {
      if (relatedTarget === null) setTimeout(() => { if (target.isConnected && document.activeElement === document.body) back.current = null; });
    };
    document.addEventListener("focusin", entered);
    document.addEventListener("focusout", left);
    return () => {
      document.removeEventListener("focusin", entered);
      document.removeEventListener("focusout", left);
    };
  }, []);
  useLayoutEffect(() => { if (document.querySelector("dialog[open]") === null) back.current?.(); });
}
