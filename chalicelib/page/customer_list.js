// A list of customers that are selected, changed, and shown again as they are now. The tab that shows it passes the
// content of a row and the permitted actions.

/**
 * `load(cursor)` brings a page; `facts(customer)` and `actions(customer)` are parts of a row; `bulk` are
 * { words, act(ids), kind } for those that are ticked; `tickable(customer)` returns whether it can be; `empty` is the text of
 * an empty list.
 */
function customerList({ load, facts, actions, bulk = [], tickable = () => true, empty }) {
  const rows = new Map();
  const shownNow = new Map(); // what each row shows: the customer, and the note under it
  const ticked = new Set();
  const results = element("div");
  const again = (event) => {
    const { customer, note, kind } = shownNow.get(event.target.closest("li").dataset.id);
    list.update(customer, note, kind);
  };
  const lines = element("ul", { class: "rows", role: "list", onexpired: again });
  const foot = element("div", { class: "list-foot" });
  const tickAll = element("input", { type: "checkbox", id: "tick-all", onchange: () => tickEach(tickAll.checked) });
  const count = element("span", { class: "quiet-text", "aria-live": "polite" });
  const bulkButtons = bulk.map(({ words, act, kind }) =>
    button(words, () => act([...ticked]), { class: kind ?? "", disabled: true }));
  const bar = element("div", { class: "bulk", hidden: true },
    element("label", { class: "tick-all", for: "tick-all" }, tickAll, say("list.tick_all")),
    count,
    element("div", { class: "buttons" }, bulkButtons));
  const view = element("div", { class: "list", tabindex: -1 }, results, bulk.length ? bar : null, lines, foot);
  let asked = 0;

  const list = {
    view,
    names: new Map(),
    results: (answer, done) => showResults(results, answer, list.names, done),
    ids: () => [...rows.keys()],
    has: (id) => rows.has(id),

    async reload() {
      asked += 1;
      const mine = asked;
      fill(foot, standing(say("list.reading"), "reading"));
      rows.clear();
      shownNow.clear();
      ticked.clear();
      fill(lines);
      await more(null, mine);
    },

    /** The customer as it is now, with a note on what has just come of it. */
    update(customer, note = null, kind = "bad") {
      const old = rows.get(customer.id);
      if (old === undefined) return;
      if (!tickable(customer)) ticked.delete(customer.id);
      const refocus = old.contains(document.activeElement) ? keptFocus(document.activeElement) : () => {};
      const line = row(customer, note, kind);
      old.replaceWith(line);
      rows.set(customer.id, line);
      refocus();
      tally();
    },

    remove(id) {
      const line = rows.get(id);
      if (line === undefined) return;
      const refocus = line.contains(document.activeElement) ? keptFocus(document.activeElement) : () => {};
      line.remove();
      refocus();
      rows.delete(id);
      ticked.delete(id);
      if (rows.size === 0 && foot.childElementCount === 0) fill(foot, standing(empty));
      tally();
    },

    /** After a refusal: the customer as it is now, and the reason. */
    async refused(id, refusal) {
      try {
        list.update(await read(ofCustomer(id)), reason(refusal));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 404) list.remove(id);
        notice(reason(refusal), "bad");
      }
    },
  };

  async function more(cursor, mine) {
    try {
      const page = await load(cursor);
      if (mine !== asked) return;
      const before = lines.childElementCount;
      const pressed = foot.contains(document.activeElement);
      for (const customer of page.items) add(customer);
      if (pressed) lines.children[before]?.querySelector("button.name").focus();
      fill(foot,
        rows.size === 0 && page.next_cursor === null && standing(empty),
        page.next_cursor && button(say("list.more"), () => more(page.next_cursor, mine)));
      // A page of a search may be short, even empty, before the last one.
      if (page.next_cursor && page.items.length === 0) await more(page.next_cursor, mine);
    } catch (error) {
      if (mine === asked) fill(foot, failed(error, () => list.reload()));
    }
    tally();
  }

  function add(customer) {
    if (rows.has(customer.id)) return;
    const line = row(customer);
    rows.set(customer.id, line);
    lines.append(line);
  }

  function row(customer, note = null, kind = "bad") {
    list.names.set(customer.id, customer.name);
    shownNow.set(customer.id, { customer, note, kind });
    const tick = bulk.length && tickable(customer) && element("input", {
      type: "checkbox", checked: ticked.has(customer.id), "aria-label": say("list.tick", { name: customer.name }),
      onchange: () => { ticked[tick.checked ? "add" : "delete"](customer.id); tally(); },
    });
    return element("li", { class: "row", "data-id": customer.id },
      bulk.length > 0 && element("span", { class: "tick" }, tick),
      element("div", { class: "who" },
        element("button", { type: "button", class: "name", onclick: () => showCustomer(customer.id) }, customer.name),
        element("p", { class: "sub" }, contactLine(customer))),
      element("div", { class: "facts" }, facts(customer)),
      element("div", { class: "buttons" }, actions(customer)),
      note && element("p", { class: `note ${kind}`, role: "status" }, note));
  }

  function tickEach(on) {
    for (const box of lines.querySelectorAll(".tick input")) {
      box.checked = on;
      ticked[on ? "add" : "delete"](box.closest("li").dataset.id);
    }
    tally();
  }

  function tally() {
    const boxes = lines.querySelectorAll(".tick input").length;
    bar.hidden = boxes === 0 && ticked.size === 0;
    tickAll.checked = boxes > 0 && ticked.size === boxes;
    tickAll.indeterminate = ticked.size > 0 && ticked.size < boxes;
    fill(count, ticked.size > 0 && say("list.ticked", { count: ticked.size }));
    for (const each of bulkButtons) each.disabled = ticked.size === 0;
  }

  return list;
}

/** Phone, e-mail and the like: the first fields, as they are given. */
function contactLine(customer) {
  const values = Object.values(customer.fields).filter((value) => value !== null && value !== "");
  return values.slice(0, 3).join(" · ") || customer.id;
}

/** Sends a batch in pieces of a hundred; the answers together, as if it had been one. */
async function inPieces(ids, send) {
  const together = { results: [], summary: { ok: 0, failed: 0 } };
  for (let start = 0; start < ids.length; start += 100) {
    const answer = await send(ids.slice(start, start + 100));
    together.results.push(...answer.results);
    together.summary.ok += answer.summary.ok;
    together.summary.failed += answer.summary.failed;
  }
  return together;
}
