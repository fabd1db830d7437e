// One customer beside the list, at an address of its own: verbs, notes of all holders, details, holders, history.

import { closeCustomer, go, place } from "./address.js";
import { Button, Choice, Empty, Failed, Field, Reading, When } from "./components.js";
import { Deadline, fieldName, FieldValue, mine, nameOfCustomer, StateBadges, stateOf } from "./customers.js";
import { Form, ModalDialog } from "./dialogs.js";
import { FollowUpForm, mayFollowUp } from "./follow_up.js";
import { notice } from "./notices.js";
import { managing, now } from "./now.js";
import { nameOf } from "./people.js";
import { all, ask, ofCustomer, read, refusalOf } from "./requests.js";
import { currentList, customerOf, keep, useRefresh } from "./store.js";
import { VerbButtons } from "./verbs.js";
import { html, useEffect, useRef, useState } from "./view.js";
import { moment, number, reason, say, sayable } from "./words.js";

const EVENTS_OF_HOLDERS = ["claimed", "assigned", "transferred", "converted", "won"];
const UNREAD = { events: null, blocking: [], error: null };
const ENDS_OF_HOLDERS = ["released", "reclaimed", "expired", "deposited", "transferred", "set_aside"];

/** The panel, open while the address names a customer. */
export function CustomerPanel() {
  const id = place.value.customer;
  if (!id || now.phase !== "ready" || now.pool === null) return null;
  return html`<${Panel} key=${now.pool.id} id=${id}/>`;
}

function Panel({ id }) {
  const [known, setKnown] = useState({ id, ...UNREAD });
  const about = known.id === id ? known : UNREAD; // not the data of the customer shown before
  const latest = useRef(0);
  const customer = customerOf(id);
  const reload = async () => {
    latest.current += 1;
    const asked = latest.current;
    try {
      const [current, events] = await Promise.all([read(ofCustomer(id)), all(ofCustomer(id, "/history"))]);
      keep(current);
      const blocking = current.state === "available" && now.me ? (await read(ofCustomer(id, "/eligibility"))).blocking : [];
      if (asked === latest.current) setKnown({ id, events, blocking, error: null });
    } catch (error) {
      refusalOf(error);
      if (asked === latest.current) setKnown({ id, ...UNREAD, error });
    }
  };
  useEffect(() => { reload(); }, [id]);
  useEffect(() => { if (about.events !== null) reload(); }, [customer?.version]);
  useRefresh(reload);
  const list = currentList.value;
  const title = customer ? nameOfCustomer(customer) : say("customer.title");
  const head = html`<${Neighbours} id=${id} list=${list}/>`;
  return html`<${ModalDialog} title=${title} kind="panel" close=${closeCustomer} head=${head}>
    <div class="customer">
      ${about.error ? html`<${Failed} error=${about.error} again=${reload}/>`
        : customer === null || customer.partial ? html`<${Reading}/>`
          : html`<${About} key=${id} customer=${customer} events=${about.events} blocking=${about.blocking} list=${list}/>`}
    </div>
  </${ModalDialog}>`;
}

/** The previous and the next customer of the list. */
function Neighbours({ id, list }) {
  const at = list?.ids.indexOf(id) ?? -1;
  if (at < 0) return null;
  const to = (other) => (other ? () => go({ customer: other }, { replace: true }) : null);
  const [before, after] = [to(list.ids[at - 1]), to(list.ids[at + 1])];
  return html`<span class="neighbours">
    <button type="button" class="quiet" aria-label=${say("customer.previous")} disabled=${!before} onClick=${before}>↑</button>
    <button type="button" class="quiet" aria-label=${say("customer.next")} disabled=${!after} onClick=${after}>↓</button></span>`;
}

function About({ customer, events, blocking, list }) {
  const [editing, setEditing] = useState(false);
  const mayEdit = (mine(customer) && ["claimed", "private"].includes(stateOf(customer))) || managing();
  return html`
    <div class="facts"><${StateBadges} customer=${customer}/>
      ${customer.holder && html`<span>${say("customer.holder", { holder: nameOf(customer.holder) })}</span>`}
      ${stateOf(customer) === "claimed" && html`<${Deadline} customer=${customer}/>`}</div>
    <div class="buttons start"><${VerbButtons} customer=${customer} list=${list}/></div>
    ${blocking.length > 0 && html`<div class="why-not"><h3>${say("customer.why_not")}</h3>
      <ul>${blocking.map((each) => html`<li>${reason(each)}</li>`)}</ul></div>`}
    <section><h3>${say("customer.notes")}</h3>
      ${mayFollowUp(customer) && html`<${FollowUpForm} key=${`${customer.id}-${customer.version}`} customer=${customer} done=${() => {}} focused=${false}/>`}
      ${events === null ? html`<${Reading}/>` : html`<${Notes} events=${events}/>`}</section>
    <section><div class="section-head"><h3>${say("customer.details")}</h3>
        ${mayEdit && !editing && html`<${Button} label=${say("customer.edit_name", { name: nameOfCustomer(customer) })} act=${() => setEditing(true)}>${say("customer.edit")}</${Button}>`}</div>
      ${editing ? html`<${EditForm} customer=${customer} done=${() => setEditing(false)}/>` : html`<${Details} customer=${customer}/>`}</section>
    ${events !== null && html`<${Holders} events=${events}/><${History} events=${events}/>`}`;
}

/** The same, or other words for what only a later version of the service knows. */
function sayOr(other, key, values) {
  return sayable(key) ? say(key, values) : other;
}

/** What people wrote, the newest first. */
function Notes({ events }) {
  const written = events.filter((event) => event.reason || event.outcome || event.masked).toReversed();
  if (written.length === 0) return html`<${Empty}>${say("customer.no_notes")}</${Empty}>`;
  return html`<ol class="notes">${written.map((event) => html`<li key=${event.seq}>
    <p>${event.masked ? say("customer.reason_hidden") : html`<bdi>${[event.outcome, event.reason].filter(Boolean).join(": ")}</bdi>`}</p>
    <p class="quiet-text">${nameOf(event.by)} · ${sayOr(event.type, `event.short.${event.type}`)} · <${When} at=${event.at}/></p></li>`)}</ol>`;
}

function Details({ customer }) {
  const fields = Object.entries(customer.fields ?? {}).filter(([, value]) => value !== null && value !== "");
  const moments = { entered_pool_at: "entered", claimed_at: "claimed", expires_at: "expires", last_follow_up_at: "followed_up", created_at: "created" };
  return html`<dl class="facts-table">
      ${fields.map(([name, value]) => html`<div key=${name}><dt>${fieldName(name)}</dt><dd><${FieldValue} name=${name} value=${value}/></dd></div>`)}
      ${Object.entries(moments).filter(([name]) => customer[name]).map(([name, key]) => html`<div key=${name}><dt>${say(`customer.${key}`)}</dt><dd>${moment(customer[name])}</dd></div>`)}
      <div><dt>${say("customer.returns")}</dt><dd>${number(customer.returns)}</dd></div>
      <div><dt>${say("customer.id")}</dt><dd>${customer.id}</dd></div>
    </dl>
    ${customer.masked && html`<p class="hint">${say("customer.masked")}</p>`}`;
}

function EditForm({ customer, done }) {
  const hidden = ({ key }) => customer.masked && String(customer.fields?.[key] ?? "").includes("*");
  const fields = now.pool.fields.filter((field) => !hidden(field));
  const save = async (values) => {
    const changed = {};
    for (const field of fields) {
      const value = fieldValueOf(field, values[`field.${field.key}`]);
      if (JSON.stringify(value) !== JSON.stringify(customer.fields?.[field.key] ?? null)) changed[field.key] = value;
    }
    const body = { ...(values.name !== customer.name && { name: values.name }), ...(Object.keys(changed).length && { fields: changed }) };
    if (managing() && Number(values.priority) !== customer.priority) body.priority = Number(values.priority);
    if (Object.keys(body).length) keep(await ask("PATCH", ofCustomer(customer.id), body, { ifMatch: customer.version }));
    notice(say("customer.saved"));
    done();
  };
  return html`<${Form} verb=${say("save")} act=${save} cancel=${done} draft=${`edit-${customer.id}`}>
    <${Field} label=${fieldName("name")}><input name="name" required maxlength="200" value=${customer.name}/></${Field}>
    <div class="fields">${fields.map((field) => html`<${FieldControl} key=${field.key} field=${field} value=${customer.fields?.[field.key] ?? ""}/>`)}</div>
    ${managing() && html`<${Field} label=${fieldName("priority")}><input name="priority" type="number" value=${customer.priority}/></${Field}>`}
  </${Form}>`;
}

const INPUTS = { number: "number", date: "date", email: "email", phone: "tel", url: "url" };

function FieldControl({ field, value }) {
  const name = `field.${field.key}`;
  const label = fieldName(field.key);
  if (field.type === "bool") return html`<${Field} label=${label}><${Choice} name=${name} value=${String(value)} options=${{ "": "", true: say("yes"), false: say("no") }}/></${Field}>`;
  if (field.type === "choice") {
    const options = Object.fromEntries(["", ...new Set([...(field.options ?? []), value])].map((each) => [each, each]));
    return html`<${Field} label=${label}><${Choice} name=${name} value=${value} options=${options}/></${Field}>`;
  }
  const text = Array.isArray(value) ? value.join(", ") : value;
  return html`<${Field} label=${label}><input name=${name} type=${INPUTS[field.type] ?? "text"} step="any" value=${text} required=${field.required} autocomplete="off"/></${Field}>`;
}

function fieldValueOf(field, text) {
  if (text === "" || text === undefined) return null;
  if (field.type === "number") return Number(text);
  if (field.type === "bool") return text === "true";
  if (field.type === "choices") return text.split(/[,，、]/).map((each) => each.trim()).filter(Boolean);
  return text;
}

/** Who has held the customer, from when to when. */
function Holders({ events }) {
  const holders = [];
  for (const event of events) {
    const last = holders.at(-1);
    if (ENDS_OF_HOLDERS.includes(event.type) && last && !last.until) last.until = event.at;
    if (EVENTS_OF_HOLDERS.includes(event.type) && event.holder && last?.holder !== event.holder) holders.push({ holder: event.holder, from: event.at });
    else if (EVENTS_OF_HOLDERS.includes(event.type) && last?.until) holders.push({ holder: event.holder, from: event.at });
  }
  if (holders.length === 0) return null;
  return html`<section><h3>${say("customer.holders")}</h3><ol class="holders">${holders.toReversed().map((each) => html`<li>
    <strong>${nameOf(each.holder)}</strong> <span class="quiet-text"><${When} at=${each.from}/> – ${each.until && html`<${When} at=${each.until}/>`}</span></li>`)}</ol></section>`;
}

/** The key of the sentence of an event: a private customer that returned had no claim. */
function sentenceOf({ type, from_state: from }) {
  return type === "expired" && from === "private" ? "event.expired_private" : `event.${type}`;
}

function History({ events }) {
  return html`<section class="history"><h3>${say("customer.history")}</h3>
    <ol>${events.toReversed().map((event) => html`<li key=${event.seq}>
      <span class="when">${moment(event.at)}</span>
      <span>${sayOr(`${nameOf(event.by)}: ${event.type}`, sentenceOf(event), { by: nameOf(event.by), holder: event.holder ? nameOf(event.holder) : "" })}</span>
      ${event.changed.length > 0 && html`<span class="quiet-text">${event.changed.map(fieldName).join(" · ")}</span>`}
    </li>`)}</ol></section>`;
}
