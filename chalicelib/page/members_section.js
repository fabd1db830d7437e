// Who belongs to the pool, what they hold of what they may, and changing that.

import { element, fill } from "./element.js";
import { notice } from "./notices.js";
import { managing, myId, now, refreshMe } from "./now.js";
import { askFirst, badge, button, choice, failed, labelled, standing, usage } from "./parts.js";
import { all, ask, inPool, query } from "./requests.js";
import { session } from "./session.js";
import { number, say } from "./words.js";

export function membersSection() {
  const host = element("div");
  const reload = async () => {
    fill(host, standing(say("list.reading"), "reading"));
    try {
      const members = await all(inPool("/members"));
      fill(host, members.length ? element("ul", { class: "rows", role: "list" }, members.map((each) => memberRow(each, members, reload)))
        : standing(say("members.none")));
    } catch (error) {
      fill(host, failed(error, reload));
    }
  };
  reload();
  return [
    element("div", { class: "tools" }, button(say("members.add"), () => editMember(null, reload), { class: "main" })),
    host,
  ];
}

function memberRow(member, members, reload) {
  const mayEdit = session.admin || member.role === "member";
  const named = { name: member.user_id };
  return element("li", { class: "row member", "data-id": member.user_id },
    element("div", { class: "who" },
      element("strong", {}, member.user_id), " ",
      member.role === "manager" && badge(say("role.manager"), "accent")),
    element("div", { class: "facts" },
      usage(say("me.held"), member.held, member.holding_limit),
      usage(say("me.today"), member.claimed_today, member.daily_claim_limit)),
    element("div", { class: "buttons" },
      mayEdit && button(say("members.edit"), () => editMember(member, reload), { "aria-label": say("members.edit_name", named) }),
      managing() && button(say("members.remove"), () => removeMember(member, members, reload), {
        class: "warn", "aria-label": say("members.remove_name", named),
      })));
}

/** A new member, or one whose role and limit change. */
function editMember(member, reload) {
  const user = element("input", { type: "text", required: true, pattern: "[0-9A-Za-z_\\-]{1,64}", autocomplete: "off" });
  const role = choice({ member: say("role.member"), manager: say("role.manager") }, member?.role ?? "member");
  const usual = now.pool.policy.holding_limit;
  const own = member === null || member.holding_limit === usual ? "" : member.holding_limit;
  const limit = element("input", { type: "number", min: 0, max: 1_000_000, value: own });
  const hint = usual === null ? say("members.limit_none") : say("members.limit_usual", { limit: number(usual) });
  const put = async () => {
    const id = member?.user_id ?? user.value.trim();
    const said = { role: role.value, ...(limit.value !== "" && { holding_limit: Number(limit.value) }) };
    await ask("PUT", inPool(`/members/${encodeURIComponent(id)}`), said);
    notice(say("members.saved", { name: id }));
    if (id === myId() || id === session.user) refreshMe();
    await reload();
  };
  askFirst(member === null ? say("members.add") : say("members.edit_name", { name: member.user_id }), [
    member === null && labelled(say("members.user"), user, say("members.user_hint")),
    session.admin && labelled(say("members.role"), role),
    labelled(say("members.limit"), limit, hint),
  ], say("save"), put);
}

function removeMember(member, members, reload) {
  const others = members.filter((each) => each.user_id !== member.user_id).map((each) => each.user_id);
  const ways = { release: say("members.held_release"), ...(others.length && { transfer: say("members.held_transfer") }) };
  const to = choice(Object.fromEntries(others.map((each) => [each, each])), others[0]);
  const heir = labelled(say("verb.to"), to);
  heir.hidden = true;
  const way = choice(ways, "release", { onchange: () => { heir.hidden = way.value !== "transfer"; } });
  const remove = async () => {
    const held = member.held > 0 ? { held: way.value, ...(way.value === "transfer" && { to: to.value }) } : {};
    await ask("DELETE", inPool(`/members/${encodeURIComponent(member.user_id)}${query(held)}`));
    notice(say("members.removed", { name: member.user_id }));
    await reload();
  };
  askFirst(say("members.remove_name", { name: member.user_id }),
    member.held > 0 ? [labelled(say("members.held", { count: member.held }), way), heir] : standing(say("members.holds_none")),
    say("members.remove"), remove, "warn");
}
