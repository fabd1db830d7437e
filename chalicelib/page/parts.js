// Parts that several tabs are made of: buttons, fields, bars, notices, dialogs. They know words and elements only.

/** A button that cannot be pressed again while what it does is under way. It keeps the focus: a disabled one loses it. */
function button(words, act, props = {}) {
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

/**
 * Called before something changes the page; what it returns is called afterwards, and puts the focus back if it was
 * lost: to what had it, to the same button of the same row, to the next row, or to what is left around it.
 */
function keptFocus(from) {
  const line = from?.closest("[data-id]");
  const label = from?.getAttribute("aria-label");
  const lines = line ? [...line.parentElement.children] : [];
  const at = lines.indexOf(line);
  const ids = [...lines.slice(at), ...lines.slice(0, Math.max(at, 0)).reverse()].map((each) => each.dataset.id);
  const around = [];
  for (let each = from?.parentElement; each; each = each.parentElement) around.push(each);
  return () => {
    if (document.activeElement && document.activeElement !== document.body) return;
    const host = around.find((each) => each.isConnected) ?? document.body;
    const target = from?.isConnected && !from.disabled ? from : inRows(ids, label) ?? firstIn(around.filter((each) => each.isConnected));
    (target ?? host).focus();
  };
}

/** Of the first of those rows that is still there: the button of that label, or its first one. */
function inRows(ids, label) {
  for (const id of ids) {
    const line = document.querySelector(`[data-id="${CSS.escape(id)}"]`);
    const buttons = [...(line?.querySelectorAll("button") ?? [])];
    if (buttons.length > 0) return buttons.find((each) => each.getAttribute("aria-label") === label) ?? buttons[0];
  }
  return null;
}

function firstIn(hosts) {
  for (const host of hosts) {
    const found = host.querySelector("button:not(:disabled), input:not(:disabled), select, [tabindex='-1']");
    if (found) return found;
  }
  return null;
}

let fields = 0;

/** A labelled control; `hint` is read out with it. */
function labelled(words, control, hint = null) {
  fields += 1;
  control.id ||= `field-${fields}`;
  if (hint) control.setAttribute("aria-describedby", `hint-${fields}`);
  return element("div", { class: "field" },
    element("label", { for: control.id }, words),
    control,
    hint && element("p", { class: "hint", id: `hint-${fields}` }, hint));
}

function choice(options, chosen, props = {}) {
  return element("select", props,
    Object.entries(options).map(([value, words]) => element("option", { value, selected: value === chosen }, words)));
}

function badge(words, kind = "plain") {
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

/** What has just happened, for a while, at the foot of the page; read out by screen readers. */
function notice(words, kind = "good") {
  const host = document.getElementById("notices");
  const shownNow = element("p", { class: `notice ${kind}` }, words);
  host.append(shownNow);
  setTimeout(() => shownNow.remove(), kind === "bad" ? 9000 : 5000);
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
function askFirst(title, controls, words, act, kind = "main") {
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
function standing(words, kind = "") {
  return element("p", { class: `standing ${kind}`, role: kind === "reading" ? "status" : null }, words);
}

/** What stands where something could not be read: why, and a button to read it again. */
function failed(error, again) {
  return [standing(reason(refusalOf(error)), "bad"), button(say("again"), again)];
}
