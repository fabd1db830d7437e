// What happened in the pool in a month or in the last days: sums, the way from entering to winning, drawings, and the same
// in tables. Members see their own numbers.

import { go, place } from "./address.js";
import { ClaimsChart, DayChart, Funnel, Legend } from "./charts.js";
import { Choice, Empty, Field, Loaded } from "./components.js";
import { fieldName } from "./customers.js";
import { later, today } from "./days.js";
import { managing, now } from "./now.js";
import { nameOf } from "./people.js";
import { inPool, query, read } from "./requests.js";
import { html } from "./view.js";
import { day, length, milliseconds, number, say, tag } from "./words.js";

const KINDS = ["entered", "claimed", "assigned", "followed_up", "released", "expired", "won"];
const NOW = ["available", "claimed", "private", "set_aside", "pinned", "no_contact", "expiring"];
const OF_VALUES = ["entered", "available", "claimed", "private", "set_aside", "won"];
const SPANS = [7, 30, 90];
const USUAL = "30";
const MONTHS = 24;

export function StatisticsScreen() {
  const options = periods();
  const period = Object.hasOwn(options, place.value.period) ? place.value.period : USUAL;
  const fields = now.pool.fields.filter((field) => field.filter);
  const by = fields.some(({ key }) => key === place.value.by) ? place.value.by : null;
  const load = () => read(inPool(`/stats${query({ ...rangeOf(period), by })}`));
  return html`<div class="tools">
      <${Field} label=${say("stats.span")}><${Choice} value=${period} options=${options} onChange=${({ target }) => go({ period: target.value === USUAL ? null : target.value }, { replace: true })}/></${Field}>
      ${fields.length > 0 && html`<${Field} label=${say("stats.by")}><${Choice} value=${by ?? ""}
        options=${{ "": say("stats.by_usual"), ...Object.fromEntries(fields.map(({ key }) => [key, fieldName(key)])) }}
        onChange=${({ target }) => go({ by: target.value || null }, { replace: true })}/></${Field}>`}</div>
    ${!managing() && html`<p class="quiet-text">${say("stats.own")}</p>`}
    <${Loaded} key=${`${period} ${by}`} load=${load} on=${now.shown}>${(stats) => html`<${Sums} stats=${stats}/>
      ${by ? html`<${ByValue} field=${by} stats=${stats}/>` : html`<${ByDay} stats=${stats}/><${ByMember} rows=${stats.by_member}/>`}`}</${Loaded}>`;
}

/** The last days, and the months before, the latest first, by their names. */
function periods() {
  const [year, month] = today().split("-").map(Number);
  const name = new Intl.DateTimeFormat(tag(), { year: "numeric", month: "long", timeZone: "UTC" });
  const months = Array.from({ length: MONTHS }, (_, i) => new Date(Date.UTC(year, month - 1 - i, 1)));
  return {
    ...Object.fromEntries(SPANS.map((days) => [`${days}`, say("stats.days", { days: number(days) })])),
    ...Object.fromEntries(months.map((first) => [first.toISOString().slice(0, 7), name.format(first)])),
  };
}

/** The first and the last day of a period: days back from today, or a month such as 2026-11. */
function rangeOf(period) {
  if (period === USUAL) return {};
  if (!period.includes("-")) return { from: later(today(), 1 - Number(period)), to: today() };
  const [year, month] = period.split("-").map(Number);
  return { from: `${period}-01`, to: new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10) };
}

function Sums({ stats: { now: counts, totals } }) {
  const first = totals.time_to_first_follow_up;
  const tiles = [
    ...NOW.filter((kind) => counts[kind] !== null).map((kind) => [say(`stats.now_${kind}`), `${number(counts[kind])}${counts.cut && ["no_contact", "expiring"].includes(kind) ? "+" : ""}`, "now"]),
    ...KINDS.map((kind) => [say(`kind.${kind}`), number(totals[kind]), ""]),
    [say("stats.amount"), number(Number(totals.amount)), ""],
    [say("stats.first_half"), lengthOf(first.p50), ""], [say("stats.first_most"), lengthOf(first.p90), ""],
  ];
  const taken = totals.claimed + totals.assigned;
  const steps = [[say("kind.entered"), totals.entered], [say("stats.taken"), taken], [say("stats.first_contacts"), first.count], [say("kind.won"), totals.won]];
  return html`<dl class="tiles">${tiles.map(([words, value, kind]) => html`<div class="tile ${kind}"><dt>${words}</dt><dd>${value}</dd></div>`)}</dl>
    <section class="card"><h2>${say("stats.funnel")}</h2><${Funnel} steps=${steps} words=${say("stats.funnel")}/>
      <p class="hint">${say("stats.funnel_about")}</p>
      <${InNumbers} heads=${[say("stats.step"), say("stats.count")]} rows=${steps.map(([step, count]) => [step, number(count)])}/></section>`;
}

function lengthOf(iso) {
  return iso === null ? "–" : length(milliseconds(iso), 2, "M");
}

function ByDay({ stats }) {
  const days = everyDay(stats);
  const rows = days.toReversed().filter((each) => KINDS.some((kind) => each[kind] > 0));
  return html`<section class="card"><h2>${say("stats.by_day")}</h2><${Legend}/><${DayChart} days=${days}/>
    <${InNumbers} heads=${[say("stats.day"), ...kindHeads()]} rows=${rows.map((each) => [day(each.day), ...numbersOf(each)])}/></section>`;
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

function ByMember({ rows }) {
  if (rows.length === 0) return null;
  const name = ({ user_id: user }) => nameOf(user);
  return html`<section class="card"><h2>${say("stats.by_member")}</h2><${Legend}/>
    <${ClaimsChart} rows=${rows} nameIn=${name} words=${say("stats.by_member")}/>
    <${InNumbers} heads=${[say("stats.member"), ...kindHeads(), say("stats.amount"), say("stats.first_half"), say("stats.first_most")]}
      rows=${rows.map((each) => [name(each), ...numbersOf(each), number(Number(each.amount)), lengthOf(each.time_to_first_follow_up.p50), lengthOf(each.time_to_first_follow_up.p90)])}/></section>`;
}

/** The customers that entered in the period, by a value of theirs: what they are now. */
function ByValue({ field, stats: { by_value: rows, values_cut: cut } }) {
  const title = say("stats.by_value", { field: fieldName(field) });
  if (rows.length === 0) return html`<section class="card"><h2>${title}</h2><${Empty}>${say("stats.none_entered")}</${Empty}></section>`;
  const heads = OF_VALUES.map((kind) => say(["entered", "won"].includes(kind) ? `kind.${kind}` : `state.${kind}`));
  return html`<section class="card"><h2>${title}</h2><p class="hint">${say("stats.by_value_about")}</p>
    ${cut && html`<p class="banner">${say("stats.cut")}</p>`}
    <${Numbers} words=${title} heads=${[fieldName(field), ...heads, say("stats.won_share"), say("stats.amount")]}
      rows=${rows.map((each) => [each.value ?? say("stats.no_value"), ...OF_VALUES.map((kind) => number(each[kind])),
        `${Math.round((each.won / Math.max(1, each.entered)) * 100)} %`, number(Number(each.amount))])}/></section>`;
}

function kindHeads() {
  return KINDS.map((kind) => say(`kind.${kind}`));
}

function numbersOf(row) {
  return KINDS.map((kind) => number(row[kind]));
}

function InNumbers({ heads, rows }) {
  return html`<details><summary>${say("stats.in_numbers")}</summary><${Numbers} words=${say("stats.in_numbers")} heads=${heads} rows=${rows}/></details>`;
}

function Numbers({ words, heads, rows }) {
  return html`<div class="scrolls" tabindex="0" role="region" aria-label=${words}><table>
    <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody>${rows.map(([name, ...values]) => html`<tr key=${name}><th scope="row"><bdi>${name}</bdi></th>${values.map((value) => html`<td class="number">${value}</td>`)}</tr>`)}</tbody></table></div>`;
}
