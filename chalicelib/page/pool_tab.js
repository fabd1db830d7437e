// The pool: its available customers, and claims of one, of several, or of the next.

function poolTab() {
  const mayClaim = now.pool.status === "open" && now.me;
  const search = element("input", {
    type: "search", placeholder: say("pool.search_hint"), "aria-label": say("pool.search"), autocomplete: "off",
  });
  const list = customerList({
    load: (cursor) => firstFound({ state: "available", ...searched(search.value), limit: 30 }, cursor),
    facts: availableFacts,
    actions: (customer) => mayClaim && claimable(customer) && button(say("claim"), () => claimOne(list, customer), {
      class: "main", "aria-label": say("claim_name", { name: customer.name }),
    }),
    tickable: claimable,
    bulk: mayClaim ? [{ words: say("pool.claim_ticked"), act: (ids) => claimSeveral(list, ids), kind: "main" }] : [],
    empty: say("pool.empty"),
  });
  const find = (event) => { event.preventDefault(); list.reload(); };
  list.reload();
  return [
    element("div", { class: "tools" },
      element("form", { class: "search", role: "search", onsubmit: find, onreset: () => setTimeout(list.reload) },
        search,
        element("button", { type: "submit" }, say("pool.find"))),
      mayClaim && claimNext(list)),
    list.view,
  ];
}

/** A search of a large pool may bring pages without a customer: continue to one with some, at most so often. */
async function firstFound(wanted, cursor) {
  let page = { items: [], next_cursor: cursor };
  for (let pages = 0; pages === 0 || (pages < 20 && page.items.length === 0 && page.next_cursor); pages += 1) {
    page = await read(inPool(`/customers${query({ ...wanted, cursor: page.next_cursor })}`));
  }
  return page;
}

/** An @ makes it an e-mail address, digits a phone number; everything else is any part of a name. */
function searched(text) {
  const said = text.trim();
  if (said === "") return {};
  if (said.includes("@")) return { email: said };
  if (/^[+\d０-９][\d０-９\s().-]{5,}$/.test(said)) return { phone: said };
  return { q: said.slice(0, 64) };
}

function claimable(customer) {
  return (customer.state === "available" && !customer.set_aside_at) || stateOf(customer) === "expired";
}

function availableFacts(customer) {
  const state = stateOf(customer);
  if (state !== "available") return holding(customer);
  const from = customer.available_at && new Date(customer.available_at) > Date.now() && customer.available_at;
  return [
    customer.priority > 0 && badge(say("priority", { priority: number(customer.priority) }), "accent"),
    from ? badge(say("pool.from", { when: moment(from) }), "near") : waiting(customer),
    customer.returns > 0 && badge(say("pool.returned", { count: customer.returns })),
  ];
}

function waiting(customer) {
  return customer.available_at
    && element("span", { class: "quiet-text" }, say("pool.waiting", { length: since(customer.available_at) }));
}

function since(text) {
  return length(Date.now() - new Date(text), 1, "M");
}

/** Of a row that was available a moment ago. */
function holding(customer) {
  const mine = customer.holder === myId() && customer.state === "claimed" && !claimExpired(customer);
  return [
    mine ? badge(say("state.yours"), "claimed-by-me") : stateBadges(customer),
    customer.holder && !mine && element("span", { class: "quiet-text" }, say("customer.holder", { holder: customer.holder })),
    mine && customer.expires_at && element("span", { class: "quiet-text" }, say("until", { when: moment(customer.expires_at) })),
  ];
}

async function claimOne(list, customer) {
  try {
    list.update(await change(ofCustomer(customer.id, "/claim")), say("pool.claimed"), "good");
  } catch (error) {
    await list.refused(customer.id, refusalOf(error));
  }
  refreshMe();
}

async function claimSeveral(list, ids) {
  const path = inPool("/claim");
  const answer = await inPieces(ids, (piece) => change(path, { customer_ids: piece }));
  list.results(answer, say("pool.claimed"));
  for (const result of answer.results) {
    if (result.ok) list.update(result.customer, say("pool.claimed"), "good");
    else await list.refused(result.id, result);
  }
  refreshMe();
}

function claimNext(list) {
  const count = element("input", { type: "number", min: 1, max: 100, value: 1, id: "next-count" });
  const take = async () => {
    const { items } = await change(inPool("/claim-next"), { count: Math.min(100, Math.max(1, Number(count.value) || 1)) });
    for (const each of items) {
      list.names.set(each.id, each.name);
      list.update(each, say("pool.claimed"), "good");
    }
    if (items.length === 0) notice(say("pool.none_left"), "bad");
    else list.results({
      results: items.map((each) => ({ id: each.id, ok: true })), summary: { ok: items.length, failed: 0 },
    }, say("pool.claimed"));
    refreshMe();
  };
  return element("div", { class: "next" },
    element("label", { for: "next-count" }, say("pool.next_count")),
    count,
    button(say("pool.claim_next"), take));
}
