// What happened in the pool, by day and by member: sums, drawings, and the same in tables for who cannot see drawings.

import { dayChart, legend, memberChart } from "./charts.js";
import { element, fill } from "./element.js";
import { now } from "./now.js";
import { choice, failed, labelled, standing } from "./parts.js";
import { inPool, query, read } from "./requests.js";
import { day, number, say } from "./words.js";

const KINDS = ["entered", "claimed", "released", "expired", "won"];
const SPANS = [7, 30, 90];

export function statisticsTab() {
  const host = element("div");
  const spans = choice(Object.fromEntries(SPANS.map((days) => [days, say("stats.days", { days: number(days) })])), String(now.span), {
    onchange: () => { now.span = Number(spans.value); reload(); },
  });
  const reload = async () => {
    fill(host, standing(say("list.reading"), "reading"));
    try {
      fill(host, statistics(await read(inPool(`/stats${await spanOf(now.span)}`))));
    } catch (error) {
      fill(host, failed(error, reload));
    }
  };
  reload();
  return [element("div", { class: "tools" }, labelled(say("stats.span"), spans)), host];
}

/** The last days, in the pool's time zone. Thirty are the default of the service. */
async function spanOf(days) {
  if (days === 30) return "";
  const zone = { timeZone: now.pool.policy.time_zone ?? "UTC" };
  const today = new Intl.DateTimeFormat("en-CA", { ...zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date());
  return query({ from: later(today, 1 - days), to: today });
}

function later(text, days) {
  const moved = new Date(`${text}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

function statistics(stats) {
  const days = everyDay(stats);
  const tiles = [
    ...["available", "claimed", "private", "set_aside"].map((name) => [say(`stats.now_${name}`), stats.now[name], "now"]),
    ...KINDS.map((kind) => [say(`kind.${kind}`), stats.totals[kind], ""]),
  ];
  return [
    element("dl", { class: "tiles" }, tiles.map(([words, value, kind]) =>
      element("div", { class: `tile ${kind}` }, element("dt", {}, words), element("dd", {}, number(value))))),
    element("section", { class: "card" }, element("h2", {}, say("stats.by_day")), legend(), dayChart(days),
      inNumbers(say("stats.day"), days.toReversed().filter((each) => KINDS.some((kind) => each[kind] > 0)), (each) => day(each.day))),
    stats.by_member.length > 0 && element("section", { class: "card" },
      element("h2", {}, say("stats.by_member")), legend(), memberChart(stats.by_member),
      inNumbers(say("stats.member"), stats.by_member, (each) => each.user_id)),
  ];
}

/** Days on which nothing happened are days too. */
function everyDay({ from, to, by_day: known }) {
  const byDay = new Map(known.map((each) => [each.day, each]));
  const days = [];
  for (let each = from; each <= to; each = later(each, 1)) {
    days.push(byDay.get(each) ?? { day: each, ...Object.fromEntries(KINDS.map((kind) => [kind, 0])) });
  }
  return days;
}

function inNumbers(title, rows, called) {
  const head = element("tr", {}, element("th", { scope: "col" }, title), KINDS.map((kind) => element("th", { scope: "col" }, say(`kind.${kind}`))));
  return element("details", {}, element("summary", {}, say("stats.in_numbers")),
    element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": say("stats.in_numbers") },
      element("table", {}, element("thead", {}, head), element("tbody", {}, rows.map((row) =>
        element("tr", {}, element("th", { scope: "row" }, called(row)), KINDS.map((kind) => element("td", {}, number(row[kind])))))))));
}
