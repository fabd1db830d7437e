// Finding in a list: a search box, a chip for each field that can be filtered by, and what of them goes into a request.

import { go, place } from "./address.js";
import { Button } from "./components.js";
import { fieldName } from "./customers.js";
import { now } from "./now.js";
import { fromPart } from "./parts_loaded.js";
import { html, useLayoutEffect, useRef } from "./view.js";
import { say } from "./words.js";

const TYPING_MS = 350;

/** An @ makes it an e-mail address, digits a phone number; everything else is any part of a name or a searched field. Text that
 * cannot be seen is no search. */
function searched(text) {
  const trimmed = (text ?? "").trim();
  if (!/[^\p{C}\p{Z}]/u.test(trimmed)) return {};
  if (trimmed.includes("@")) return { email: trimmed };
  if (/^[+\d０-９][\d０-９\s().-]{5,}$/.test(trimmed)) return { phone: trimmed };
  return { q: trimmed.slice(0, 64) };
}

/** The parameters of a list for the search, the filters and the order of the address. A filter by a field that the pool no
 * longer filters by is left out. */
export function found({ q, filters, sort }) {
  const known = new Set(now.pool.fields.filter((field) => field.filter).map(({ key }) => key));
  const filter = Object.entries(filters).filter(([key]) => known.has(key)).map(([key, text]) => `${key}:${text}`);
  return { ...searched(q), filter, ...(q ? {} : { sort }) };
}

/** The filters that a claim of the next customers takes: values, no ranges. */
export function filterValues(filters) {
  const values = Object.entries(filters).filter(([, text]) => !text.includes("..")).map(([key, text]) => [key, text.split(",")]);
  return values.length ? Object.fromEntries(values) : null;
}

export function SearchBox({ words }) {
  const box = useRef();
  const timer = useRef();
  const find = (text) => {
    clearTimeout(timer.current);
    go({ q: text.trim() || null }, { replace: true });
  };
  useLayoutEffect(() => { if (box.current !== document.activeElement) box.current.value = place.value.q ?? ""; }, [place.value.q]);
  const typed = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => find(box.current.value), TYPING_MS);
  };
  return html`<form class="search" role="search" onSubmit=${(event) => { event.preventDefault(); find(box.current.value); }}>
    <input ref=${box} type="search" data-search aria-label=${words} placeholder=${say("pool.search_hint")} autocomplete="off"
      defaultValue=${place.value.q ?? ""} onInput=${typed}/>
    <button type="submit">${say("pool.find")}</button>
  </form>`;
}

/** A slash goes to the search, wherever one is not typing. */
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  const box = document.querySelector("[data-search]");
  if (event.key !== "/" || typing || !box) return;
  event.preventDefault();
  box.focus();
});

export function FilterChips() {
  const fields = now.pool.fields.filter((field) => field.filter);
  const { filters } = place.value;
  if (fields.length === 0) return null;
  const without = (key) => ({ ...filters, [key]: null });
  return html`<ul class="chips" aria-label=${say("filters")}>${fields.map((field) => html`<li key=${field.key} class=${filters[field.key] ? "on" : ""}>
    <${Button} act=${async () => (await fromPart("filters", "chooseFilter"))(field)}>${fieldName(field.key)}${filters[field.key] && html`: <bdi>${filters[field.key]}</bdi>`}</${Button}>
    ${filters[field.key] && html`<${Button} kind="quiet" label=${say("filters.remove", { field: fieldName(field.key) })}
      act=${() => go({ filters: without(field.key) }, { replace: true })}>✕</${Button}>`}
  </li>`)}</ul>`;
}
