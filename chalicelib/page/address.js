// The address: pool, view, search, filters, order and the open customer. It stands behind `#`, where no server sees it.
// Back and reload lead where the reader was.

import { signal } from "./view.js";

const PLAIN = ["customer", "q", "sort", "state", "holder", "period", "by"];

/** { pool, view, customer, q, sort, state, holder, period, by, filters: { key: text } }; null and {} where nothing is chosen. */
export const place = signal(placeOf(location.hash));

function placeOf(hash) {
  const [path, asked] = hash.startsWith("#/") ? hash.slice(2).split("?") : ["", ""];
  const [pool, view] = path.split("/").map(decoded);
  const parameters = new URLSearchParams(asked ?? "");
  const found = { pool: pool || null, view: view || null, filters: {} };
  for (const name of PLAIN) found[name] = parameters.get(name);
  for (const [name, text] of parameters) if (name.startsWith("f.")) found.filters[name.slice(2)] = text;
  return found;
}

/** A part of a path; null where it is cut off or typed wrong. */
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return null; }
}

/** The address of a place, as a link takes it. */
export function linkTo(to) {
  const parameters = new URLSearchParams();
  for (const name of PLAIN) if (to[name]) parameters.set(name, to[name]);
  for (const [key, text] of Object.entries(to.filters ?? {})) if (text) parameters.set("f." + key, text);
  const path = [to.pool, to.view].filter(Boolean).map(encodeURIComponent).join("/");
  const asked = parameters.toString();
  return `#/${path}${asked && `?${asked}`}`;
}

/** The place with some changes; another view begins without search, filters and customer. */
export function placeWith(changes) {
  const moves = "view" in changes || "pool" in changes;
  const kept = moves ? { pool: place.value.pool, view: place.value.view, filters: {} } : place.value;
  return { ...kept, ...changes };
}

let goingBack = false; // the browser does so later

/** Go there. `replace` keeps the entry of the history: for what nobody wants to go back through. */
export function go(changes, { replace = false } = {}) {
  if (goingBack) {
    addEventListener("popstate", () => go(changes, { replace }), { once: true });
    return;
  }
  const to = linkTo(placeWith(changes));
  if (to === location.hash) return;
  history[replace ? "replaceState" : "pushState"]({ inside: !replace || history.state?.inside }, "", to);
  place.value = placeOf(to);
}

/** Close the customer: back to the list, which stays as it was. */
export function closeCustomer() {
  if (goingBack) return;
  goingBack = Boolean(history.state?.inside);
  if (goingBack) history.back();
  else go({ customer: null }, { replace: true });
}

function moved() {
  goingBack = false;
  if (location.hash.startsWith("#/") || location.hash === "") place.value = placeOf(location.hash);
}
addEventListener("popstate", moved);
addEventListener("hashchange", moved);
