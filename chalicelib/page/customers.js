// Customers as people see them: their state, facts, fields and contact, in words and links.

import { Badge, Countdown } from "./components.js";
import { myId, now } from "./now.js";
import { nameOf } from "./people.js";
import { clock, computed, html } from "./view.js";
import { language, moment, number, say, sayable, since } from "./words.js";

/** The state that a person sees: a customer past its deadline is free, swept or not. */
export function stateOf(customer) {
  if (customer.set_aside_at) return "set_aside";
  if (customer.suppressed_at) return "suppressed";
  if (isExpired(customer)) return "expired";
  return customer.state;
}

const expiries = new WeakMap(); // signals, by customer

/** Whether the deadline has passed: those of claims stop in a pool that is not open. A component that reads it is rendered
 * again at the deadline. */
function isExpired(customer) {
  if (!expiries.has(customer)) {
    const ends = customer.expires_at && new Date(customer.expires_at);
    expiries.set(customer, computed(() => ends !== null && (customer.state === "private" || now.pool.status === "open") && ends <= clock.value));
  }
  return expiries.get(customer).value;
}

export function claimable(customer) {
  return ["available", "expired"].includes(stateOf(customer));
}

export const mine = (customer) => customer.holder === myId();

/** The definition of a field of this pool, or undefined. */
function fieldOf(key) {
  return now.pool.fields.find((field) => field.key === key);
}

/** A field's name in the reader's language: the pool's own label, or the usual one. */
export function fieldName(key) {
  const label = fieldOf(key)?.label?.[language.value];
  if (label) return label;
  return sayable(`field.${key}`) ? say(`field.${key}`) : key;
}

export function nameOfCustomer(customer) {
  return customer.name ?? say("customer.erased");
}

/** The state in a word, and whether a private customer was won: it may also have been converted. */
export function StateBadges({ customer }) {
  const state = stateOf(customer);
  return html`<${Badge} kind=${state}>${say(`state.${state}`)}</${Badge}>
    ${state === "private" && customer.won_at && html` <${Badge} kind="won">${say("won")}</${Badge}>`}
    ${customer.win_requested_at && state === "claimed" && html` <${Badge} kind="near">${say("win_requested")}</${Badge}>`}`;
}

/** A value of a field: a phone or an e-mail address is a link, unless it is masked. */
export function FieldValue({ name, value }) {
  const text = [value].flat().filter((each) => each !== null && each !== undefined).map(valueWords).join(", ");
  const type = fieldOf(name)?.type ?? name;
  if (text === "" || text.includes("*")) return html`<bdi>${text}</bdi>`;
  if (type === "phone") return html`<a class="contact" href=${`tel:${text.replace(/[^\d+;,*#]/g, "")}`}><bdi>${text}</bdi></a>`;
  if (type === "email") return html`<a class="contact" href=${`mailto:${encodeURIComponent(text)}`}><bdi>${text}</bdi></a>`;
  return html`<bdi>${text}</bdi>`;
}

function valueWords(value) {
  if (typeof value === "boolean") return say(value ? "yes" : "no");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Phone, e-mail and the like: the first fields, as they are given. */
export function ContactLine({ customer }) {
  const given = Object.entries(customer.fields ?? {}).filter(([, value]) => value !== null && value !== "");
  if (given.length === 0) return html`<bdi>${customer.id}</bdi>`;
  return given.slice(0, 3).map(([name, value], i) => html`${i > 0 && " · "}<${FieldValue} name=${name} value=${value}/>`);
}

/** Of a customer in the pool: priority, since when or from when it may be claimed, how often it came back. */
export function AvailableFacts({ customer }) {
  if (stateOf(customer) !== "available") return html`<${HeldFacts} customer=${customer}/>`;
  const later = customer.available_at && new Date(customer.available_at) > Date.now();
  return html`${customer.priority > 0 && html`<${Badge} kind="accent">${say("priority", { priority: number(customer.priority) })}</${Badge}>`}
    ${later ? html`<${Badge} kind="near">${say("pool.from", { when: moment(customer.available_at) })}</${Badge}>`
      : customer.available_at && html`<span class="quiet-text" title=${moment(customer.available_at)}>${say("pool.waiting", { length: since(customer.available_at) })}</span>`}
    ${customer.returns > 0 && html`<${Badge}>${say("pool.returned", { count: customer.returns })}</${Badge}>`}`;
}

/** Of a customer that somebody holds: who, and until when. */
function HeldFacts({ customer }) {
  const own = mine(customer) && stateOf(customer) === "claimed";
  return html`${own ? html`<${Badge} kind="claimed-by-me">${say("state.yours")}</${Badge}>` : html`<${StateBadges} customer=${customer}/>`}
    ${customer.holder && !own && html`<span class="quiet-text">${say("customer.holder", { holder: nameOf(customer.holder) })}</span>`}
    ${stateOf(customer) === "claimed" && html`<${Deadline} customer=${customer}/>`}`;
}

/** How long a claim still lasts. */
export function Deadline({ customer }) {
  if (customer.expires_at === null) return html`<${Badge}>${say("mine.no_deadline")}</${Badge}>`;
  if (now.pool.status === "open") return html`<${Countdown} at=${customer.expires_at}/>`;
  return html`<time class="countdown" datetime=${customer.expires_at}>${say("until", { when: moment(customer.expires_at) })}</time>`;
}

/** Of one's own claim: the time left, pinned, extended, when it was last followed up. */
export function ClaimFacts({ customer }) {
  if (stateOf(customer) !== "claimed") return html`<${HeldFacts} customer=${customer}/>`;
  return html`<${Deadline} customer=${customer}/>
    ${customer.win_requested_at && html`<${Badge} kind="near">${say("win_requested")}</${Badge}>`}
    ${customer.pinned_until && html`<${Badge} kind="accent">${say("mine.pinned")}</${Badge}>`}
    ${customer.extensions > 0 && html`<span class="quiet-text">${say("mine.extended", { count: customer.extensions })}</span>`}`;
}
