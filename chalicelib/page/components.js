// Parts that several screens are made of: buttons, fields, badges, bars, what stands for a list without rows.

import { notice } from "./notices.js";
import { refusalOf } from "./requests.js";
import { clock, cloneElement, html, useEffect, useMemo, useRef, useState } from "./view.js";
import { length, moment, number, reason, say, shortMoment, UNITS } from "./words.js";

/** A button that cannot be pressed again while what it does is under way. It keeps the focus: a disabled one loses it. */
export function Button({ act, kind = "", label, verb, children, ...more }) {
  const [busy, setBusy] = useState(false);
  const press = async (event) => {
    if (busy) return;
    setBusy(true);
    try {
      await act(event);
    } catch (error) {
      notice(reason(refusalOf(error)), "bad");
    } finally {
      setBusy(false);
    }
  };
  const state = busy ? { "aria-busy": "true", "aria-disabled": "true" } : {};
  return html`<button type="button" class=${kind} aria-label=${label} data-verb=${verb} ...${state} ...${more} onClick=${press}>${children}</button>`;
}

let fieldCount = 0;

/** A labelled control, its only child; `hint` is read out with it. */
export function Field({ label, hint, children }) {
  const id = useMemo(() => { fieldCount += 1; return `f${fieldCount}`; }, []);
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${cloneElement(children, { id, "aria-describedby": hint ? `${id}-hint` : undefined })}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
  </div>`;
}

/** A select of { value: words }. */
export function Choice({ options, value, ...more }) {
  return html`<select value=${value} ...${more}>
    ${Object.entries(options).map(([each, words]) => html`<option key=${each} value=${each} selected=${each === value}>${words}</option>`)}
  </select>`;
}

export function Badge({ kind = "plain", children }) {
  return html`<span class="badge ${kind}">${children}</span>`;
}

/** Used of a limit, as a bar and in words. Without a limit, in words alone. */
export function Usage({ words, used, limit }) {
  const share = limit === null ? 0 : limit === 0 ? 1 : Math.min(1, used / limit);
  return html`<div class="usage">
    <span class="usage-name">${words}</span>
    <span class="usage-number">${limit === null ? number(used) : say("used_of", { used: number(used), limit: number(limit) })}</span>
    ${limit !== null && html`<span class="bar ${share >= 1 ? "full" : ""}" aria-hidden="true"><span style=${{ width: `${share * 100}%` }}></span></span>`}
  </div>`;
}

/** What stands where something is being read. */
export function Reading() {
  return html`<p class="standing reading" role="status">${say("list.reading")}</p>`;
}

/** What stands where a list is empty. */
export function Empty({ children }) {
  return html`<p class="standing">${children}</p>`;
}

/** What stands where something could not be read: why, and a button to read it again. */
export function Failed({ error, again }) {
  return html`<div class="failed-to-read"><p class="standing bad" role="alert">${reason(refusalOf(error))}</p>
    <${Button} act=${again}>${say("again")}</${Button}></div>`;
}

/** Shows what `load` brings: reading, failed, or `children(value, reload)`. Loads again when `on` changes. */
export function Loaded({ load, on, children }) {
  const [shown, setShown] = useState({ phase: "reading" });
  const latest = useRef(0);
  const reload = async () => {
    latest.current += 1;
    const mine = latest.current;
    setShown((before) => (before.phase === "ready" ? before : { phase: "reading" }));
    const next = await load().then((value) => ({ phase: "ready", value }), (error) => ({ phase: "failed", error }));
    if (mine === latest.current) setShown(next);
  };
  useEffect(() => { reload(); }, [on]);
  if (shown.phase === "reading") return html`<${Reading}/>`;
  if (shown.phase === "failed") return html`<${Failed} error=${shown.error} again=${reload}/>`;
  return children(shown.value, reload);
}

/** A moment in few words, the exact one on hover. */
export function When({ at }) {
  return html`<time datetime=${at} title=${moment(at)}>${shortMoment(at)}</time>`;
}

/** The time that is left of a claim. */
export function Countdown({ at }) {
  const left = new Date(at) - clock.value;
  const kind = left <= 0 ? "over" : left < UNITS.D ? "near" : "";
  return html`<time class="countdown ${kind}" datetime=${at} title=${moment(at)}>
    ${left <= 0 ? say("mine.over") : say("mine.left", { length: length(left) })}</time>`;
}
