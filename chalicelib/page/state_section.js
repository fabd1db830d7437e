// The pool as a whole: open, paused or closed, and how the sweep that returns expired claims is doing.

import { stateOf } from "./customers.js";
import { element, fill } from "./element.js";
import { enter, managing, now, show } from "./now.js";
import { askFirst, badge, button, choice, labelled, standing } from "./parts.js";
import { change, inPool, read, refusalOf } from "./requests.js";
import { session } from "./session.js";
import { length, number, reason, say } from "./words.js";

export function stateSection() {
  return [
    element("section", { class: "card" },
      element("h2", {}, say("state.title")),
      element("p", {}, badge(say(`status.${now.pool.status}`), now.pool.status === "open" ? "good" : "near")),
      session.admin ? element("div", { class: "buttons start" }, stateButtons()) : element("p", { class: "hint" }, say("state.by_admin"))),
    sweepCard(),
  ];
}

function stateButtons() {
  const asks = (verb, kind, body, controls = null) => button(say(`state.${verb}`), () =>
    askFirst(say(`state.${verb}`), [standing(say(`state.${verb}_about`)), controls], say(`state.${verb}`), async () => {
      now.pool = await change(inPool(`/${verb}`), body?.());
      await enter(now.pool);
    }, kind), { class: kind });
  const mode = choice({ drain: say("state.drain"), to_private: say("state.to_private") }, "drain");
  const close = asks("close", "warn", () => ({ mode: mode.value }), labelled(say("state.mode"), mode));
  return {
    open: [asks("pause", "main"), close],
    paused: [asks("resume", "main"), close],
    closed: [asks("open", "main")],
  }[now.pool.status];
}

function sweepCard() {
  const output = element("div", { "aria-live": "polite" });
  const sweep = async (how) => fill(output, sweepReport(await change("/sweep", { pool: now.pool.id, ...how }), how));
  const card = element("section", { class: "card" },
    element("h2", {}, say("sweep.title")),
    element("p", { class: "quiet-text" }, say("sweep.about")),
    output,
    session.admin && element("div", { class: "buttons start" },
      button(say("sweep.look"), () => sweep({ dry_run: true })),
      button(say("sweep.now"), () => sweep({}))));
  if (managing()) overdue(output).catch((error) => fill(output, standing(reason(refusalOf(error)), "bad")));
  return card;
}

/** For a manager: how many claims are past their deadline and still on the list, which begins with the earliest. */
async function overdue(output) {
  const { items } = await read(inPool("/customers?state=claimed&limit=100"));
  const late = items.filter((customer) => stateOf(customer) === "expired");
  fill(output, element("p", {}, late.length === 0 ? say("sweep.none_due") : say("sweep.due", {
    count: late.length, length: length(Date.now() - Math.min(...late.map((each) => new Date(each.expires_at)))),
  })));
}

function sweepReport(report, how) {
  const facts = ["returned", "changed", "failed", "remaining", "reminded"].map((name) => [say(`sweep.${name}`), number(report[name])]);
  facts.unshift([say("sweep.overdue"), number(report.due)]);
  facts.push([say("sweep.lag"), length(report.lag_s * 1000)]);
  const unconfirmed = report.unconfirmed.length > 0 && !how.confirm;
  return [
    element("dl", { class: "facts-table" }, facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    unconfirmed && element("p", { class: "refused" }, say("sweep.unconfirmed")),
    unconfirmed && button(say("sweep.confirm"), () => change("/sweep", { pool: now.pool.id, confirm: true }).then(show), { class: "warn" }),
  ];
}
