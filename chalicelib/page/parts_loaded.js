// Views and functions that are loaded when they are first needed: most people never manage a pool, and a first visit is short.

import { Failed, Reading } from "./components.js";
import { Refused } from "./requests.js";
import { html, signal, useEffect, useState } from "./view.js";
import { fileAddress, loadWordsOf } from "./words.js";

const laterViews = signal({});
const loading = {};
let style = null;

/** Add the views and functions of a part. A part calls this. */
export function addViews(views) {
  laterViews.value = { ...laterViews.value, ...views };
}

/** Something of a part, by its name. Loads the part first. */
export async function fromPart(part, name) {
  await loadPart(part);
  return laterViews.peek()[name];
}

/** Load the script and the texts of a part, and the style of all parts, once. Throws if they cannot be had; then it may be
 * tried again. */
function loadPart(part) {
  style ??= addFile("link", { href: fileAddress("later.css"), rel: "stylesheet" });
  loading[part] ??= Promise.all([loadWordsOf(part), addFile("script", { src: fileAddress(`${part}.js`) }), style]).catch((error) => {
    style = null;
    delete loading[part];
    throw error;
  });
  return loading[part];
}

/** Add an element that loads a file. */
function addFile(tag, properties) {
  return new Promise((done, fail) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.addEventListener("load", done);
    made.addEventListener("error", () => fail(new Refused(0, { code: "unreachable" })));
    document.head.append(made);
  });
}

/** A view of a part, by its name. */
export function LaterView({ part, name }) {
  const [error, setError] = useState(null);
  const [ready, setReady] = useState(false);
  const load = () => loadPart(part).then(() => { setError(null); setReady(true); }, setError);
  useEffect(() => { load(); }, [part]);
  if (error) return html`<${Failed} error=${error} again=${load}/>`;
  const View = laterViews.value[name];
  return ready && View ? html`<${View}/>` : html`<${Reading}/>`;
}
