// The pool's policy: every rule with a control of its own; tried first, then applied, to new claims or to all.

import { durationField } from "./durations.js";
import { element, fill } from "./element.js";
import { notice } from "./notices.js";
import { enter, now, show } from "./now.js";
import { button, choice, labelled, standing } from "./parts.js";
import { ask, inPool, Refused } from "./requests.js";
import { milliseconds, reason, say } from "./words.js";

/** Rules in groups, each with the control that it has. An empty control switches a rule off. */
const RULES = {
  claiming: { holding_limit: "count", daily_claim_limit: "count", cooldown: "length", embargo: "length" },
  deadlines: {
    claim_ttl: "length", idle_ttl: "length", max_hold: "length", follow_up_restarts_clock: "yes", reminders: "lengths",
  },
  extending: { members_may_extend: "yes", extension: "length", max_extensions: "count", pin_limit: "count", max_pin: "length" },
  returning: { reason_required: "yes", max_returns: "count", sweep_breaker: "share" },
  showing: { masked_fields: "list", phone_region: "region", notes_visible_to: "readers", time_zone: "zone" },
};

/** Each kind of control: made of a value, and read as one. */
const CONTROLS = {
  count: (value) => simple({ type: "number", min: 0, step: 1, value: value ?? "" }, (text) => (text === "" ? null : Number(text))),
  share: (value) => simple({ type: "number", min: 1, max: 100, step: "any", value: value === null ? "" : value * 100 },
    (text) => (text === "" ? null : Number(text) / 100)),
  zone: (value) => simple({ type: "text", value: value ?? "", placeholder: "Asia/Shanghai" }, (text) => text.trim() || null),
  region: (value) => simple({ type: "text", value: value ?? "", maxlength: 2, placeholder: "CN" },
    (text) => text.trim().toUpperCase() || null),
  readers: (value) => {
    const box = choice({ holder: say("rules.notes_holder"), pool: say("rules.notes_pool") }, value);
    return { view: box, value: () => box.value };
  },
  list: (value) => simple({ type: "text", value: (value ?? []).join(", ") }, parted),
  lengths: (value) => simple({ type: "text", value: (value ?? []).join(", "), placeholder: "P3D, P1D" }, parted),
  length: (value) => {
    const { view, iso } = durationField(value);
    // A length in other words is no change: P1W is 7 days.
    return { view, value: () => (value !== null && iso() !== null && milliseconds(iso()) === milliseconds(value) ? value : iso()) };
  },
  yes: (value) => {
    const box = element("input", { type: "checkbox", checked: Boolean(value) });
    return { view: box, value: () => (box.checked === Boolean(value) ? value : box.checked) };
  },
};

function simple(props, readAs) {
  const box = element("input", props);
  return { view: box, value: () => readAs(box.value) };
}

function parted(text) {
  return text.split(/[,，、]/).map((each) => each.trim()).filter(Boolean);
}

export function rulesSection() {
  const controls = {};
  const output = element("div", { class: "trial", "aria-live": "polite" });
  const groups = Object.entries(RULES).map(([group, rules]) => element("fieldset", {},
    element("legend", {}, say(`rules.${group}`)),
    element("div", { class: "fields" }, Object.entries(rules).map(([rule, kind]) => {
      controls[rule] = CONTROLS[kind](now.pool.policy[rule]);
      return labelled(say(`rule.${rule}`), controls[rule].view);
    }))));
  const applyTo = choice({ new: say("rules.to_new"), all: say("rules.to_all") }, "new");
  const changed = () => Object.fromEntries(Object.entries(controls)
    .map(([rule, control]) => [rule, control.value()])
    .filter(([rule, value]) => JSON.stringify(value) !== JSON.stringify(now.pool.policy[rule])));
  return element("form", { class: "card rules", onsubmit: (event) => event.preventDefault() },
    element("p", { class: "quiet-text" }, say("rules.about")),
    now.pool.warnings.map((warning) => element("p", { class: "hint" }, say(`warning.${warning}`))),
    groups,
    labelled(say("rules.apply_to"), applyTo),
    output,
    element("div", { class: "buttons" },
      button(say("rules.try"), () => sendRules(output, changed(), applyTo.value, true)),
      button(say("rules.apply"), () => sendRules(output, changed(), applyTo.value, false), { class: "main" })));
}

async function sendRules(output, policy, applyTo, trial) {
  const names = Object.keys(policy).map((rule) => say(`rule.${rule}`));
  if (names.length === 0) return fill(output, standing(say("rules.unchanged")));
  try {
    const pool = await ask("PATCH", inPool(), { policy, apply_to: applyTo, dry_run: trial }, { ifMatch: now.pool.version });
    if (trial) {
      const words = applyTo === "all" ? say("rules.would_affect", { count: pool.affected }) : say("rules.would_affect_none");
      const holders = applyTo === "all" && pool.affected_holders.length > 0
        && element("p", {}, say("rules.would_affect_holders", { holders: pool.affected_holders.join(", ") }));
      return fill(output, element("p", {}, say("rules.would_change", { rules: names.join(", ") }), " ", words), holders,
        pool.warnings.map((warning) => element("p", { class: "hint" }, say(`warning.${warning}`))));
    }
    now.pool = pool;
    notice(applyTo === "all" ? say("rules.applied_all", { count: pool.affected }) : say("rules.applied"));
    return show();
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 412) throw error;
    // Somebody was faster: what is there now is shown, and nothing is overwritten.
    await enter(now.pool);
    return notice(reason(error.refusal), "bad");
  }
}
