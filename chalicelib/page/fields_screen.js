// The fields of the pool's customers: defined, changed, removed. The service checks every change, and returns which part of
// it continues in the background.

import { linkTo, placeWith } from "./address.js";
import { Badge, Button, Choice, Field } from "./components.js";
import { fieldName } from "./customers.js";
import { openForm } from "./dialogs.js";
import { notice } from "./notices.js";
import { now } from "./now.js";
import { ask, inPool, read, refusalOf, Refused } from "./requests.js";
import { html } from "./view.js";
import { say } from "./words.js";

const TYPES = ["text", "number", "date", "choice", "choices", "bool", "phone", "email", "url"];
const MARKS = ["required", "unique", "masked", "list", "filter", "search"];

export function FieldsScreen() {
  const { fields, fields_ready: ready, fields_problem: problem } = now.pool;
  return html`<div class="tools"><${Button} kind="main" act=${() => editField(null)}>${say("fields.add")}</${Button}></div>
    <p class="quiet-text">${say("fields.about")}</p>
    ${ready === false && html`<p class="banner" role="status">${say("fields.working")}</p>`}
    ${Object.entries(problem?.twins ?? {}).map(([key, ids]) => html`<p class="banner" role="status" key=${key}>${say("fields.twins", { name: fieldName(key) })}
      ${ids.map((id) => html` <a href=${linkTo({ ...placeWith({}), customer: id })}>${id}</a>`)}</p>`)}
    <div class="scrolls-wide"><table class="plain"><thead><tr>${["fields.key", "fields.label", "fields.type", "fields.marks"].map((key) => html`<th scope="col">${say(key)}</th>`)}
      <th scope="col">${say("list.verbs")}</th></tr></thead>
      <tbody>${fields.map((field) => html`<tr key=${field.key} data-id=${field.key}>
        <td>${field.key}</td><th scope="row">${fieldName(field.key)}</th><td>${say(`type.${field.type}`)}</td>
        <td>${MARKS.filter((mark) => field[mark]).map((mark) => html`<${Badge}>${say(`mark.${mark}`)}</${Badge}> `)}</td>
        <td><div class="buttons"><${Button} label=${say("fields.edit_name", { name: fieldName(field.key) })} act=${() => editField(field)}>${say("members.edit")}</${Button}>
          <${Button} kind="warn" label=${say("fields.remove_name", { name: fieldName(field.key) })} act=${() => removeField(field)}>${say("members.remove")}</${Button}></div></td>
      </tr>`)}</tbody></table></div>`;
}

/** Send all definitions: one that is left out is removed. */
async function saveFields(fields) {
  try {
    now.pool = { ...now.pool, ...await ask("PATCH", inPool(), { fields }, { ifMatch: now.pool.version }) };
  } catch (error) {
    if (refusalOf(error).code === "version_conflict") now.pool = await read(inPool());
    throw error;
  }
  notice(say("fields.saved"));
}

function editField(field) {
  const given = field ?? { key: "", label: { en: "", zh: "" }, type: "text", options: [] };
  openForm({
    title: field ? say("fields.edit_name", { name: fieldName(field.key) }) : say("fields.add"), verb: say("save"),
    body: html`${!field && html`<${Field} label=${say("fields.key")} hint=${say("fields.key_hint")}><input name="key" required maxlength="64" pattern="[0-9A-Za-z_\\-]+" autocomplete="off"/></${Field}>`}
      <div class="fields"><${Field} label=${say("fields.label_zh")}><input name="zh" required maxlength="64" value=${given.label.zh}/></${Field}>
      <${Field} label=${say("fields.label_en")}><input name="en" required maxlength="64" value=${given.label.en}/></${Field}></div>
      <${Field} label=${say("fields.type")}><${Choice} name="type" value=${given.type} options=${Object.fromEntries(TYPES.map((type) => [type, say(`type.${type}`)]))}/></${Field}>
      <${Field} label=${say("fields.options")} hint=${say("fields.options_hint")}><textarea name="options" rows="3">${(given.options ?? []).join("\n")}</textarea></${Field}>
      <fieldset><legend>${say("fields.marks")}</legend>${MARKS.map((mark) => html`<label class="option"><input type="checkbox" name=${mark} checked=${Boolean(given[mark])}/>${say(`mark.${mark}`)}</label>`)}</fieldset>`,
    async act(values) {
      const taken = !field && now.pool.fields.find(({ key }) => key === values.key);
      if (taken) throw new Refused(409, { code: "taken", detail: say("fields.taken", { name: fieldName(taken.key) }) });
      const options = values.options.split("\n").map((each) => each.trim()).filter(Boolean);
      const made = {
        key: field?.key ?? values.key, label: { en: values.en, zh: values.zh }, type: values.type,
        ...(options.length > 0 && { options }), ...Object.fromEntries(MARKS.map((mark) => [mark, values[mark] === "on"])),
      };
      const others = now.pool.fields.filter((each) => each.key !== made.key);
      const at = field ? now.pool.fields.findIndex((each) => each.key === field.key) : others.length;
      return saveFields([...others.slice(0, at), made, ...others.slice(at)]);
    },
  });
}

function removeField(field) {
  openForm({
    title: say("fields.remove_name", { name: fieldName(field.key) }), verb: say("members.remove"), verbKind: "warn",
    body: html`<p>${say("fields.remove_about")}</p>`,
    act: () => saveFields(now.pool.fields.filter((each) => each.key !== field.key)),
  });
}
