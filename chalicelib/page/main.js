// The frame: who is here, which pool, which tab. Begins with the page, and again whenever somebody signs in.

const POOL_KEPT = "customer-pool.pool";
const now = {
  pools: [], pool: null, me: null, manager: false, loading: false, tab: "pool", section: "customers", span: 30,
};

/** The id by which the service knows the reader: the one in the token only where that fits an id. */
const myId = () => now.me?.user_id ?? session.user;

/** Each tab with who sees it; the first that one may see is shown first. */
const TABS = {
  pool: { view: poolTab, seen: () => now.me !== null },
  mine: { view: mineTab, seen: () => now.me !== null },
  manage: { view: manageTab, seen: () => now.manager || session.admin },
  statistics: { view: statisticsTab, seen: () => now.manager || session.admin },
};

async function start() {
  Object.assign(now, { pools: [], pool: null, me: null, manager: false, loading: session.token !== null });
  show();
  if (session.token === null) return;
  const token = session.token;
  try {
    const pools = await all("/pools");
    if (session.token !== token) return;
    now.pools = pools;
    const kept = sessionStorage.getItem(POOL_KEPT);
    await enter(pools.find((pool) => pool.id === kept) ?? pools[0] ?? null);
  } catch (error) {
    if (session.token === token) fail(error);
  }
}

function fail(error) {
  now.loading = false;
  if (session.token === null) return; // the door is shown
  fill(document.getElementById("console"), header(), element("main", { class: "door" }, failed(error, start)));
}

/** Reads a pool, and what one is in it: a member, a manager, or an admin without a role there. */
async function enter(pool) {
  entered += 1;
  const mine = entered;
  Object.assign(now, { pool, me: null, manager: false, loading: pool !== null });
  if (pool !== null) {
    sessionStorage.setItem(POOL_KEPT, pool.id);
    show();
    const [known, me] = await Promise.all([read(inPool()), read(inPool("/members/me")).catch(nobody)]);
    if (mine !== entered) return; // another pool was chosen meanwhile
    Object.assign(now, { pool: known, me, loading: false });
  }
  now.manager = now.me?.role === "manager" || session.admin;
  show();
}

let entered = 0;

/** An admin need not be a member. */
function nobody(error) {
  if (refusalOf(error).code !== "not_a_member") throw error;
  return null;
}

function show() {
  document.documentElement.lang = TAGS[language];
  document.title = say("title");
  document.querySelectorAll("dialog:not([data-stays])").forEach((open) => open.close());
  const host = document.getElementById("console");
  const focused = host.contains(document.activeElement) ? document.activeElement.id : null;
  if (session.token === null) fill(host, signInScreen());
  else fill(host, header(), content());
  if (focused !== null) (document.getElementById(focused || "panel") ?? document.getElementById("panel"))?.focus();
}

function header() {
  const pools = Object.fromEntries(now.pools.map((pool) => [pool.id, pool.name]));
  const pick = choice(pools, now.pool?.id, {
    id: "pool-choice", "aria-label": say("pool"),
    onchange: (event) =>
      enter(now.pools.find((pool) => pool.id === event.target.value)).catch(fail),
  });
  return element("header", { class: "head" },
    element("h1", {}, say("title")),
    now.pools.length > 0 && pick,
    element("div", { class: "head-end" },
      element("span", { class: "person" }, session.user, now.me?.role === "manager" && badge(say("role.manager")),
        session.admin && badge(say("role.admin"))),
      languageChoice(),
      element("button", { class: "quiet", type: "button", onclick: session.end }, say("sign_out"))));
}

function content() {
  if (now.loading) return element("main", {}, standing(say("list.reading"), "reading"));
  if (now.pool === null) return element("main", {}, standing(say("no_pool")));
  const seen = Object.keys(TABS).filter((name) => TABS[name].seen());
  if (!seen.includes(now.tab)) now.tab = seen[0];
  const panel = element("div", { role: "tabpanel", id: "panel", tabindex: -1, "aria-labelledby": `tab-${now.tab}` });
  fill(panel, TABS[now.tab].view());
  return element("main", {}, closedBanner(), element("div", { class: "under-head" }, tabBar(seen), meLine()), panel);
}

function closedBanner() {
  return now.pool.status !== "open" && element("p", { class: "banner", role: "status" }, say(`banner.${now.pool.status}`));
}

function tabBar(seen) {
  const choose = (name) => {
    now.tab = name;
    show();
    document.getElementById(`tab-${name}`).focus();
  };
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose(seen[(seen.indexOf(now.tab) + step + seen.length) % seen.length]);
  };
  return element("div", { class: "tabs", role: "tablist", "aria-label": say("tabs"), onkeydown: move },
    seen.map((name) => element("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", "aria-selected": String(name === now.tab),
      tabindex: name === now.tab ? 0 : -1, onclick: () => choose(name),
    }, say(`tab.${name}`))));
}

function meLine() {
  const me = now.me;
  return element("div", { class: "me", id: "me" }, me && [
    usage(say("me.held"), me.held, me.holding_limit),
    me.daily_claim_limit !== null && usage(say("me.today"), me.claimed_today, me.daily_claim_limit),
  ]);
}

/** The counters at the head, after something was done. */
async function refreshMe() {
  try {
    now.me = await read(inPool("/members/me"));
    document.getElementById("me")?.replaceWith(meLine());
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

/** A link that was opened in this very tab. */
window.addEventListener("hashchange", async () => {
  const [given, before] = [linkedToken(), session.token];
  if (given === null) return;
  await receiveToken(given);
  if (session.token !== before || before === null) start();
});

const linked = linkedToken();
if (session.token !== null && !session.begin(session.token)) session.end();
comeBack().then(async () => {
  if (linked !== null) await receiveToken(linked);
  return start();
});
