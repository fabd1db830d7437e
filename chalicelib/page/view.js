// The libraries of the page, vendored in vendor/. This is the only module that imports them.

import { cloneElement, h, render, Fragment } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { batch, computed, effect, signal } from "@preact/signals";
import { default as htm } from "htm";

/** Markup as a tagged template. Values become text or attributes, never HTML: a customer's name stays a name. */
const html = htm.bind(h);

/** An object whose properties are signals: a component that reads one is rendered again when it changes. */
export function reactive(values) {
  const made = {};
  for (const [name, value] of Object.entries(values)) {
    const cell = signal(value);
    Object.defineProperty(made, name, { get: () => cell.value, set: (next) => { cell.value = next; }, enumerable: true });
  }
  return made;
}

/** The time in milliseconds, each second. */
export const clock = signal(Date.now());
setInterval(() => { clock.value = Date.now(); }, 1000);

export { cloneElement, h, html, render, Fragment, useEffect, useLayoutEffect, useMemo, useRef, useState, batch, computed, effect, signal };
