// Verbs that few people need, loaded with one customer in full and with the screens of managers.

import { Field } from "./components.js";
import { mine, stateOf } from "./customers.js";
import { managing, now } from "./now.js";
import { nameOf } from "./people.js";
import { VERBS } from "./verbs.js";
import { html } from "./view.js";
import { say } from "./words.js";

const isHeld = (customer) => stateOf(customer) === "claimed";

Object.assign(VERBS, {
  convert: { path: "convert", may: (c) => managing() && isHeld(c), ask: () => ({ body: html`<p>${say("verb.convert_about")}</p>` }) },
  pin: {
    path: "pin", one: true,
    may: (c) => isHeld(c) && (mine(c) || managing()) && !c.pinned_until && now.pool.policy.pin_limit !== 0,
    ask: () => ({ body: html`<${Field} label=${say("verb.pin_until")}><input name="until" type="date" required/></${Field}>` }),
    body: ({ until }) => ({ until: new Date(`${until}T23:59:59`).toISOString() }),
  },
  suppress: {
    path: "suppress", kind: "warn", one: true, may: (c) => managing() && !c.suppressed_at && c.state !== "private",
    ask: ([customer]) => ({
      body: html`<p>${say("verb.suppress_about")}</p>
        ${isHeld(customer) && html`<p class="refused">${say("verb.suppress_held", { holder: nameOf(customer.holder) })}</p>`}`,
    }),
    body: (_, customer) => (customer.state === "claimed" ? { force: true } : {}),
  },
  unsuppress: {
    path: "unsuppress", one: true, may: (c) => managing() && Boolean(c.suppressed_at),
    ask: () => ({ body: html`<p>${say("verb.unsuppress_about")}</p>` }),
  },
});
