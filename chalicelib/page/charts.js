// Drawings of numbers: bars by day, bars by member. They take numbers and words, and know no request.

import { element, fill, shape } from "./element.js";
import { day, number, say } from "./words.js";

const COLOURS = { claimed: "one", released: "two", expired: "three", won: "four", entered: "five" };
const ENDS = ["released", "expired", "won"];
const AXIS = 38;

/** Draws again when the width of its place changes, so that letters keep their size on a phone. */
function drawn(draw) {
  const host = element("div", { class: "chart" });
  let last = 0;
  new ResizeObserver(() => {
    if (host.clientWidth === last || host.clientWidth === 0) return;
    last = host.clientWidth;
    fill(host, draw(last));
  }).observe(host);
  return host;
}

export function legend() {
  return element("ul", { class: "legend" }, ["claimed", ...ENDS].map((kind) =>
    element("li", {}, element("span", { class: `swatch ${COLOURS[kind]}` }), say(`kind.${kind}`))));
}

/** How many claims ended, in whichever way. */
function ended(each) {
  return ENDS.reduce((sum, kind) => sum + each[kind], 0);
}

/** Claims that began stand above the line, those that ended hang below it. */
export function dayChart(days) {
  return drawn((width) => {
    const height = 240, top = 12, bottom = 24;
    const up = Math.max(...days.map((each) => each.claimed));
    const down = Math.max(...days.map(ended));
    const scale = (height - top - bottom) / Math.max(1, up + down);
    const zero = top + up * scale;
    const step = (width - AXIS) / days.length;
    const bar = Math.max(2, Math.min(26, step * 0.7));
    const every = Math.ceil(days.length / Math.max(2, Math.floor((width - AXIS) / 70)));
    const bars = days.map((each, i) => {
      const x = AXIS + i * step + (step - bar) / 2;
      let below = zero;
      const rects = [rect(x, zero - each.claimed * scale, bar, each.claimed * scale, "claimed")];
      for (const kind of ENDS) {
        rects.push(rect(x, below, bar, each[kind] * scale, kind));
        below += each[kind] * scale;
      }
      return shape("g", {}, shape("title", {}, dayWords(each)), rects,
        i % every === 0 && shape("text", { x: x + bar / 2, y: height - 6, "text-anchor": "middle" }, day(each.day)));
    });
    const levels = [[0, zero], ...(up ? [[up, zero - up * scale]] : []), ...(down ? [[down, zero + down * scale]] : [])];
    const marks = levels.map(([value, y]) => [
      shape("line", { x1: AXIS, x2: width, y1: y, y2: y, class: value === 0 ? "zero" : "grid" }),
      shape("text", { x: AXIS - 6, y: y + 4, "text-anchor": "end" }, number(value)),
    ]);
    return picture(width, height, say("stats.by_day"), marks, bars);
  });
}

function dayWords(each) {
  return [day(each.day), ...["claimed", ...ENDS].map((kind) => `${say(`kind.${kind}`)} ${number(each[kind])}`)].join(" · ");
}

/** A line for each member: what they claimed, and below it how their claims ended. */
export function memberChart(members) {
  return drawn((width) => {
    const line = 46, label = Math.min(130, width * 0.3);
    const most = Math.max(1, ...members.map((each) => Math.max(each.claimed, ended(each))));
    const scale = (width - label - 50) / most;
    const lines = members.map((each, i) => {
      const y = i * line + 6;
      let x = label;
      const ends = ENDS.map((kind) => {
        const made = rect(x, y + 17, each[kind] * scale, 9, kind);
        x += each[kind] * scale;
        return made;
      });
      return shape("g", {},
        shape("text", { x: label - 10, y: y + 17, "text-anchor": "end" }, shortened(each.user_id, label)),
        rect(label, y, each.claimed * scale, 14, "claimed"), ends,
        shape("text", { x: label + each.claimed * scale + 6, y: y + 12 }, number(each.claimed)));
    });
    return picture(width, members.length * line + 6, say("stats.by_member"), lines);
  });
}

function shortened(text, width) {
  const most = Math.max(4, Math.floor(width / 9));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function rect(x, y, width, height, kind) {
  return width > 0 && height > 0 && shape("rect", { x, y, width, height, rx: 1.5, class: COLOURS[kind] });
}

function picture(width, height, words, ...children) {
  return shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words }, ...children);
}
