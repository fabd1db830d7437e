// The pool's rules: each with a control of its own and a sentence of what it does; tried first, then applied to new claims
// or to all.

import { Button, Choice, Empty, Field } from "./components.js";
import { notice } from "./notices.js";
import { linkTo, placeWith } from "./address.js";
import { now } from "./now.js";
import { nameOf } from "./people.js";
import { ask, inPool, query, read, Refused } from "./requests.js";
import {
  ChoiceControl, CountControl, FieldsControl, LengthControl, LengthsControl, RegionControl, ShareControl, YesControl, ZoneControl,
} from "./rule_controls.js";
import { html, useState } from "./view.js";
import { say, sayable } from "./words.js";

/** Rules in groups, each with the kind of its control. */
const RULES = {
  claiming: { holding_limit: "count", daily_claim_limit: "count", cooldown: "length", embargo: "length" },
  deadlines: {
    claim_ttl: "length", idle_ttl: "length", max_hold: "length", follow_up_restarts_clock: "yes", reminders: "lengths",
  },
  extending: { members_may_extend: "yes", extension: "length", max_extensions: "count", pin_limit: "count", max_pin: "length" },
  returning: { reason_required: "yes", max_returns: "count", sweep_breaker: "share" },
  winning: { win: "winners", win_review: "length", private_limit: "count", private_ttl: "length", private_visible_to: "owners" },
  showing: {
    masked_fields: "fields", notes_visible_to: "readers", strict_fields: "yes", phone_region: "region", time_zone: "zone",
  },
};

const CONTROLS = {
  count: CountControl, share: ShareControl, yes: YesControl, length: LengthControl, lengths: LengthsControl, fields: FieldsControl,
  zone: ZoneControl, region: RegionControl, winners: chosenFrom("win", ["approval", "holder", "manager"]),
  readers: chosenFrom("notes", ["holder", "pool"]), owners: chosenFrom("owners", ["", "pool"]),
};

/** A control with those values; `rules.<kind>_<value>` are their names. */
function chosenFrom(kind, values) {
  return (props) => html`<${ChoiceControl} ...${props} options=${Object.fromEntries(values.map((each) => [each, say(`rules.${kind}_${each || "none"}`)]))}/>`;
}

export function RulesScreen() {
  const { policy, version } = now.pool;
  const [edited, setEdited] = useState({ version, rules: {} });
  const [applyTo, setApplyTo] = useState("new");
  const [trial, setTrial] = useState(null);
  // Changes of another version are dropped: the form shows the present rules in the same rendering.
  const rules = edited.version === version ? edited.rules : {};
  const draft = { ...policy, ...rules };
  const put = (rule, value) => {
    setEdited((before) => ({ version, rules: { ...(before.version === version && before.rules), [rule]: value } }));
    setTrial(null);
  };
  const changed = Object.fromEntries(Object.entries(rules).filter(([rule, value]) => JSON.stringify(value) !== JSON.stringify(policy[rule])));
  return html`<form class="card rules" onSubmit=${(event) => event.preventDefault()}>
    <p class="quiet-text">${say("rules.about")}</p>
    <${Warnings} of=${now.pool.warnings}/>
    ${Object.entries(RULES).map(([group, rules]) => html`<fieldset key=${group}><legend>${say(`rules.${group}`)}</legend>
      <div class="fields">${Object.entries(rules).map(([rule, kind]) => html`<${Field} key=${rule} label=${say(`rule.${rule}`)} hint=${say(`rules.hint.${rule}`)}>
        <${CONTROLS[kind]} value=${draft[rule]} change=${(value) => put(rule, value)}/></${Field}>`)}</div></fieldset>`)}
    <div class="rules-end">
      <${Field} label=${say("rules.apply_to")}><${Choice} value=${applyTo} options=${{ new: say("rules.to_new"), all: say("rules.to_all") }}
        onChange=${({ target }) => { setApplyTo(target.value); setTrial(null); }}/></${Field}>
      <div class="trial" aria-live="polite">${trial?.version === version && html`<${Trial} ...${trial}/>`}</div>
      <div class="buttons">
        <${Button} act=${async () => setTrial({ version, ...await tryRules(changed, applyTo) })}>${say("rules.try")}</${Button}>
        <${Button} kind="main" act=${() => applyRules(changed, applyTo)}>${say("rules.apply")}</${Button}></div>
    </div></form>`;
}

function Warnings({ of }) {
  return of.map((warning) => html`<p key=${warning} class="banner">${sayable(`warning.${warning}`) ? say(`warning.${warning}`) : warning}</p>`);
}

function sendRules(policy, applyTo, trial) {
  return ask("PATCH", inPool(), { policy, apply_to: applyTo, dry_run: trial }, { ifMatch: now.pool.version }).catch(afterOthers);
}

/** Somebody was faster: what is there now is shown, and nothing is overwritten. */
async function afterOthers(error) {
  if (error instanceof Refused && error.status === 412) now.pool = await read(inPool());
  throw error;
}

/** What these rules would do: { rules, pool, customers }; without a change no rules, for new claims no customers. */
async function tryRules(changed, applyTo) {
  const rules = Object.keys(changed);
  if (rules.length === 0) return { rules };
  const pool = await sendRules(changed, applyTo, true);
  const ids = applyTo === "all" ? pool.affected_customers ?? [] : [];
  const customers = ids.length > 0 ? (await read(inPool(`/customers${query({ ids: ids.join(",") })}`))).items.filter(Boolean) : [];
  return { rules, pool, customers, applyTo };
}

async function applyRules(changed, applyTo) {
  if (Object.keys(changed).length === 0) return notice(say("rules.unchanged"));
  now.pool = await sendRules(changed, applyTo, false);
  return notice(applyTo === "all" ? say("rules.applied_all", { count: now.pool.affected }) : say("rules.applied"));
}

/** Shows the result of the dry run: changed rules, affected customers and holders, and warnings. */
function Trial({ rules, pool, customers, applyTo }) {
  if (rules.length === 0) return html`<${Empty}>${say("rules.unchanged")}</${Empty}>`;
  const all = applyTo === "all";
  const holders = all ? pool.affected_holders ?? [] : [];
  return html`<p>${say("rules.would_change", { rules: rules.map((rule) => say(`rule.${rule}`)).join(say("rules.apart")) })} ${all ? say("rules.would_affect", { count: pool.affected }) : say("rules.would_affect_none")}</p>
    ${holders.length > 0 && html`<p>${say("rules.would_affect_holders")} ${holders.map((holder, i) => html`${i > 0 && say("rules.apart")}<a href=${heldClaims(holder)}>${nameOf(holder)}</a>`)}</p>`}
    ${customers.length > 0 && html`<div class="scrolls" tabindex="0" role="region" aria-label=${say("rules.would_affect_customers")}><table>
      <thead><tr>${["rules.customer", "rules.holder"].map((key) => html`<th scope="col">${say(key)}</th>`)}</tr></thead>
      <tbody>${customers.map((each) => html`<tr key=${each.id}><th scope="row"><a href=${linkTo({ ...placeWith({}), customer: each.id })}><bdi>${each.name ?? each.id}</bdi></a></th>
        <td>${each.holder && nameOf(each.holder)}</td></tr>`)}</tbody></table></div>`}
    <${Warnings} of=${pool.warnings}/>`;
}

function heldClaims(holder) {
  return linkTo({ ...placeWith({ view: "customers" }), state: "claimed", holder });
}
