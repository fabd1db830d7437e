// What has just happened, for a while, at the foot of the page; read out by screen readers.

const SHORT_MS = 5000;
const LONG_MS = 9000;

/** Show a notice. `link` is { href, words } of where to go on. */
export function notice(words, kind = "good", link = null) {
  const host = document.getElementById("notices");
  const made = document.createElement("p");
  made.className = `notice ${kind}`;
  made.append(words);
  if (link) made.append(" ", Object.assign(document.createElement("a"), { href: link.href, textContent: link.words }));
  host.append(made);
  setTimeout(() => made.remove(), kind === "bad" || link ? LONG_MS : SHORT_MS);
}
