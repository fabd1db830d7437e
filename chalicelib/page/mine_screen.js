// What one holds, by deadline: until when, and what is done with it. Private customers stand apart.

import { place } from "./address.js";
import { When } from "./components.js";
import { ClaimFacts, ContactLine, fieldName, mine, StateBadges } from "./customers.js";
import { FollowUpButton, FollowUpForm } from "./follow_up.js";
import { now } from "./now.js";
import { foundKey } from "./pool_screen.js";
import { inPool, query, read } from "./requests.js";
import { createList, useList } from "./store.js";
import { CustomerTable } from "./table.js";
import { html, useState } from "./view.js";
import { say, UNITS } from "./words.js";

const MINE_VERBS = ["claim_again", "extend", "win", "release", "unpin"];

function heldList(state) {
  return createList({
    load: (cursor, limit) => read(inPool(`/customers${query({ holder: "me", state, sort: state === "claimed" ? place.value.sort : null, limit, cursor })}`)),
    belongs: (customer) => mine(customer) && customer.state === state,
    size: 50,
    full: true,
  });
}

/** Today, within three days, later: how long a claim still lasts, as a group of rows. */
function groupOf(customer) {
  if (customer.expires_at === null) return say("mine.no_deadline");
  const left = new Date(customer.expires_at) - Date.now();
  if (left <= 0) return say("mine.over");
  return say(left < UNITS.D ? "mine.group_today" : left < 3 * UNITS.D ? "mine.group_three_days" : "mine.group_later");
}

export function MineScreen() {
  const on = foundKey();
  const claimed = useList(() => heldList("claimed"), on);
  const owned = useList(() => heldList("private"), on, false);
  claimed.left = (customer) => { if (owned.belongs(customer)) owned.show(customer.id); };
  owned.left = (customer) => { if (claimed.belongs(customer)) claimed.show(customer.id); };
  const [writing, setWriting] = useState(null);
  const follow = (customer) => html`<${FollowUpButton} customer=${customer} toggle=${() => setWriting(writing === customer.id ? null : customer.id)}/>`;
  const form = (customer) => writing === customer.id && html`<${FollowUpForm} customer=${customer} done=${() => setWriting(null)} cancel=${() => setWriting(null)}/>`;
  const byDeadline = !place.value.sort || place.value.sort === "expires_at";
  const contact = { key: "contact", title: say("mine.contact"), cell: (customer) => html`<span class="sub"><${ContactLine} customer=${customer}/></span>` };
  const followed = { key: "followed", title: say("customer.followed_up"), sort: "last_follow_up_at", usual: "expires_at", cell: (customer) => customer.last_follow_up_at && html`<span class="quiet-text"><${When} at=${customer.last_follow_up_at}/></span>` };
  const name = { key: "name", title: fieldName("name"), sort: "name", usual: "expires_at" };
  const deadline = { key: "facts", title: say("mine.deadline"), sort: "expires_at", usual: "expires_at", cell: (customer) => html`<div class="facts"><${ClaimFacts} customer=${customer}/></div>` };
  return html`
    <${CustomerTable} list=${claimed} columns=${[name, contact, followed, deadline]} verbs=${MINE_VERBS} batchVerbs=${["release", "extend"].filter((each) => each !== "extend" || now.pool.policy.members_may_extend)}
      groups=${byDeadline ? groupOf : null} extra=${form} more=${follow} caption=${say("mine.claimed")} empty=${say("mine.empty")}/>
    ${(owned.ids.length > 0 || owned.phase === "failed") && html`<section class="private"><h2>${say("mine.private")}</h2>
      <${CustomerTable} list=${owned} columns=${[{ key: "name", title: fieldName("name") }, contact, { ...followed, sort: null }, { key: "facts", title: say("list.state"), cell: (customer) => html`<div class="facts"><${StateBadges} customer=${customer}/></div>` }]}
        verbs=${["claim_again", "deposit"]} batchVerbs=${["deposit"]} extra=${form} more=${follow} caption=${say("mine.private")} empty=""/></section>`}`;
}
