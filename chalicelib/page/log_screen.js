// Who changed rules, fields and members, and when; the latest first.

import { Button, Empty, Loaded } from "./components.js";
import { fieldName } from "./customers.js";
import { now } from "./now.js";
import { nameOf } from "./people.js";
import { inPool, query, read } from "./requests.js";
import { html, useState } from "./view.js";
import { moment, say, sayable } from "./words.js";

const LOG_SIZE = 50;

export function LogScreen() {
  return html`<${Loaded} load=${() => read(inPool(`/log${query({ limit: LOG_SIZE })}`))} on=${now.shown}>${(page) => html`<${Entries} first=${page}/>`}</${Loaded}>`;
}

function Entries({ first }) {
  const [shown, setShown] = useState(first);
  const more = async () => {
    const page = await read(inPool(`/log${query({ limit: LOG_SIZE, cursor: shown.next_cursor })}`));
    setShown({ items: [...shown.items, ...page.items], next_cursor: page.next_cursor });
  };
  if (shown.items.length === 0) return html`<${Empty}>${say("log.empty")}</${Empty}>`;
  return html`<div class="scrolls-wide"><table class="plain"><thead><tr>${["log.at", "log.by", "log.what", "log.old", "log.new"].map((key) => html`<th scope="col">${say(key)}</th>`)}</tr></thead>
      <tbody>${shown.items.map((entry, i) => html`<tr key=${i}><td>${moment(entry.at)}</td><td>${nameOf(entry.by)}</td><td>${whatWords(entry.what)}</td>
        <td><${Values} of=${entry.old}/></td><td><${Values} of=${entry.new}/></td></tr>`)}</tbody></table></div>
    ${shown.next_cursor && html`<div class="list-foot"><${Button} act=${more}>${say("list.more")}</${Button}></div>`}`;
}

function whatWords(what) {
  const [kind, user] = what.split(":");
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
