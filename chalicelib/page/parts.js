// Parts that several tabs are made of: buttons, fields, bars, notices, dialogs. They know words and elements only.

/** A button that cannot be pressed again while what it does is under way. */
function button(words, act, props = {}) {
  const pressed = async () => {
    made.setAttribute("aria-busy", "true");
    made.disabled = true;
    try {
      await act();
    } catch (error) {
      notice(reason(refusalOf(error)), "bad");
    } finally {
      made.removeAttribute("aria-busy");
      made.disabled = Boolean(props.disabled);
    }
  };
  const made = element("button", { type: "button", ...props, onclick: pressed }, words);
  return made;
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
  const told = limit === null ? number(used) : say("used_of", { used: number(used), limit: number(limit) });
  const share = limit === null ? 0 : limit === 0 ? 1 : Math.min(1, used / limit);
  return element("div", { class: "usage" },
    element("span", { class: "usage-name" }, words),
    element("span", { class: "usage-number" }, told),
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

/** A dialog. `content(close)` gives its body; it closes with Escape, and the focus goes back to where it was. */
function dialog(title, content) {
  const from = document.activeElement;
  const close = () => made.close();
  const made = element("dialog", { "aria-labelledby": "dialog-title" },
    element("div", { class: "dialog-head" },
      element("h2", { id: "dialog-title" }, title),
      element("button", { type: "button", class: "quiet", "aria-label": say("close"), onclick: close }, "✕")));
  made.append(content(close));
  made.addEventListener("close", () => {
    made.remove();
    if (from?.isConnected) from.focus();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

/** Asks before acting. `controls` are shown above the buttons; a refusal is told there, and the dialog stays. */
function askFirst(title, controls, words, act, kind = "main") {
  const wrong = element("p", { class: "refused", role: "alert" });
  return dialog(title, (close) => {
    const go = async (event) => {
      event.preventDefault();
      event.submitter.disabled = true;
      try {
        await act();
        close();
      } catch (error) {
        fill(wrong, reason(refusalOf(error)));
      } finally {
        event.submitter.disabled = false;
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
  return element("p", { class: `standing ${kind}` }, words);
}
