// What came of a batch: one line for each customer, with the reason where one was refused.

/** Shows the results in `host` and moves the focus there. `names` has the name of each id. */
function showResults(host, answer, names, done) {
  const { ok, failed } = answer.summary;
  const lines = answer.results.map((result) => resultLine(result, names, done));
  const panel = element("section", { class: `results ${failed ? "some-failed" : "all-done"}`, tabindex: -1 },
    element("div", { class: "results-head" },
      element("h3", {}, failed ? say("results.mixed", { ok, failed }) : say("results.all", { ok })),
      element("button", { type: "button", class: "quiet", onclick: () => dismissed(host) }, say("dismiss"))),
    element("ul", {}, lines));
  fill(host, panel);
  panel.focus();
}

/** What came of it is put away; the focus goes on to the list below. */
function dismissed(host) {
  const refocus = keptFocus(document.activeElement);
  fill(host);
  refocus();
}

function resultLine(result, names, done) {
  return element("li", { class: result.ok ? "done" : "failed" },
    element("span", { class: "mark", "aria-hidden": "true" }, result.ok ? "✓" : "✕"),
    element("strong", {}, names.get(result.id) ?? result.id),
    element("span", {}, result.ok ? done : reason(result)));
}
