// The landing page: claims that end within a day, private customers without news, and for managers wins to approve,
// customers set aside, and who holds most.

import { linkTo, placeWith } from "./address.js";
import { Loaded, Usage, When } from "./components.js";
import { ClaimFacts, ContactLine, fieldName, mine } from "./customers.js";
import { FollowUpButton, FollowUpForm } from "./follow_up.js";
import { managing, now } from "./now.js";
import { nameOf } from "./people.js";
import { foundKey } from "./pool_screen.js";
import { inPool, query, read } from "./requests.js";
import { createList, useList } from "./store.js";
import { CustomerTable } from "./table.js";
import { html, useState } from "./view.js";
import { number, say, UNITS } from "./words.js";

const SOON_MOST = 50;
const DECISIONS_MOST = 10;
const HOLDERS_MOST = 5;

/** One's claims that end within a day, the first deadline first. */
async function endingSoon() {
  const page = await read(inPool(`/customers${query({ holder: "me", state: "claimed", sort: "expires_at", limit: SOON_MOST })}`));
  const soon = ({ expires_at: at }) => at !== null && new Date(at) - Date.now() < UNITS.D;
  return { items: page.items.filter(soon), next_cursor: null };
}

export function TodayScreen() {
  const manages = managing();
  return html`
    ${now.me && html`<${SoonSection}/>`}
    ${manages && html`<${DecisionsSection} state="win_requested" verbs=${["approve", "decline"]}/>
      <${DecisionsSection} state="set_aside" verbs=${["restore"]}/>
      <${HoldersSection}/>`}`;
}

function nameColumn() {
  return { key: "name", title: fieldName("name"), cell: (customer) => html`<span class="sub"><${ContactLine} customer=${customer}/></span>` };
}

function SoonSection() {
  const list = useList(() => createList({ load: endingSoon, full: true, belongs: (customer) => mine(customer) && customer.state === "claimed" }), foundKey());
  const [writing, setWriting] = useState(null);
  const columns = [nameColumn(), { key: "facts", title: say("mine.deadline"), cell: (customer) => html`<div class="facts"><${ClaimFacts} customer=${customer}/></div>` }];
  const end = () => setWriting(null);
  return html`<section class="today"><h2>${say("today.soon")}</h2>
    <${CustomerTable} list=${list} columns=${columns} verbs=${["claim_again", "extend", "win", "release"]} caption=${say("today.soon")}
      more=${(customer) => html`<${FollowUpButton} customer=${customer} toggle=${() => setWriting(writing === customer.id ? null : customer.id)}/>`}
      extra=${(customer) => writing === customer.id && html`<${FollowUpForm} customer=${customer} done=${end} cancel=${end}/>`}
      empty=${html`${say("today.none_soon")} <a href=${linkTo(placeWith({ view: "pool" }))}>${say("today.to_pool")}</a>`}/></section>`;
}

/** What waits for a manager; nothing at all where nothing waits. */
function DecisionsSection({ state, verbs }) {
  const list = useList(() => createList({
    load: (cursor) => read(inPool(`/customers${query({ state, limit: DECISIONS_MOST, cursor })}`)),
    belongs: (customer) => (state === "set_aside" ? Boolean(customer.set_aside_at) : Boolean(customer.win_requested_at)),
    size: DECISIONS_MOST,
  }), foundKey(), false);
  if (list.phase === "ready" && list.ids.length === 0) return null;
  const columns = [nameColumn(), {
    key: "facts", title: say("list.state"), cell: (customer) => html`<div class="facts">
      ${customer.holder && html`<span class="quiet-text">${say("customer.holder", { holder: nameOf(customer.holder) })}</span>`}
      ${customer.amount && html`<strong>${number(Number(customer.amount))}</strong>`}
      ${customer.win_requested_at && html`<span class="quiet-text"><${When} at=${customer.win_requested_at}/></span>`}</div>`,
  }];
  return html`<section class="today"><h2><a href=${linkTo({ ...placeWith({ view: "customers" }), state })}>${say(`state.${state}`)}</a></h2>
    <${CustomerTable} list=${list} columns=${columns} verbs=${verbs} batchVerbs=${state === "win_requested" ? ["approve"] : []}
      caption=${say(`state.${state}`)} empty=""/></section>`;
}

function HoldersSection() {
  const load = () => read(inPool(`/members${query({ sort: "-held", limit: HOLDERS_MOST })}`));
  return html`<section class="today"><h2>${say("today.holders")}</h2>
    <${Loaded} load=${load} on=${foundKey()}>${({ items }) => html`<ul class="holders-most">${items.filter(({ held }) => held > 0).map((member) => html`<li>
      <a href=${linkTo({ ...placeWith({ view: "customers" }), state: "claimed", holder: member.user_id })}>${member.name ?? nameOf(member.user_id)}</a>
      <${Usage} words=${say("me.held")} used=${member.held} limit=${member.holding_limit}/></li>`)}</ul>`}</${Loaded}></section>`;
}
