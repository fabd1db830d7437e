// Who changed rules, fields and members, and when; the latest first, of some days, of one kind or by one person.

import { Choice, Empty, Field, Loaded } from "./components.js";
import { fieldName } from "./customers.js";
import { later, today } from "./days.js";
import { now } from "./now.js";
import { nameOf } from "./people.js";
import { all, inPool } from "./requests.js";
import { html, useState } from "./view.js";
import { moment, say, sayable } from "./words.js";

const USUAL_DAYS = 30;
const KINDS_LOGGED = ["name", "status", "policy", "fields", "members"];

export function LogScreen() {
  const [chosen, setChosen] = useState({ from: later(today(), 1 - USUAL_DAYS), to: "", kind: "", by: "" });
  const [people, setPeople] = useState([]);
  const put = (key) => ({ target }) => setChosen((before) => ({ ...before, [key]: target.value }));
  const load = async () => {
    const entries = await all(inPool("/log"), { from: chosen.from, to: chosen.to });
    setPeople((before) => [...new Set([...before, ...entries.map(({ by }) => by)])]);
    return entries;
  };
  const kinds = { "": say("log.anything"), ...Object.fromEntries(KINDS_LOGGED.map((kind) => [kind, say(`log.kind.${kind}`)])) };
  const users = { "": say("log.anybody"), ...Object.fromEntries(people.map((user) => [user, nameOf(user)])) };
  return html`<div class="tools">
      <${Field} label=${say("log.from")}><input type="date" value=${chosen.from} onChange=${put("from")}/></${Field}>
      <${Field} label=${say("log.to")}><input type="date" value=${chosen.to} onChange=${put("to")}/></${Field}>
      <${Field} label=${say("log.what")}><${Choice} value=${chosen.kind} options=${kinds} onChange=${put("kind")}/></${Field}>
      <${Field} label=${say("log.by")}><${Choice} value=${chosen.by} options=${users} onChange=${put("by")}/></${Field}></div>
    <${Loaded} load=${load} on=${JSON.stringify([chosen.from, chosen.to, now.shown])}>
      ${(entries) => html`<${Entries} entries=${entries.filter((entry) => fits(entry, chosen)).toReversed()}/>`}</${Loaded}>`;
}

function fits({ what, by }, chosen) {
  const kind = what.startsWith("member:") ? "members" : what;
  return (chosen.kind === "" || kind === chosen.kind) && (chosen.by === "" || by === chosen.by);
}

function Entries({ entries }) {
  if (entries.length === 0) return html`<${Empty}>${say("log.none_found")}</${Empty}>`;
  return html`<div class="scrolls-wide"><table class="plain"><thead><tr>${["log.at", "log.by", "log.what", "log.old", "log.new"].map((key) => html`<th scope="col">${say(key)}</th>`)}</tr></thead>
      <tbody>${entries.map((entry, i) => html`<tr key=${i}><td>${moment(entry.at)}</td><td>${nameOf(entry.by)}</td><td>${whatWords(entry.what)}</td>
        <td><${Values} of=${entry.old}/></td><td><${Values} of=${entry.new}/></td></tr>`)}</tbody></table></div>`;
}

function whatWords(what) {
  const [kind, user] = what.split(":");
  if (!sayable(`log.kind.${kind}`) && user === undefined) return kind;
  return user === undefined ? say(`log.kind.${kind}`) : say("log.kind.member", { user: nameOf(user) });
}

/** What differs, by the names that people know. */
function Values({ of }) {
  if (of === null) return html`<span class="quiet-text">–</span>`;
  return html`<ul>${Object.entries(of).map(([key, value]) => html`<li><span class="quiet-text">${ruleName(key)}</span> <bdi>${valueText(value)}</bdi></li>`)}</ul>`;
}

function ruleName(key) {
  return sayable(`rule.${key}`) ? say(`rule.${key}`) : fieldName(key);
}

function valueText(value) {
  if (value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
