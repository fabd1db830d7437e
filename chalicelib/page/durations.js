// A length of time as a person gives it, a number and a unit, and as the service takes it, ISO 8601.

import { element } from "./element.js";
import { choice } from "./parts.js";
import { milliseconds, say, UNITS } from "./words.js";

const WRITTEN = { W: "P{n}W", D: "P{n}D", H: "PT{n}H", M: "PT{n}M", S: "PT{n}S" };

/** A number with a unit. Empty, where that is allowed, it is null. */
export function durationField(iso, props = {}) {
  const [many, unit] = iso === null ? ["", "D"] : inOneUnit(milliseconds(iso));
  const count = element("input", { type: "number", min: 1, step: 1, value: many, ...props });
  const units = choice(Object.fromEntries(Object.keys(WRITTEN).map((each) => [each, say(`units.${each}`)])), unit,
    { "aria-label": say("units") });
  const view = element("span", { class: "duration" }, count, units);
  // A label is of the number; the unit has its own.
  Object.defineProperty(view, "id", { get: () => count.id, set: (id) => { count.id = id; } });
  return { view, iso: () => (count.value === "" ? null : WRITTEN[units.value].replace("{n}", String(Number(count.value)))) };
}

/** The largest unit that divides it, except weeks: 7 days stay 7 days. */
function inOneUnit(ms) {
  const unit = ["D", "H", "M", "S"].find((each) => ms % UNITS[each] === 0) ?? "S";
  return [ms / UNITS[unit], unit];
}
