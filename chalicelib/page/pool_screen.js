// The pool: its available customers, found, filtered and sorted, and claims of one, of several, or of the next.

import { place } from "./address.js";
import { Button } from "./components.js";
import { AvailableFacts, claimable, ContactLine, fieldName, FieldValue } from "./customers.js";
import { FilterChips, filterValues, found, SearchBox } from "./find.js";
import { notice } from "./notices.js";
import { now, refreshMe } from "./now.js";
import { change, inPool, query, read, refusalOf } from "./requests.js";
import { createList, keep, useList } from "./store.js";
import { CustomerTable } from "./table.js";
import { batch, html, useRef } from "./view.js";
import { say } from "./words.js";

/** A search of a large pool may bring pages without a customer: continue to one with some, at most so often. */
const MOST_PAGES = 20;

async function firstFound(wanted, cursor, limit) {
  let page = { items: [], next_cursor: cursor };
  for (let pages = 0; pages === 0 || (pages < MOST_PAGES && page.items.length === 0 && page.next_cursor); pages += 1) {
    page = await read(inPool(`/customers${query({ ...wanted, limit, cursor: page.next_cursor })}`));
  }
  return page;
}

/** Reads a list by the address. A phone or e-mail address that nobody has, that is only a part of one, or that the pool masks, is
 * meant as any part of a name or a searched field. Whatever else is refused, is refused again. */
export async function readFound(state, cursor, limit) {
  const { phone, email, ...rest } = { ...found(place.value), ...state };
  const contact = phone ?? email;
  if (!contact) return firstFound(rest, cursor, limit);
  const exact = cursor === null ? await firstFound({ ...rest, phone, email }, null, limit).catch(refusalOf) : null;
  return exact?.items?.length ? { ...exact, next_cursor: null } : firstFound({ ...rest, q: contact.slice(0, 64) }, cursor, limit);
}

/** What the address asks a list for, in one text: the list is made anew when it changes. */
export function foundKey() {
  const { pool, view, q, sort, filters, state, holder } = place.value;
  return JSON.stringify([pool, view, q, sort, filters, state, holder, now.shown]);
}

/** Columns for the fields that the pool shows in rows, beside the name. */
export function fieldColumns(most = 4) {
  return now.pool.fields.filter((field) => field.list || field.filter).slice(0, most).map((field) => ({
    key: `field field-${field.type}`, title: fieldName(field.key),
    cell: (customer) => customer.fields && html`<${FieldValue} name=${field.key} value=${customer.fields[field.key]}/>`,
  }));
}

export function PoolScreen() {
  const list = useList(() => createList({
    load: (cursor, limit) => readFound({ state: "available" }, cursor, limit), belongs: claimable, size: 50,
  }), foundKey());
  const columns = [
    { key: "name", title: fieldName("name"), sort: "name", cell: (customer) => html`<span class="sub on-phone"><${ContactLine} customer=${customer}/></span>` },
    ...fieldColumns(),
    { key: "facts", title: say("pool.since"), sort: "rank", usual: "rank", cell: (customer) => html`<div class="facts"><${AvailableFacts} customer=${customer}/></div>` },
  ];
  columns[0].usual = "rank";
  const chosen = place.value.q || Object.values(place.value.filters).some(Boolean);
  return html`<div class="tools"><${SearchBox} words=${say("pool.search")}/>
      ${now.pool.status === "open" && now.me && html`<${ClaimNext} list=${list}/>`}</div>
    <${FilterChips}/>
    <${CustomerTable} list=${list} columns=${columns} verbs=${["claim", "claim_again"]} batchVerbs=${now.me ? ["claim"] : []}
      caption=${say("view.pool")} empty=${say(chosen ? "pool.none_found" : "pool.empty")}/>`;
}

/** Claims the next customers by priority, of those that the filters leave. */
function ClaimNext({ list }) {
  const count = useRef();
  const filter = filterValues(place.value.filters);
  const take = async () => {
    const wanted = Math.min(100, Math.max(1, Number(count.current.value) || 1));
    const { items } = await change(inPool("/claim-next"), { count: wanted, ...(filter && { filter }) });
    batch(() => items.forEach((customer) => { keep(customer); list.remove(customer.id); }));
    if (items.length === 0) notice(say("pool.none_left"), "bad");
    else {
      const results = items.map((customer) => ({ id: customer.id, ok: true, customer }));
      list.results = { results, summary: { ok: items.length, failed: 0 }, done: say("verb.claim_done") };
    }
    refreshMe();
  };
  return html`<div class="next"><label for="next-count">${say("pool.next_count")}</label>
    <input type="number" min="1" max="100" defaultValue="1" id="next-count" ref=${count}/>
    <${Button} act=${take}>${say(filter ? "pool.claim_next_filtered" : "pool.claim_next")}</${Button}></div>`;
}
