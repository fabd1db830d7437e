// Parts that several tabs are made of: buttons, fields, bars, notices, dialogs. They know words and elements only.

import { element, fill } from "./element.js";
import { keptFocus } from "./focus.js";
import { notice } from "./notices.js";
import { refusalOf } from "./requests.js";
import { number, reason, say } from "./words.js";

/** A button that cannot be pressed again while what it does is under way. It keeps the focus: a disabled one loses it. */
export function button(words, act, props = {}) {
  const pressed = async () => {
    if (made.ariaDisabled === "true") return;
    const refocus = keptFocus(made);
    busy(made, true);
    try {
      await act();
    } catch (error) {
      notice(reason(refusalOf(error)), "bad");
    } finally {
      busy(made, false);
      refocus();
    }
  };
  const made = element("button", { type: "button", ...props, onclick: pressed }, words);
  return made;
}

function busy(control, on) {
  for (const name of ["aria-busy", "aria-disabled"]) {
    if (on) control.setAttribute(name, "true");
    else control.removeAttribute(name);
  }
}

let fields = 0;

/** A labelled control; `hint` is read out with it. */
export function labelled(words, control, hint = null) {
  fields += 1;
  control.id ||= `field-${fields}`;
  if (hint) control.setAttribute("aria-describedby", `hint-${fields}`);
  return element("div", { class: "field" },
    element("label", { for: control.id }, words),
    control,
    hint && element("p", { class: "hint", id: `hint-${fields}` }, hint));
}

export function choice(options, chosen, props = {}) {
  return element("select", props,
    Object.entries(options).map(([value, words]) => element("option", { value, selected: value === chosen }, words)));
}

export function badge(words, kind = "plain") {
  return element("span", { class: `badge ${kind}` }, words);
}

/** Used of a limit, as a bar and in words. Without a limit, in words alone. */
function usage(words, used, limit) {
  const text = limit === null ? number(used) : say("used_of", { used: number(used), limit: number(limit) });
  const share = limit === null ? 0 : limit === 0 ? 1 : Math.min(1, used / limit);
  return element("div", { class: "usage" },
    element("span", { class: "usage-name" }, words),
    element("span", { class: "usage-number" }, text),
    limit !== null && element("span", { class: share >= 1 ? "bar full" : "bar", "aria-hidden": "true" },
      element("span", { style: { width: `${share * 100}%` } })));
}

/** A dialog. `content(close)` gives its body; it closes with Escape, and the focus goes back to where it was. One that
 * `stays` is not closed when the page behind it is made again. */
function dialog(title, content, stays = false) {
  const refocus = keptFocus(document.activeElement);
  const close = () => made.close();
  const made = element("dialog", { "aria-labelledby": "dialog-title", "data-stays": stays },
    element("div", { class: "dialog-head" },
      element("h2", { id: "dialog-title" }, title),
      element("button", { type: "button", class: "quiet", "aria-label": say("close"), onclick: close }, "✕")));
  made.append(content(close));
  made.addEventListener("close", () => {
    made.remove();
    refocus();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

/** Confirms before acting. `controls` are shown above the buttons; a refusal is shown there, and the dialog stays. */
export function askFirst(title, controls, words, act, kind = "main") {
  const wrong = element("p", { class: "refused", role: "alert" });
  return dialog(title, (close) => {
    const go = async (event) => {
      event.preventDefault();
      if (event.submitter.ariaDisabled === "true") return;
      busy(event.submitter, true);
      try {
        await act();
        close();
      } catch (error) {
        fill(wrong, reason(refusalOf(error)));
      } finally {
        busy(event.submitter, false);
      }
    };
    return element("form", { onsubmit: go }, controls, wrong,
      element("div", { class: "buttons" },
        element("button", { type: "button", onclick: close }, say("cancel")),
        element("button", { type: "submit", class: kind }, words)));
  });
}

/** What stands where a list is empty, is being read, or cannot be. */
export function standing(words, kind = "") {
  return element("p", { class: `standing ${kind}`, role: kind === "reading" ? "status" : null }, words);
}

/** What stands where something could not be read: why, and a button to read it again. */
export function failed(error, again) {
  return [standing(reason(refusalOf(error)), "bad"), button(say("again"), again)];
}
