// Limits and territories of several members, edited in one table and saved together.

import { Button, Choice } from "./components.js";
import { fieldName } from "./customers.js";
import { notice } from "./notices.js";
import { now } from "./now.js";
import { ask, inPool, refusalOf } from "./requests.js";
import { html, useState } from "./view.js";
import { number, reason, say } from "./words.js";

const LIMITS = { holding_limit: "me.held", private_limit: "state.private" };

/** Lists the members that the reader may change, with a control for each limit and for the territory. */
export function LimitsTable({ members, done }) {
  const [typed, setTyped] = useState(() => Object.fromEntries(members.map((member) => [member.user_id, typedOf(member)])));
  const [wrong, setWrong] = useState({});
  const put = (user, key, value) => setTyped((before) => ({ ...before, [user]: { ...before[user], [key]: value } }));
  const save = async () => {
    const changed = members.map((member) => [member, changesOf(member, typed[member.user_id])]).filter(([, changes]) => Object.keys(changes).length > 0);
    const refused = {};
    for (const [{ user_id: user }, changes] of changed) {
      await ask("PATCH", inPool(`/members/${encodeURIComponent(user)}`), changes).catch((error) => { refused[user] = reason(refusalOf(error)); });
    }
    setWrong(refused);
    notice(say("team.limits_saved", { count: changed.length - Object.keys(refused).length }));
    if (Object.keys(refused).length === 0) await done();
  };
  const heads = ["team.member", ...Object.values(LIMITS), "team.takes"];
  return html`<div class="scrolls-wide"><table class="plain"><thead><tr>${heads.map((key) => html`<th scope="col">${say(key)}</th>`)}</tr></thead>
      <tbody>${members.map((member) => html`<${LimitsRow} key=${member.user_id} member=${member} typed=${typed[member.user_id]} wrong=${wrong[member.user_id]}
        put=${(key, value) => put(member.user_id, key, value)}/>`)}</tbody></table></div>
    <div class="buttons"><${Button} act=${done}>${say("cancel")}</${Button}><${Button} kind="main" act=${save}>${say("team.limits_save")}</${Button}></div>`;
}

function LimitsRow({ member, typed, wrong, put }) {
  const name = member.name ?? member.user_id;
  const usual = (limit) => (limit === null ? say("team.limits_none") : say("team.limits_usual", { limit: number(limit) }));
  const fields = now.pool.fields.filter((field) => field.filter);
  const options = { "": say("team.takes_any"), ...Object.fromEntries(fields.map(({ key }) => [key, fieldName(key)])) };
  return html`<tr data-id=${member.user_id}><th scope="row"><bdi>${name}</bdi>${wrong && html`<p class="refused" role="alert">${wrong}</p>`}</th>
    ${Object.entries(LIMITS).map(([key, column]) => html`<td key=${key}><input type="number" min="0" step="1" value=${typed[key]} placeholder=${usual(now.pool.policy[key])}
      aria-label=${say("team.limits_cell", { column: say(column), name })} onInput=${({ target }) => put(key, target.value)}/></td>`)}
    <td><span class="with-unit"><${Choice} options=${options} value=${typed.field} aria-label=${say("team.takes_field", { name })} onChange=${({ target }) => put("field", target.value)}/>
      ${typed.field && html`<input value=${typed.values} placeholder=${say("team.takes_hint")} aria-label=${say("team.takes_values", { name })}
        list=${`takes-${typed.field}`} autocomplete="off" onInput=${({ target }) => put("values", target.value)}/>`}</span></td></tr>`;
}

/** What stands in the controls. An empty limit is the pool's. */
function typedOf(member) {
  const [field = "", values = []] = Object.entries(member.takes ?? {})[0] ?? [];
  const limits = Object.keys(LIMITS).map((key) => [key, member[key] === now.pool.policy[key] ? "" : String(member[key] ?? "")]);
  return { ...Object.fromEntries(limits), field, values: values.join(", ") };
}

/** What differs from before, as the service takes it. */
function changesOf(member, typed) {
  const before = typedOf(member);
  const limits = Object.keys(LIMITS).filter((key) => typed[key] !== before[key]).map((key) => [key, typed[key] === "" ? null : Number(typed[key])]);
  const takesChange = typed.field !== before.field || (typed.field && typed.values !== before.values);
  return { ...Object.fromEntries(limits), ...(takesChange && { takes: typed.field ? { [typed.field]: partsOf(typed.values) } : null }) };
}

function partsOf(text) {
  return text.split(/[,，、]/).map((each) => each.trim()).filter(Boolean);
}
