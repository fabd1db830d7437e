// What a field is filtered by: values to tick or to type, or a range.

import { go, place } from "./address.js";
import { Field } from "./components.js";
import { fieldName } from "./customers.js";
import { openForm } from "./dialogs.js";
import { html } from "./view.js";
import { say } from "./words.js";

export function chooseFilter(field) {
  const chosen = place.value.filters[field.key] ?? "";
  openForm({
    title: say("filter.by", { field: fieldName(field.key) }),
    body: filterControls(field, chosen),
    verb: say("filter.apply"),
    act: (values) => go({ filters: { ...place.value.filters, [field.key]: filterText(field, values) || null } }, { replace: true }),
  });
}

function filterControls(field, chosen) {
  if (field.type === "number" || field.type === "date") {
    const [from, to] = chosen.includes("..") ? chosen.split("..") : [chosen, chosen];
    const type = field.type;
    return html`<div class="fields">
      <${Field} label=${say("filter.from")}><input name="from" type=${type} step="any" value=${from}/></${Field}>
      <${Field} label=${say("filter.to")}><input name="to" type=${type} step="any" value=${to}/></${Field}></div>`;
  }
  const options = field.type === "bool" ? { true: say("yes"), false: say("no") }
    : field.options?.length ? Object.fromEntries(field.options.map((each) => [each, each])) : null;
  if (options === null) return html`<${Field} label=${fieldName(field.key)} hint=${say("filter.hint")}><input name="text" value=${chosen} autocomplete="off"/></${Field}>`;
  const on = new Set(chosen.split(","));
  return html`<fieldset><legend>${fieldName(field.key)}</legend>${Object.entries(options).map(([value, words], i) => html`
    <label class="option"><input type="checkbox" name=${`option${i}`} data-value=${value} checked=${on.has(value)}/>${words}</label>`)}</fieldset>`;
}

function filterText(field, values) {
  if (field.type === "number" || field.type === "date") return values.from || values.to ? `${values.from}..${values.to}` : "";
  if ("text" in values) return values.text.replaceAll("，", ",").split(",").map((each) => each.trim()).filter(Boolean).join(",");
  const options = field.type === "bool" ? ["true", "false"] : field.options;
  return options.filter((_, i) => values[`option${i}`]).join(",");
}
