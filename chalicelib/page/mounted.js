// Views that are still made of elements by hand, inside the frame.

import { fill } from "./element.js";
import { now } from "./now.js";
import { html, useLayoutEffect, useRef } from "./view.js";
import { language } from "./words.js";

/** A view that is still made of elements by hand, inside the frame. It is made again when the language changes. */
export function Mounted({ view }) {
  const host = useRef();
  useLayoutEffect(() => { fill(host.current, view()); }, [view, language.value, now.shown]);
  return html`<div class="section" ref=${host}></div>`;
}
