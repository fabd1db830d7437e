// The pool's members by name: what they hold of what they may, changing that, and taking leave of one.

import { linkTo, placeWith } from "./address.js";
import { Badge, Button, Choice, Empty, Field, Loaded } from "./components.js";
import { fieldName } from "./customers.js";
import { openForm } from "./dialogs.js";
import { notice } from "./notices.js";
import { myId, now, refreshMe } from "./now.js";
import { all, ask, change, inPool, query, Refused } from "./requests.js";
import { session } from "./session.js";
import { LimitsTable } from "./team_limits.js";
import { html, useState } from "./view.js";
import { number, say } from "./words.js";

const ORDERS = { name: "team.by_name", "-held": "team.by_most", held: "team.by_least" };

export function TeamScreen() {
  const [order, setOrder] = useState("name");
  const [editing, setEditing] = useState(false);
  const load = () => all(inPool("/members"), { sort: order });
  return html`<${Loaded} load=${load} on=${`${order} ${now.shown}`}>${(members, reload) => html`
    <div class="tools"><div class="buttons start">
        <${Button} kind="main" act=${() => editMember(null, members, reload)}>${say("members.add")}</${Button}>
        ${members.some(mayChange) && html`<${Button} act=${() => setEditing(!editing)} aria-pressed=${String(editing)}>${say("team.limits")}</${Button}>`}
        ${session.admin && html`<${Button} kind="warn" act=${() => leaveCompany(reload)}>${say("team.leave")}</${Button}>`}</div>
      <${Field} label=${say("team.order")}><${Choice} value=${order} options=${Object.fromEntries(Object.entries(ORDERS).map(([value, key]) => [value, say(key)]))}
        onChange=${(event) => setOrder(event.target.value)}/></${Field}></div>
    ${editing ? html`<${LimitsTable} members=${members.filter(mayChange)} done=${() => { setEditing(false); return reload(); }}/>` : members.length === 0 ? html`<${Empty}>${say("members.none")}</${Empty}>` : html`<div class="scrolls-wide"><table class="plain">
      <thead><tr>${["team.member", "me.held", "state.private", "team.pins", "me.today", "team.takes"].map((key) => html`<th scope="col">${say(key)}</th>`)}
        <th scope="col">${say("list.verbs")}</th></tr></thead>
      <tbody>${members.map((member) => html`<${MemberRow} key=${member.user_id} member=${member} members=${members} reload=${reload}/>`)}</tbody>
    </table></div>`}`}</${Loaded}>`;
}

/** Managers change members, admins everybody. */
function mayChange(member) {
  return session.admin || member.role === "member";
}

function MemberRow({ member, members, reload }) {
  const name = member.name ?? member.user_id;
  const theirs = (state) => linkTo({ ...placeWith({ view: "customers" }), state, holder: member.user_id });
  const count = (used, limit) => (limit === null ? number(used) : say("used_of", { used: number(used), limit: number(limit) }));
  return html`<tr data-id=${member.user_id}>
    <th scope="row"><bdi>${name}</bdi>${member.role === "manager" && html` <${Badge} kind="accent">${say("role.manager")}</${Badge}>`}
      ${!member.seen && html` <${Badge}>${say("team.unseen")}</${Badge}>`}
      ${name !== member.user_id && html`<div class="quiet-text">${member.user_id}</div>`}</th>
    <td class="number"><a href=${theirs("claimed")}>${count(member.held, member.holding_limit)}</a></td>
    <td class="number"><a href=${theirs("private")}>${count(member.private, member.private_limit)}</a></td>
    <td class="number">${number(member.pins)}</td>
    <td class="number">${count(member.claimed_today, member.daily_claim_limit)}</td>
    <td>${Object.entries(member.takes ?? {}).map(([key, values]) => html`<span class="quiet-text">${fieldName(key)}</span> <bdi>${values.join(", ")}</bdi>`)}</td>
    <td><div class="buttons">
      ${mayChange(member) && html`<${Button} verb="edit" label=${say("members.edit_name", { name })} act=${() => editMember(member, members, reload)}>${say("members.edit")}</${Button}>`}
      <${Button} kind="warn" verb="remove" label=${say("members.remove_name", { name })} act=${() => removeMember(member, members, reload)}>${say("members.remove")}</${Button}>
    </div></td></tr>`;
}

/** A new member, or one whose role and limits change. An empty limit is the pool's. */
function editMember(member, members, reload) {
  const usual = (limit) => (limit === null ? say("members.limit_none") : say("members.limit_usual", { limit: number(limit) }));
  const { holding_limit: holding, private_limit: own } = now.pool.policy;
  const given = (value, pools) => (member === null || value === pools ? "" : value);
  const id = (values) => member?.user_id ?? values.user;
  openForm({
    title: member === null ? say("members.add") : say("members.edit_name", { name: member.name ?? member.user_id }),
    verb: say("save"),
    body: html`${member === null && html`<${Field} label=${say("members.user")} hint=${say("members.user_hint")}><input name="user" required autocomplete="off"/></${Field}>`}
      ${session.admin && html`<${Field} label=${say("members.role")}><${Choice} name="role" value=${member?.role ?? "member"} options=${{ member: say("role.member"), manager: say("role.manager") }}/></${Field}>`}
      <${Field} label=${say("members.limit")} hint=${usual(holding)}><input name="holding_limit" type="number" min="0" max="1000000" value=${given(member?.holding_limit, holding)}/></${Field}>
      <${Field} label=${say("members.private_limit")} hint=${usual(own)}><input name="private_limit" type="number" min="0" max="1000000" value=${given(member?.private_limit, own)}/></${Field}>`,
    async act(values) {
      const present = member === null && members.find((each) => each.user_id === values.user);
      if (present) throw new Refused(409, { code: "taken", detail: say("members.taken", { name: present.name ?? present.user_id }) });
      const limits = Object.fromEntries(["holding_limit", "private_limit"].map((key) => [key, values[key] === "" ? null : Number(values[key])]));
      const changed = { ...limits, ...(values.role && { role: values.role }) };
      const path = inPool(`/members/${encodeURIComponent(id(values))}`);
      if (member === null) await ask("PUT", path, { role: "member", ...changed });
      else await ask("PATCH", path, changed);
      notice(say("members.saved", { name: id(values) }));
      if (id(values) === myId()) refreshMe();
      await reload();
    },
  });
}

/** Both questions are asked before anything moves: about what they hold, and about their private customers. */
function removeMember(member, members, reload) {
  const name = member.name ?? member.user_id;
  const heirs = members.filter((each) => each.user_id !== member.user_id);
  openForm({
    title: say("members.remove_name", { name }), verb: say("members.remove"), verbKind: "warn",
    body: html`${member.held + member.private === 0 && html`<p>${say("members.holds_none")}</p>`}
      ${member.held > 0 && html`<${HeldQuestion} name="held" count=${member.held} heirs=${heirs}/>`}
      ${member.private > 0 && html`<${PrivateQuestion} name="private" count=${member.private} heirs=${heirs}/>`}
      ${heirs.length > 0 && member.held + member.private > 0 && html`<${HeirChoice} heirs=${heirs}/>`}`,
    async act({ held: heldWay, private: privateWay, to }) {
      const wanted = { held: heldWay, private: privateWay, to: [heldWay, privateWay].includes("transfer") ? to : null };
      await ask("DELETE", inPool(`/members/${encodeURIComponent(member.user_id)}${query(wanted)}`));
      notice(say("members.removed", { name }));
      await reload();
    },
  });
}

function HeldQuestion({ count, heirs }) {
  const options = { release: say("members.held_release"), ...(heirs.length > 0 && { transfer: say("members.held_transfer") }) };
  return html`<${Field} label=${say("members.held", { count })}><${Choice} name="held" options=${options}/></${Field}>`;
}

function PrivateQuestion({ count, heirs }) {
  const options = { deposit: say("members.held_release"), ...(heirs.length > 0 && { transfer: say("members.held_transfer") }) };
  return html`<${Field} label=${say("members.private", { count })}><${Choice} name="private" options=${options}/></${Field}>`;
}

function HeirChoice({ heirs }) {
  const options = Object.fromEntries(heirs.map((each) => [each.user_id, each.name ?? each.user_id]));
  return html`<${Field} label=${say("verb.to")} hint=${say("members.heir_hint")}><${Choice} name="to" options=${options}/></${Field}>`;
}

/** A user leaves the company: in every pool, what they have goes back or to somebody. A job continues it. */
function leaveCompany(reload) {
  const options = { release: say("members.held_release"), transfer: say("members.held_transfer") };
  const privately = { deposit: say("members.held_release"), transfer: say("members.held_transfer") };
  openForm({
    title: say("team.leave"), verb: say("team.leave_do"), verbKind: "warn",
    body: html`<p class="quiet-text">${say("team.leave_about")}</p>
      <${Field} label=${say("members.user")}><input name="user" required autocomplete="off"/></${Field}>
      <${Field} label=${say("team.leave_held")}><${Choice} name="held" options=${options}/></${Field}>
      <${Field} label=${say("team.leave_private")}><${Choice} name="private" options=${privately}/></${Field}>
      <${Field} label=${say("verb.to")} hint=${say("members.heir_hint")}><input name="to" autocomplete="off"/></${Field}>`,
    async act({ user, held: heldWay, private: privateWay, to }) {
      const wanted = { held: heldWay, private: privateWay, ...([heldWay, privateWay].includes("transfer") && { to }) };
      const report = await change(`/users/${encodeURIComponent(user)}/leave`, wanted);
      notice(say(report.state === "done" ? "team.left" : "team.leaving", { user, moved: number(report.moved), remaining: number(report.remaining), kept: number(report.not_transferred) }));
      await reload();
    },
  });
}
