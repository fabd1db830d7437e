// A manager's list: everybody's customers by state, found and filtered like the pool, assigned, transferred, taken back.

import { go, place } from "./address.js";
import { Button, Choice, Field } from "./components.js";
import { AvailableFacts, ContactLine, fieldName } from "./customers.js";
import { FilterChips, SearchBox } from "./find.js";
import { nameOf } from "./people.js";
import { fieldColumns, foundKey, readFound } from "./pool_screen.js";
import { createList, useList } from "./store.js";
import { CustomerTable } from "./table.js";
import { html } from "./view.js";
import { say } from "./words.js";

const STATES = {
  available: ["assign"], claimed: ["transfer", "take_back", "assign", "approve", "decline", "convert"], win_requested: ["approve", "decline"],
  set_aside: ["restore"], suppressed: ["unsuppress"], private: ["transfer", "deposit", "assign"],
};
const BATCH = {
  available: ["assign"], claimed: ["transfer", "take_back"], win_requested: ["approve"], set_aside: [], suppressed: [], private: ["transfer", "deposit"],
};

/** Whether a customer still is in that state, as a person sees it. */
function inState(customer, state) {
  if (state === "set_aside") return Boolean(customer.set_aside_at);
  if (state === "suppressed") return Boolean(customer.suppressed_at);
  if (state === "win_requested") return Boolean(customer.win_requested_at);
  return customer.state === state && !customer.set_aside_at && !customer.suppressed_at;
}

export function CustomersScreen() {
  const state = Object.hasOwn(STATES, place.value.state) ? place.value.state : "available";
  const { holder } = place.value;
  const list = useList(() => createList({
    load: (cursor, limit) => readFound({ state, holder, ...(holder && { filter: [] }) }, cursor, limit),
    belongs: (customer) => inState(customer, state) && (!holder || customer.holder === holder),
  }), foundKey());
  const columns = [
    { key: "name", title: fieldName("name"), sort: "name", usual: "", cell: (customer) => html`<span class="sub on-phone"><${ContactLine} customer=${customer}/></span>` },
    ...fieldColumns(2),
    { key: "facts", title: say("list.state"), cell: (customer) => html`<div class="facts"><${AvailableFacts} customer=${customer}/></div>` },
  ];
  const options = Object.fromEntries(Object.keys(STATES).map((each) => [each, say(`state.${each}`)]));
  return html`<div class="tools">
      <${Field} label=${say("list.state")}><${Choice} options=${options} value=${state}
        onChange=${(event) => go({ state: event.target.value }, { replace: true })}/></${Field}>
      ${!holder && html`<${SearchBox} words=${say("pool.search")}/>`}
      ${holder && html`<ul class="chips"><li class="on"><${Button} act=${() => go({ holder: null }, { replace: true })}>${say("customer.holder", { holder: nameOf(holder) })} ✕</${Button}></li></ul>`}
    </div>
    ${!holder && html`<${FilterChips}/>`}
    <${CustomerTable} list=${list} columns=${columns} verbs=${STATES[state]} batchVerbs=${BATCH[state]} caption=${say("view.customers")} empty=${say("pool.none_found")}/>`;
}
