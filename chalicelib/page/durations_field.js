// A length of time in a form: a number and a unit, as people give it; ISO 8601 for the service.

import { Choice, Field } from "./components.js";
import { html } from "./view.js";
import { milliseconds, say, UNITS } from "./words.js";

const ISO = { D: "P{n}D", H: "PT{n}H", M: "PT{n}M" };

/** Two controls, `name` and `name`_unit; `value` is ISO 8601. */
export function DurationField({ name, label, value, hint }) {
  const ms = milliseconds(value);
  const unit = ["D", "H", "M"].find((each) => ms % UNITS[each] === 0) ?? "M";
  return html`<div class="with-unit">
    <${Field} label=${label} hint=${hint}><input name=${name} type="number" min="1" step="1" required value=${ms / UNITS[unit]}/></${Field}>
    <${Choice} name=${`${name}_unit`} aria-label=${say("units")} value=${unit}
      options=${Object.fromEntries(Object.keys(ISO).map((each) => [each, say(`units.${each}`)]))}/>
  </div>`;
}

/** The length that was given in a form. */
export function isoOf(values, name) {
  return ISO[values[`${name}_unit`]].replace("{n}", String(Number(values[name])));
}
