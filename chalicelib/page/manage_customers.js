// A manager's list: everybody's customers by state, assigned, transferred, taken back, let go again.

function customersSection() {
  const host = element("div");
  const states = choice({
    available: say("state.available"), claimed: say("state.claimed"), set_aside: say("state.set_aside"), private: say("state.private"),
  }, "available", { onchange: () => refill() });
  const search = element("input", { type: "search", placeholder: say("pool.search_hint"), "aria-label": say("pool.search") });
  const refill = () => {
    const list = managedList(states.value, search.value);
    fill(host, list.view);
    list.reload();
  };
  const find = (event) => { event.preventDefault(); refill(); };
  refill();
  return [
    element("div", { class: "tools" },
      labelled(say("manage.state"), states),
      element("form", { class: "search", role: "search", onsubmit: find }, search, element("button", { type: "submit" }, say("pool.find")))),
    host,
  ];
}

/** What may be done with customers in that state: of one, and of those that are ticked. */
function managedList(state, text) {
  const open = now.pool.status === "open";
  const deeds = {
    available: open ? [{ key: "assign", act: give }] : [],
    claimed: [...(open ? [{ key: "transfer", act: give }] : []), { key: "take_back", act: takeBack, kind: "warn" }],
    set_aside: [{ key: "restore", act: restore }],
    private: [{ key: "deposit", act: deposit }],
  }[state];
  const list = customerList({
    load: (cursor) => read(inPool(`/customers${query({ state, ...searched(text), limit: 50, cursor })}`)),
    facts: managedFacts,
    actions: (customer) => deedsFor(customer, state, deeds).map(({ key, act, kind }) =>
      button(say(`manage.${key}`), () => act(list, [customer.id], key), {
        class: kind ?? "", "aria-label": say(`manage.${key}_name`, { name: customer.name }),
      })),
    tickable: (customer) => sameStill(customer, state),
    bulk: deeds.filter(({ key }) => key !== "restore").map(({ key, act, kind }) =>
      ({ words: say("manage.ticked", { deed: say(`manage.${key}`) }), act: (ids) => act(list, ids, key), kind })),
    empty: say("pool.empty"),
  });
  return list;
}

/** An expired claim is refused every deed but one: the customer is free, and may be assigned. */
function deedsFor(customer, state, deeds) {
  if (stateOf(customer) === "expired") return now.pool.status === "open" ? [{ key: "assign", act: give }] : [];
  return sameStill(customer, state) ? deeds : [];
}

function sameStill(customer, state) {
  if (stateOf(customer) === "expired") return false;
  return state === "set_aside" ? Boolean(customer.set_aside_at) : customer.state === state && !customer.set_aside_at;
}

function managedFacts(customer) {
  if (customer.state === "available") return availableFacts(customer);
  return [
    stateBadges(customer),
    element("span", { class: "quiet-text" }, say("customer.holder", { holder: customer.holder })),
    customer.state === "claimed" && countdown(customer),
  ];
}

/** Assign or transfer: the same question, to whom. */
async function give(list, ids, key) {
  const to = await memberChoice();
  askFirst(say(`manage.${key}_count`, { count: ids.length }), [namesOf(list, ids), labelled(say("manage.to"), to)], say(`manage.${key}`),
    () => inBatch(list, ids, key, { to: to.value }, say(`manage.${key}_done`, { to: to.value })));
}

function takeBack(list, ids) {
  const { box, view } = reasonField();
  askFirst(say("manage.take_back_count", { count: ids.length }), [namesOf(list, ids), view], say("manage.take_back"),
    () => inBatch(list, ids, "release", box.value.trim() ? { reason: box.value.trim() } : {}, say("mine.released")), "warn");
}

function deposit(list, ids) {
  askFirst(say("manage.deposit_count", { count: ids.length }), namesOf(list, ids), say("manage.deposit"),
    () => inBatch(list, ids, "deposit", {}, say("mine.deposited")));
}

async function restore(list, [id]) {
  try {
    list.update(await change(ofCustomer(id, "/restore")), say("manage.restore_done"), "good");
  } catch (error) {
    await list.refused(id, refusalOf(error));
  }
}

/** The batch verb of that name, in pieces; each row is then as the customer is. */
async function inBatch(list, ids, verb, given, words) {
  const path = inPool(`/${verb}`);
  const answer = await inPieces(ids, (piece) => change(path, { customer_ids: piece, ...given }));
  setTimeout(() => list.results(answer, words));
  for (const result of answer.results) {
    if (result.ok) list.update(result.customer, words, "good");
    else await list.refused(result.id, result);
  }
  refreshMe();
}

function namesOf(list, ids) {
  return element("ul", { class: "names" }, ids.slice(0, 10).map((id) => element("li", {}, list.names.get(id))),
    ids.length > 10 && element("li", {}, say("and_more", { count: ids.length - 10 })));
}
