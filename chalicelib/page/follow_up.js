// A follow-up, written where the reader is: in the row, or beside the customer's notes.

import { Button, Field } from "./components.js";
import { mine, nameOfCustomer, stateOf } from "./customers.js";
import { Form } from "./dialogs.js";
import { notice } from "./notices.js";
import { managing } from "./now.js";
import { change, ofCustomer } from "./requests.js";
import { keep } from "./store.js";
import { html } from "./view.js";
import { say } from "./words.js";

/** Who may record one: the holder, the private owner, a manager. */
export function mayFollowUp(customer) {
  return ["claimed", "private"].includes(stateOf(customer)) && (mine(customer) || managing());
}

/** A button that opens and closes the form. */
export function FollowUpButton({ customer, toggle }) {
  return mayFollowUp(customer) && html`<${Button} verb="follow_up" label=${say("follow_up.name", { name: nameOfCustomer(customer) })}
    act=${toggle}>${say("follow_up")}</${Button}>`;
}

/** The form. `done` closes it. */
export function FollowUpForm({ customer, done, cancel = null, focused = true }) {
  const record = async ({ note, outcome }) => {
    const body = { ...(note && { note }), ...(outcome && { outcome }) };
    const changed = await change(ofCustomer(customer.id, "/follow-up"), body);
    keep(changed);
    notice(`${nameOfCustomer(customer)}: ${say("follow_up.done")}`);
    done(changed);
  };
  return html`<div class="follow-up"><${Form} verb=${say("follow_up.save")} draft=${`note-${customer.id}`} act=${record} cancel=${cancel} focused=${focused}>
    <${Field} label=${say("follow_up.note")}><textarea name="note" rows="2" maxlength="2000"></textarea></${Field}>
    <${Field} label=${say("follow_up.outcome")}><input name="outcome" maxlength="64" autocomplete="off" list="usual-outcomes"/></${Field}>
    <datalist id="usual-outcomes">${say("follow_up.usual_outcomes").split("|").map((each) => html`<option value=${each}></option>`)}</datalist>
  </${Form}></div>`;
}
