// Drawings of numbers: bars by day, bars by name, a funnel. They take numbers and words, and know no request.

import { html, useLayoutEffect, useRef, useState } from "./view.js";
import { day, number, say } from "./words.js";

const COLORS = { claimed: "one", released: "two", expired: "three", won: "four", entered: "five" };
const ENDS = ["released", "expired", "won"];
const AXIS = 38;

/** A drawing as wide as its place. It is drawn again when that changes, so that letters keep their size on a phone. */
function Drawn({ draw }) {
  const host = useRef();
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(host.current.clientWidth));
    observer.observe(host.current);
    return () => observer.disconnect();
  }, []);
  return html`<div class="chart" ref=${host}>${width > 0 && draw(width)}</div>`;
}

export function Legend() {
  return html`<ul class="legend">${["claimed", ...ENDS].map((kind) => html`<li key=${kind}><span class="swatch ${COLORS[kind]}"></span>${say(`kind.${kind}`)}</li>`)}</ul>`;
}

/** How many claims ended, in whichever way. */
function ended(each) {
  return ENDS.reduce((sum, kind) => sum + each[kind], 0);
}

/** Claims that began stand above the line, those that ended hang below it. */
export function DayChart({ days }) {
  return html`<${Drawn} draw=${(width) => drawDays(days, width)}/>`;
}

function drawDays(days, width) {
  const height = 240, top = 12, bottom = 24;
  const up = Math.max(...days.map((each) => each.claimed));
  const down = Math.max(...days.map(ended));
  const scale = (height - top - bottom) / Math.max(1, up + down);
  const zero = top + up * scale;
  const step = (width - AXIS) / days.length;
  const bar = Math.max(2, Math.min(26, step * 0.7));
  const every = Math.ceil(days.length / Math.max(2, Math.floor((width - AXIS) / 70)));
  const levels = [[0, zero], ...(up ? [[up, zero - up * scale]] : []), ...(down ? [[down, zero + down * scale]] : [])];
  return html`<${Picture} width=${width} height=${height} words=${say("stats.by_day")}>
    ${levels.map(([value, y]) => html`<line x1=${AXIS} x2=${width} y1=${y} y2=${y} class=${value === 0 ? "zero" : "grid"}/>
      <text x=${AXIS - 6} y=${y + 4} text-anchor="end">${number(value)}</text>`)}
    ${days.map((each, i) => {
      const x = AXIS + i * step + (step - bar) / 2;
      return html`<g key=${each.day}><title>${dayWords(each)}</title>
        <${Bar} x=${x} y=${zero - each.claimed * scale} width=${bar} height=${each.claimed * scale} kind="claimed"/>
        ${stacked(each, scale).map(({ kind, from, size }) => html`<${Bar} x=${x} y=${zero + from} width=${bar} height=${size} kind=${kind}/>`)}
        ${i % every === 0 && html`<text x=${x + bar / 2} y=${height - 6} text-anchor="middle">${day(each.day)}</text>`}</g>`;
    })}</${Picture}>`;
}

/** The bars of the claims that ended, one after another. */
function stacked(each, scale) {
  let from = 0;
  return ENDS.map((kind) => {
    const made = { kind, from, size: each[kind] * scale };
    from += made.size;
    return made;
  });
}

function dayWords(each) {
  return [day(each.day), ...["claimed", ...ENDS].map((kind) => `${say(`kind.${kind}`)} ${number(each[kind])}`)].join(" · ");
}

/** A line for each: what was claimed, and below it how claims ended. `nameIn(each)` is its name. */
export function ClaimsChart({ rows, nameIn, words }) {
  return html`<${Drawn} draw=${(width) => {
    const line = 46, label = Math.min(130, width * 0.3);
    const most = Math.max(1, ...rows.map((each) => Math.max(each.claimed, ended(each))));
    const scale = (width - label - 50) / most;
    return html`<${Picture} width=${width} height=${rows.length * line + 6} words=${words}>${rows.map((each, i) => {
      const y = i * line + 6;
      return html`<g key=${i}><text x=${label - 10} y=${y + 17} text-anchor="end">${shortened(nameIn(each), label)}</text>
        <${Bar} x=${label} y=${y} width=${each.claimed * scale} height=${14} kind="claimed"/>
        ${stacked(each, scale).map(({ kind, from, size }) => html`<${Bar} x=${label + from} y=${y + 17} width=${size} height=${9} kind=${kind}/>`)}
        <text x=${label + each.claimed * scale + 6} y=${y + 12}>${number(each.claimed)}</text></g>`;
    })}</${Picture}>`;
  }}/>`;
}

/** Steps of which each is a part of the first: [words, count]. */
export function Funnel({ steps, words }) {
  const [[, first]] = steps;
  return html`<${Drawn} draw=${(width) => {
    const line = 34, label = Math.min(170, width * 0.4);
    const scale = (width - label - 90) / Math.max(1, ...steps.map(([, count]) => count));
    return html`<${Picture} width=${width} height=${steps.length * line} words=${words}>${steps.map(([step, count], i) => html`<g key=${i}>
      <text x=${label - 10} y=${i * line + 18} text-anchor="end">${step}</text>
      <${Bar} x=${label} y=${i * line + 4} width=${count * scale} height=${20} kind=${i === steps.length - 1 ? "won" : "claimed"}/>
      <text x=${label + count * scale + 8} y=${i * line + 18}>${number(count)}${i > 0 && first > 0 && ` · ${Math.round((count / first) * 100)} %`}</text></g>`)}</${Picture}>`;
  }}/>`;
}

function shortened(text, width) {
  const most = Math.max(4, Math.floor(width / 9));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function Bar({ x, y, width, height, kind }) {
  return width > 0 && height > 0 && html`<rect x=${x} y=${y} width=${width} height=${height} rx="1.5" class=${COLORS[kind]}/>`;
}

function Picture({ width, height, words, children }) {
  return html`<svg width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img" aria-label=${words}>${children}</svg>`;
}
