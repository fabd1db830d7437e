// The one way in which this page makes what it shows. Nothing is ever built by joining strings into HTML: whatever is
// not an element becomes text, so a customer's name stays a name.

const SVG = "http://www.w3.org/2000/svg";
const AS_PROPERTIES = new Set(["checked", "disabled", "value", "indeterminate", "hidden"]);

/** element("button", { class: "quiet", onclick: go }, "Go"): attributes, handlers, and children of any depth. */
export function element(tag, props, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same for a drawing. */
export function shape(tag, props, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(made, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [rule, to] of Object.entries(value)) made.style.setProperty(rule, to);
    else if (AS_PROPERTIES.has(name)) made[name] = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...shown(children));
  return made;
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts those children in place of what is there. */
export function fill(host, ...children) {
  host.replaceChildren(...shown(children));
  return host;
}
