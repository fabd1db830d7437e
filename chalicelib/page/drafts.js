// Typed text survives Escape, an ended session and a reload: it is kept for this tab until it has been sent.

import { now } from "./now.js";
import { session } from "./session.js";

const PREFIX = "customer-pool.draft.";

function keyOf(name) {
  return `${PREFIX}${session.user}.${now.pool?.id}.${name}`;
}

/** Keep what is typed into a form under this name, and put back what was kept. Call with the form when it is shown. */
export function restoreDraft(form, name) {
  const kept = JSON.parse(sessionStorage.getItem(keyOf(name)) ?? "{}");
  for (const [field, value] of Object.entries(kept)) if (form.elements[field]) form.elements[field].value = value;
}

export function keepDraft(form, name) {
  const typed = Object.entries(valuesOf(form)).filter(([, value]) => value !== "");
  if (typed.length) sessionStorage.setItem(keyOf(name), JSON.stringify(Object.fromEntries(typed)));
  else dropDraft(name);
}

export function dropDraft(name) {
  sessionStorage.removeItem(keyOf(name));
}

/** Remove all drafts, when the user signs out. */
export function dropDrafts() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

/** The values of a form by name, trimmed; a box that is not ticked is "". */
export function valuesOf(form) {
  const values = {};
  for (const control of form.elements) {
    if (!control.name || control.type === "file") continue;
    if (control.type === "checkbox") values[control.name] = control.checked ? "on" : "";
    else values[control.name] = control.value.trim();
  }
  return values;
}
