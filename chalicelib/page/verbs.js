// What may be done with customers, each verb once: when it is offered, what is asked first, what is sent, for one
// customer and for many. The service decides; after a refusal the row shows the customer as it is now, and the reason.

import { linkTo, place } from "./address.js";
import { Button, Choice, Field } from "./components.js";
import { claimable, mine, nameOfCustomer, stateOf } from "./customers.js";
import { openForm } from "./dialogs.js";
import { DurationField, isoOf } from "./durations_field.js";
import { notice } from "./notices.js";
import { managing, myId, now, refreshMe } from "./now.js";
import { nameOf, rememberPeople } from "./people.js";
import { all, change, inPieces, inPool, ofCustomer, read, Refused } from "./requests.js";
import { keep, readAgain } from "./store.js";
import { batch, html } from "./view.js";
import { number, reason, say } from "./words.js";

const open = () => now.pool.status === "open";
const held = (customer) => stateOf(customer) === "claimed";
const owned = (customer) => stateOf(customer) === "private";
const others = (customer) => managing() && customer.holder !== myId();

/**
 * By name: `may(customer)`, `path`, `body(values, customer)`, `ask(customers)` with { body, draft } of a form, `kind` of the
 * button, `one` where the verb takes no batch, `words` for what was done where that depends on the customer.
 */
export const VERBS = {
  claim: { path: "claim", kind: "main", may: (c) => open() && now.me !== null && c.state === "available" && claimable(c) },
  claim_again: { path: "claim", kind: "main", may: (c) => open() && now.me !== null && stateOf(c) === "expired" },
  extend: {
    path: "extend",
    may: (c) => held(c) && c.expires_at !== null && (managing() || (mine(c) && now.pool.policy.members_may_extend)),
    ask: () => ({ body: html`<${DurationField} name="by" label=${say("verb.extend_by")} value=${now.pool.policy.extension ?? "P1D"}/>` }),
    body: (values, customer) => ({ by: isoOf(values, "by"), ...(customer && { claim_id: customer.claim_id }) }),
  },
  win: {
    path: "win",
    may: (c) => held(c) && !c.win_requested_at && (mine(c) || managing()) && (now.pool.policy.win !== "manager" || managing()),
    ask: (customers) => ({
      draft: customers.length === 1 && `win-${customers[0].id}`,
      body: html`<p class="quiet-text">${say("verb.win_about")}</p>
        <${Field} label=${say("verb.win_amount")}><input name="amount" inputmode="decimal" autocomplete="off" pattern="[0-9]{1,15}([.][0-9]{1,2})?" placeholder="1200.50"/></${Field}>
        <${Field} label=${say("verb.note")}><textarea name="note" rows="2" maxlength="2000"></textarea></${Field}>`,
    }),
    body: ({ amount, note }) => ({ ...(amount && { amount }), ...(note && { note }) }),
    words: (c) => say(c.state === "private" ? "verb.won" : "verb.win_requested"),
  },
  approve: { path: "win/approve", kind: "main", may: (c) => managing() && held(c) && Boolean(c.win_requested_at), words: () => say("verb.won") },
  decline: {
    path: "win/decline", one: true, may: (c) => managing() && held(c) && Boolean(c.win_requested_at),
    ask: (customers) => ({ draft: `decline-${customers[0].id}`, body: html`<${ReasonField} required/>` }),
    body: ({ reason: why }) => ({ reason: why }),
  },
  release: {
    path: "release", kind: "warn", may: (c) => held(c) && mine(c),
    ask: askReason,
    body: reasonBody,
  },
  take_back: { path: "release", kind: "warn", may: (c) => held(c) && others(c), ask: askReason, body: reasonBody },
  assign: { path: "assign", may: (c) => managing() && open() && claimable(c), ask: askMember, body: ({ to }) => ({ to }), to: true },
  transfer: {
    path: "transfer", may: (c) => managing() && (held(c) || owned(c)), ask: askMember, body: ({ to }) => ({ to }), to: true,
  },
  deposit: {
    path: "deposit", may: (c) => owned(c) && (mine(c) || managing()),
    ask: () => ({ body: html`<p>${say("verb.deposit_about")}</p>` }),
  },
  restore: { path: "restore", one: true, may: (c) => managing() && Boolean(c.set_aside_at) },
  unpin: { path: "unpin", may: (c) => held(c) && (mine(c) || managing()) && Boolean(c.pinned_until) },
};

/** The verbs that one may use with a customer, of those named. */
function verbsFor(customer, names = Object.keys(VERBS)) {
  return names.filter((name) => VERBS[name].may(customer));
}

/**
 * Do it with those customers: ask first where the verb asks, then send, then show what has come of it in the list.
 * `together` sends a batch, whose results are listed, also for one.
 */
export async function perform(name, customers, list, together = customers.length > 1) {
  const verb = VERBS[name];
  const asked = await verb.ask?.(customers);
  const carryOut = (values) => (together ? performAll(name, customers, values, list) : performOne(name, customers[0], values, list));
  if (!asked) return carryOut({});
  const one = customers.length === 1;
  openForm({
    title: one ? say(`verb.${name}_name`, { name: nameOfCustomer(customers[0]) }) : say(`verb.${name}_count`, { count: customers.length }),
    body: html`${!one && html`<${NamesOf} customers=${customers}/>`}${asked.body}`,
    verb: say(`verb.${name}`), verbKind: verb.kind ?? "main", draft: asked.draft || null,
    act: carryOut,
  });
}

async function performOne(name, customer, values, list) {
  const verb = VERBS[name];
  try {
    const changed = await change(ofCustomer(customer.id, `/${verb.path}`), verb.body?.(values, customer));
    settle(name, changed, values, list);
  } catch (error) {
    if (!(error instanceof Refused) || ![403, 404, 409, 412].includes(error.status)) throw error;
    await refused(customer.id, error.refusal, list);
  }
  refreshMe();
}

async function performAll(name, customers, values, list) {
  const verb = VERBS[name];
  const path = inPool(`/${verb.path}`);
  const body = verb.body?.(values, null);
  const answer = await inPieces(customers.map(({ id }) => id), (piece) => change(path, { customer_ids: piece, ...body }));
  const failed = answer.results.filter((result) => !result.ok);
  batch(() => {
    for (const result of answer.results) if (result.ok) settle(name, result.customer, values, list, true);
  });
  for (const result of failed) list?.note(result.id, reason(result));
  // In one request for each hundred, and not one by one.
  if (failed.length) await inPieces(failed.map(({ id }) => id), (ids) => readAgain(ids).then(() => ({ results: [], summary: { ok: 0, failed: 0 } })));
  if (list) {
    list.results = { ...answer, done: doneWords(name, null, values) };
    list.ticked = new Set();
  }
  if (answer.summary.ok > 0) refreshMe();
}

/** Show a changed customer, or where it went if it is no longer of the list. */
function settle(name, changed, values, list, quiet = false) {
  const words = doneWords(name, changed, values);
  keep(changed);
  if (list && !list.belongs(changed)) {
    list.remove(changed.id);
    list.left?.(changed);
  } else list?.note(changed.id, words, "good");
  if (!quiet) notice(`${nameOfCustomer(changed)}: ${words}`, "good", openLink(changed));
}

function openLink(customer) {
  const gone = customer.state === "private" && !mine(customer) && !managing();
  return gone || place.value.customer === customer.id ? null : { href: linkTo({ ...place.value, customer: customer.id }), words: say("open") };
}

function doneWords(name, changed, values) {
  const verb = VERBS[name];
  if (changed && verb.words) return verb.words(changed);
  return say(`verb.${name}_done`, verb.to ? { to: nameOf(values.to) } : {});
}

/** After a refusal: the customer as it is now, and the reason. */
async function refused(id, refusal, list) {
  try {
    keep(await read(ofCustomer(id)));
    if (list?.ids.includes(id)) list.note(id, reason(refusal));
    else notice(reason(refusal), "bad");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 404) list?.remove(id);
    notice(reason(refusal), "bad");
  }
}

// What is asked first

function askReason(customers) {
  return {
    draft: customers.length === 1 && `release-${customers[0].id}`,
    body: html`<${ReasonField} required=${Boolean(now.pool.policy.reason_required)}/>`,
  };
}

function reasonBody({ reason: why }, customer) {
  return { ...(why && { reason: why }), ...(customer?.holder === myId() && { claim_id: customer.claim_id }) };
}

/** A reason, with the usual ones to choose from. */
function ReasonField({ required }) {
  return html`<${Field} label=${say(required ? "verb.reason_required" : "verb.reason")}>
      <input name="reason" type="text" maxlength="500" required=${required} autocomplete="off" list="usual-reasons"/></${Field}>
    <datalist id="usual-reasons">${say("verb.usual_reasons").split("|").map((each) => html`<option value=${each}></option>`)}</datalist>`;
}

async function askMember() {
  const members = await all(inPool("/members"));
  for (const member of members) rememberPeople({ [member.user_id]: { name: member.name } });
  const options = Object.fromEntries(members.map((member) => [member.user_id, member.headroom === null ? nameOf(member.user_id)
    : say("verb.headroom", { user: nameOf(member.user_id), count: number(member.headroom) })]));
  return { body: html`<${Field} label=${say("verb.to")}><${Choice} name="to" options=${options}/></${Field}>` };
}

function NamesOf({ customers }) {
  return html`<ul class="names">
    ${customers.slice(0, 10).map((each) => html`<li><bdi>${nameOfCustomer(each)}</bdi></li>`)}
    ${customers.length > 10 && html`<li>${say("and_more", { count: customers.length - 10 })}</li>`}
  </ul>`;
}

/** Buttons of those verbs that one may use with this customer. */
export function VerbButtons({ customer, names, list }) {
  const name = nameOfCustomer(customer);
  return verbsFor(customer, names).map((each) => html`<${Button} key=${each} verb=${each} kind=${VERBS[each].kind ?? ""}
    label=${say(`verb.${each}_name`, { name })} act=${() => perform(each, [customer], list)}>${say(`verb.${each}`)}</${Button}>`);
}
