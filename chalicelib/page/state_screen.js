// The pool as a whole: open, paused or closed; how the sweep that returns expired claims is doing; for admins all pools.

import { go, linkTo, placeWith } from "./address.js";
import { Badge, Button, Choice, Empty, Field, Loaded } from "./components.js";
import { stateOf } from "./customers.js";
import { openForm } from "./dialogs.js";
import { enter, managing, now, start } from "./now.js";
import { notice } from "./notices.js";
import { all, ask, change, inPool, query, read, refusalOf, Refused } from "./requests.js";
import { session } from "./session.js";
import { html, useState } from "./view.js";
import { length, number, say } from "./words.js";

/** What an admin may do with a pool, by its status. */
const VERBS_OF = { open: ["pause", "close"], paused: ["resume", "close"], closed: ["open", "delete"] };
const REPORTED = ["due", "returned", "changed", "failed", "remaining", "reminded"];
const COUNTED = ["available", "claimed", "private", "set_aside"];
const MOST_READ = 100;

export function StateScreen() {
  const { status, name } = now.pool;
  return html`<section class="card"><h2>${name}</h2>
      <p><${Badge} kind=${status === "open" ? "good" : "near"}>${say(`status.${status}`)}</${Badge}></p>
      ${session.admin ? html`<div class="buttons start">${VERBS_OF[status].map((verb) => html`<${Button} key=${verb} verb=${verb}
          kind=${["close", "delete"].includes(verb) ? "warn" : "main"} act=${() => changeState(verb)}>${say(`pools.${verb}`)}</${Button}>`)}</div>`
        : html`<p class="hint">${say("pools.by_admin")}</p>`}</section>
    <${Sweep}/>
    ${session.admin && html`<${Pools}/>`}`;
}

function changeState(verb) {
  const modes = { drain: say("pools.drain"), to_private: say("pools.to_private") };
  openForm({
    title: say(`pools.${verb}`), verb: say(`pools.${verb}`), verbKind: ["close", "delete"].includes(verb) ? "warn" : "main",
    body: html`<p>${say(`pools.${verb}_about`)}</p>
      ${verb === "close" && html`<${Field} label=${say("pools.mode")}><${Choice} name="mode" options=${modes}/></${Field}>`}`,
    async act({ mode }) {
      if (verb === "delete") {
        await ask("DELETE", inPool());
        notice(say("pools.deleted", { name: now.pool.name }));
        go({ pool: null, view: "state" }, { replace: true });
        return start();
      }
      now.pool = await change(inPool(`/${verb}`), mode && { mode });
      return enter(now.pool);
    },
  });
}

/** All pools of the company, and a new one. */
function Pools() {
  return html`<section class="card"><h2>${say("pools.all")}</h2>
    <div class="buttons start"><${Button} kind="main" act=${createPool}>${say("pools.create")}</${Button}></div>
    <${Loaded} load=${() => all("/pools")} on=${now.shown}>${(pools) => html`<div class="scrolls-wide"><table class="plain">
      <thead><tr>${["pool", "list.state"].map((key) => html`<th scope="col">${say(key)}</th>`)}
        ${COUNTED.map((state) => html`<th scope="col" class="number">${say(`state.${state}`)}</th>`)}</tr></thead>
      <tbody>${pools.map(({ id, name, status, totals }) => html`<tr key=${id}>
        <th scope="row"><a href=${linkTo({ ...placeWith({ pool: id, view: "state" }) })} aria-current=${id === now.pool.id ? "true" : undefined}><bdi>${name}</bdi></a></th>
        <td>${say(`status.${status}`)}</td>
        ${COUNTED.map((state) => html`<td class="number">${number(totals[state])}</td>`)}</tr>`)}</tbody></table></div>`}</${Loaded}></section>`;
}

/** For an admin of a company that has no pool yet. */
export function FirstPool() {
  return html`<${Empty}>${say("pools.first")}</${Empty}><${Button} kind="main" act=${createPool}>${say("pools.create")}</${Button}>`;
}

/** A new pool, with the rules and fields of this one where that is wanted. */
function createPool() {
  const { pool } = now;
  const rules = { "": say("pools.rules_none"), same: pool && say("pools.rules_same", { name: pool.name }) };
  openForm({
    title: say("pools.create"), verb: say("pools.create"),
    body: html`<${Field} label=${say("pools.name")}><input name="name" required maxlength="200" autocomplete="off"/></${Field}>
      <${Field} label=${say("pools.id")} hint=${say("pools.id_hint")}><input name="id" required maxlength="64" pattern="[0-9A-Za-z_\\-]+" autocomplete="off"/></${Field}>
      ${pool && html`<${Field} label=${say("pools.rules")}><${Choice} name="rules" value="same" options=${rules}/></${Field}>`}`,
    async act({ name, id, rules: taken }) {
      const like = taken === "same" ? { policy: pool.policy, fields: pool.fields } : {};
      const made = await change("/pools", { name, id, ...like }).catch(idTaken);
      notice(say("pools.created", { name: made.name }));
      go({ pool: made.id, view: "members" });
      await start();
    },
  });
}

/** The service has no version to compare with when the pool is new: its id is in use. */
function idTaken(error) {
  if (refusalOf(error).code === "version_conflict") throw new Refused(409, { code: "taken", detail: say("pools.taken") });
  throw error;
}

function Sweep() {
  const [report, setReport] = useState(null);
  const sweep = async (how) => setReport({ ...await change("/sweep", { pool: now.pool.id, ...how }), confirmed: Boolean(how.confirm) });
  return html`<section class="card"><h2>${say("sweep.title")}</h2>
    <p class="quiet-text">${say("sweep.about")}</p>
    <div aria-live="polite">${report ? html`<${SweepReport} report=${report} confirm=${() => sweep({ confirm: true })}/>`
      : managing() && html`<${Loaded} load=${overdue} on=${now.shown}>${(words) => html`<p>${words}</p>`}</${Loaded}>`}</div>
    ${session.admin && html`<div class="buttons start">
      <${Button} act=${() => sweep({ dry_run: true })}>${say("sweep.look")}</${Button}>
      <${Button} act=${() => sweep({})}>${say("sweep.now")}</${Button}></div>`}</section>`;
}

/** How many claims are past their deadline and still on the list, which begins with the earliest. */
async function overdue() {
  const { items } = await read(inPool(`/customers${query({ state: "claimed", limit: MOST_READ })}`));
  const late = items.filter((customer) => stateOf(customer) === "expired");
  if (late.length === 0) return say("sweep.none_due");
  const first = Math.min(...late.map(({ expires_at: at }) => new Date(at)));
  return say("sweep.late", { count: late.length, length: length(Date.now() - first) });
}

function SweepReport({ report, confirm }) {
  const unconfirmed = report.unconfirmed.length > 0 && !report.confirmed;
  return html`<dl class="facts-table">${REPORTED.map((name) => html`<div key=${name}><dt>${say(`sweep.${name}`)}</dt><dd>${number(report[name])}</dd></div>`)}
      <div><dt>${say("sweep.lag")}</dt><dd>${length(report.lag_s * 1000)}</dd></div></dl>
    ${unconfirmed && html`<p class="refused">${say("sweep.unconfirmed")}</p>
      <${Button} kind="warn" act=${confirm}>${say("sweep.confirm")}</${Button}>`}`;
}
