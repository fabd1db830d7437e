// One customer in full: what is known of it, why it may not be claimed, and what has happened to it.

function showCustomer(id) {
  const body = element("div", { class: "customer" }, standing(say("list.reading"), "reading"));
  const made = dialog(say("customer.title"), () => body);
  const telling = async () => {
    const [customer, events] = await Promise.all([read(ofCustomer(id)), all(ofCustomer(id, "/history"))]);
    const blocking = customer.state === "available" ? (await read(ofCustomer(id, "/eligibility"))).blocking : [];
    fill(made.querySelector("h2"), customer.name);
    fill(body, standingOf(customer), whyNot(blocking), factsOf(customer), historyOf(events));
  };
  const tell = () => telling().catch((error) => { fill(body, failed(error, tell)); });
  tell();
}

function standingOf(customer) {
  return element("p", {}, stateBadges(customer),
    customer.holder && ` ${say("customer.holder", { holder: customer.holder })}`);
}

/** The state, and whether a private customer was won: it may also have been converted. */
function stateBadges(customer) {
  const state = stateOf(customer);
  const won = state === "private" && customer.won_at;
  return [badge(say(`state.${state}`), state), won && [" ", badge(say("won"), "won")]];
}

/** The state that a person sees: a claim past its deadline is free, swept or not. */
function stateOf(customer) {
  if (customer.set_aside_at) return "set_aside";
  if (customer.state === "claimed" && claimExpired(customer)) return "expired";
  return customer.state;
}

function claimExpired(customer) {
  return customer.expires_at !== null && now.pool.status === "open" && new Date(customer.expires_at) <= Date.now();
}

function whyNot(blocking) {
  return blocking.length > 0 && now.me && element("div", { class: "why-not" },
    element("h3", {}, say("customer.why_not")),
    element("ul", {}, blocking.map((each) => element("li", {}, reason(each)))));
}

function factsOf(customer) {
  const facts = Object.entries(customer.fields).map(([name, value]) => [fieldName(name), String(value ?? "")]);
  const moments = { claimed_at: "claimed", expires_at: "expires", last_follow_up_at: "followed_up", created_at: "created" };
  for (const [member, key] of Object.entries(moments)) {
    if (customer[member]) facts.push([say(`customer.${key}`), moment(customer[member])]);
  }
  facts.push([say("customer.id"), customer.id], [say("customer.returns"), number(customer.returns)]);
  return [
    element("dl", { class: "facts-table" }, facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    customer.masked && element("p", { class: "hint" }, say("customer.masked")),
  ];
}

/** A field's name in the reader's language where it is a usual one. */
function fieldName(name) {
  return sayable(`field.${name}`) ? say(`field.${name}`) : name;
}

function historyOf(events) {
  return element("section", { class: "history" },
    element("h3", {}, say("customer.history")),
    element("ol", {}, events.toReversed().map((event) => element("li", {},
      element("span", { class: "when" }, moment(event.at)),
      element("span", {}, say(`event.${event.type}`, { by: event.by, holder: event.holder ?? "" })),
      event.changed.length > 0 &&
        element("span", { class: "quiet-text" }, event.changed.map(fieldName).join(" · ")),
      (event.reason || event.outcome || event.masked) &&
        element("span", { class: "quiet-text" }, event.masked ? say("customer.reason_hidden") : written(event))))));
}

/** What a person wrote about an event: the outcome of a follow-up before its note. */
function written(event) {
  return [event.outcome, event.reason].filter(Boolean).join(": ");
}
