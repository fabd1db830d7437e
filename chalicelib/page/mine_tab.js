// What one holds: until when, and what is done with it: give back, extend, follow up, win.

function mineTab() {
  const list = customerList({
    load: (cursor) => read(inPool(`/customers${query({ holder: "me", limit: 50, cursor })}`)),
    facts: heldFacts,
    actions: (customer) => mineActions(list, customer),
    tickable: (customer) => stateOf(customer) === "claimed" && customer.holder === myId(),
    bulk: [{ words: say("mine.release_ticked"), act: (ids) => releaseSeveral(list, ids), kind: "warn" }],
    empty: say("mine.empty"),
  });
  list.reload();
  return [list.view];
}

function heldFacts(customer) {
  if (customer.state !== "claimed" || customer.holder !== myId()) return holding(customer);
  return [
    countdown(customer),
    customer.pinned_until && badge(say("mine.pinned"), "accent"),
    customer.extensions > 0 && element("span", { class: "quiet-text" }, say("mine.extended", { count: customer.extensions })),
  ];
}

/** The time that is left, kept up to date by `tick`. */
function countdown(customer) {
  if (customer.expires_at === null) return badge(say("mine.no_deadline"));
  const made = element("time", { class: "countdown", datetime: customer.expires_at, title: moment(customer.expires_at) });
  if (now.pool.status === "open") tickDown(made);
  else fill(made, say("until", { when: moment(customer.expires_at) }));
  return made;
}

/** Time that has run out is an event: the row offers other verbs from then on. */
function tickDown(made) {
  const left = new Date(made.dateTime) - Date.now();
  const runsOut = left <= 0 && made.isConnected && !made.classList.contains("over");
  made.className = `countdown ${left <= 0 ? "over" : left < UNITS.D ? "near" : ""}`;
  fill(made, left <= 0 ? say("mine.over") : say("mine.left", { length: length(left) }));
  if (runsOut) made.dispatchEvent(new CustomEvent("expired", { bubbles: true }));
}

setInterval(() => {
  if (now.pool?.status === "open") document.querySelectorAll("time.countdown").forEach(tickDown);
}, 1000);

function mineActions(list, customer) {
  if (customer.holder !== myId()) return null;
  if (stateOf(customer) === "expired") return expiredActions(list, customer);
  return customer.state === "claimed" ? heldActions(list, customer) : privateActions(list, customer);
}

/** Every verb of an expired claim is refused. The customer is free for everybody, and so for its last holder. */
function expiredActions(list, customer) {
  const named = { name: customer.name };
  const claim = () => done(list, customer, change(ofCustomer(customer.id, "/claim")), say("pool.claimed"));
  return [
    button(say("claim_again"), claim, { class: "main", "aria-label": say("claim_again_name", named) }),
    historyButton(customer),
  ];
}

function historyButton(customer) {
  return button(say("mine.history"), () => showCustomer(customer.id), {
    class: "quiet", "aria-label": say("mine.history_name", { name: customer.name }),
  });
}

function heldActions(list, customer) {
  const named = { name: customer.name };
  const mayExtend = customer.expires_at && (now.manager || now.pool.policy.members_may_extend);
  const act = (key, does, kind) =>
    button(say(`mine.${key}`), () => does(list, customer), { class: kind ?? "", "aria-label": say(`mine.${key}_name`, named) });
  return [
    act("follow_up", followUp),
    mayExtend && act("extend", extend),
    act("win", win),
    act("release", release, "warn"),
    historyButton(customer),
  ];
}

function privateActions(list, customer) {
  if (customer.state !== "private") return null;
  const deposit = () => askFirst(say("mine.deposit_name", { name: customer.name }), standing(say("mine.deposit_about")),
    say("mine.deposit"), () => done(list, customer, change(ofCustomer(customer.id, "/deposit")), say("mine.deposited"), true));
  return button(say("mine.deposit"), deposit, { "aria-label": say("mine.deposit_name", { name: customer.name }) });
}

/** Waits for a change of one row. A refusal because the row has changed updates it. */
async function done(list, customer, asked, words, gone = false) {
  try {
    const changed = await asked;
    const text = typeof words === "function" ? words(changed) : words;
    if (gone) list.remove(customer.id);
    else list.update(changed, text, "good");
    notice(`${customer.name}: ${text}`);
  } catch (error) {
    if (!(error instanceof Refused) || ![404, 409, 412].includes(error.status)) throw error;
    await list.refused(customer.id, error.refusal);
  }
  refreshMe();
}

function reasonField() {
  const required = Boolean(now.pool.policy.reason_required);
  const box = element("input", { type: "text", maxlength: 500, required, autocomplete: "off" });
  return { box, view: labelled(required ? say("mine.reason_required") : say("mine.reason"), box) };
}

function release(list, customer) {
  const { box, view } = reasonField();
  const body = () => ({ claim_id: customer.claim_id, ...(box.value.trim() && { reason: box.value.trim() }) });
  askFirst(say("mine.release_name", { name: customer.name }), view, say("mine.release"),
    () => done(list, customer, change(ofCustomer(customer.id, "/release"), body()), say("mine.released"), true), "warn");
}

function releaseSeveral(list, ids) {
  const { box, view } = reasonField();
  const names = element("ul", { class: "names" }, ids.slice(0, 10).map((id) => element("li", {}, list.names.get(id))),
    ids.length > 10 && element("li", {}, say("and_more", { count: ids.length - 10 })));
  askFirst(say("mine.release_count", { count: ids.length }), [names, view], say("mine.release"), async () => {
    const given = box.value.trim() && { reason: box.value.trim() };
    const path = inPool("/release");
    const answer = await inPieces(ids, (piece) => change(path, { customer_ids: piece, ...given }));
    setTimeout(() => list.results(answer, say("mine.released")));
    for (const result of answer.results) {
      if (result.ok) list.remove(result.id);
      else await list.refused(result.id, result);
    }
    refreshMe();
  }, "warn");
}

function extend(list, customer) {
  const usual = now.pool.policy.extension;
  const by = durationField(usual ?? "P1D");
  askFirst(say("mine.extend_name", { name: customer.name }), labelled(say("mine.extend_by"), by.view), say("mine.extend"),
    () => done(list, customer, change(ofCustomer(customer.id, "/extend"), { by: by.iso(), claim_id: customer.claim_id }),
      say("mine.extended_now")));
}

function followUp(list, customer) {
  const note = element("textarea", { rows: 3, maxlength: 2000 });
  const outcome = element("input", { type: "text", maxlength: 64, autocomplete: "off" });
  const body = () => Object.fromEntries(
    Object.entries({ note: note.value.trim(), outcome: outcome.value.trim() }).filter(([, text]) => text));
  askFirst(say("mine.follow_up_name", { name: customer.name }),
    [labelled(say("mine.note"), note), labelled(say("mine.outcome"), outcome)], say("mine.follow_up"),
    () => done(list, customer, change(ofCustomer(customer.id, "/follow-up"), body()), say("mine.followed_up")));
}

function win(list, customer) {
  askFirst(say("mine.win_name", { name: customer.name }), standing(say("mine.win_about")), say("mine.win"),
    () => done(list, customer, change(ofCustomer(customer.id, "/win")),
      (changed) => say(changed.state === "private" ? "mine.won" : "mine.win_requested")));
}
