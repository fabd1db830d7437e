// Controls of rules. Each takes the value of a policy and calls `change` with the new one; an empty control is null, which
// turns the rule off.

import { Button, Choice } from "./components.js";
import { fieldName } from "./customers.js";
import { now } from "./now.js";
import { html, useMemo, useState } from "./view.js";
import { milliseconds, say, tag, UNITS } from "./words.js";

const WRITTEN = { W: "P{n}W", D: "P{n}D", H: "PT{n}H", M: "PT{n}M", S: "PT{n}S" };

export function CountControl({ value, change, ...more }) {
  return html`<input type="number" min="0" step="1" value=${value ?? ""} ...${more}
    onInput=${({ target }) => change(target.value === "" ? null : Number(target.value))}/>`;
}

/** A share of all, in percent. */
export function ShareControl({ value, change, ...more }) {
  const percent = value === null ? "" : Math.round(value * 10_000) / 100;
  return html`<input type="number" min="1" max="100" step="any" value=${percent} ...${more}
    onInput=${({ target }) => change(target.value === "" ? null : Number(target.value) / 100)}/>`;
}

export function YesControl({ value, change, ...more }) {
  return html`<input type="checkbox" checked=${Boolean(value)} ...${more} onChange=${({ target }) => change(target.checked)}/>`;
}

/** One of a few values; "" stands for null. */
export function ChoiceControl({ value, change, options, ...more }) {
  return html`<${Choice} options=${options} value=${value ?? ""} ...${more} onChange=${({ target }) => change(target.value || null)}/>`;
}

/** A number with a unit. An untouched length keeps its spelling: P1W stays one week. */
export function LengthControl({ value, change, ...more }) {
  const { count, unit: given } = inOneUnit(value);
  const [chosen, setChosen] = useState(given);
  const unit = value === null ? chosen : given; // an empty control has only the unit that was chosen last
  const write = (many, each) => { setChosen(each); change(many === "" ? null : WRITTEN[each].replace("{n}", String(Number(many)))); };
  const choose = ({ target }) => write(count, target.value);
  return html`<span class="duration"><input type="number" min="1" step="1" value=${count} ...${more} onInput=${({ target }) => write(target.value, unit)}/>
    <${Choice} aria-label=${say("units")} value=${unit} options=${unitNames()} onChange=${choose}/></span>`;
}

function unitNames() {
  return Object.fromEntries(Object.keys(WRITTEN).map((unit) => [unit, say(`units.${unit}`)]));
}

/** A length as it was given, or in the largest unit that divides it. */
function inOneUnit(iso) {
  if (iso === null) return { count: "", unit: "D" };
  const given = /^P(?:T(\d+)([HMS])|(\d+)([WD]))$/.exec(iso);
  if (given) return { count: Number(given[1] ?? given[3]), unit: given[2] ?? given[4] };
  const ms = milliseconds(iso);
  const unit = ["D", "H", "M", "S"].find((each) => ms % UNITS[each] === 0) ?? "S";
  return { count: ms / UNITS[unit], unit };
}

/** Several lengths, each with a button that removes it. */
export function LengthsControl({ value, change, id, ...more }) {
  const lengths = value ?? [];
  const put = (i, length) => change(lengths.map((each, j) => (i === j ? length : each)).filter(Boolean));
  return html`<ul class="lengths">${lengths.map((each, i) => html`<li key=${i}>
      <${LengthControl} value=${each} change=${(length) => put(i, length)} id=${i === 0 ? id : undefined} ...${more} aria-label=${say("rules.length_of", { n: i + 1 })}/>
      <${Button} kind="quiet" label=${say("rules.remove_length", { n: i + 1 })} act=${() => put(i, null)}>✕</${Button}></li>`)}
    <li><${Button} id=${lengths.length === 0 ? id : undefined} act=${() => change([...lengths, "P1D"])}>${say("rules.add_length")}</${Button}></li></ul>`;
}

/** Fields of the pool to tick, and the names of fields that it does not define. */
export function FieldsControl({ value, change, id, ...more }) {
  const chosen = value ?? [];
  const keys = [...new Set([...now.pool.fields.map(({ key }) => key), ...chosen])];
  const tick = (key, on) => change(on ? [...chosen, key] : chosen.filter((each) => each !== key));
  return html`<div class="options" role="group" ...${more}>${keys.map((key, i) => html`<label key=${key} class="option">
    <input type="checkbox" id=${i === 0 ? id : undefined} checked=${chosen.includes(key)} onChange=${({ target }) => tick(key, target.checked)}/>${fieldName(key)}</label>`)}</div>`;
}

export function ZoneControl({ value, change, ...more }) {
  const zones = [...new Set([...(value ? [value] : []), ...Intl.supportedValuesOf("timeZone")])].toSorted();
  const options = { "": say("rules.zone_utc"), ...Object.fromEntries(zones.map((each) => [each, each.replaceAll("_", " ")])) };
  return html`<${ChoiceControl} value=${value} change=${change} options=${options} ...${more}/>`;
}

/** The countries of the world by their names in the reader's language. */
export function RegionControl({ value, change, ...more }) {
  const options = useMemo(() => {
    const names = new Intl.DisplayNames(tag(), { type: "region", fallback: "none" });
    const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
    const codes = letters.flatMap((one) => letters.map((other) => one + other))
      .filter((code) => !NO_COUNTRIES.has(code) && names.of(code) && new Intl.Locale(`und-${code}`).region === code);
    const named = codes.map((code) => [code, `${names.of(code)} (${code})`]);
    return Object.fromEntries(named.toSorted(([, one], [, other]) => one.localeCompare(other, tag())));
  }, [tag()]);
  return html`<${ChoiceControl} value=${value} change=${change} options=${options} ...${more}/>`;
}

const NO_COUNTRIES = new Set(["EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"]);
