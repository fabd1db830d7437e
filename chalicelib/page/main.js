// The frame: who is here, which pool, which view. Begins with the page.

import { go, linkTo, place, placeWith } from "./address.js";
import { Badge, Choice, Empty, Failed, Reading, Usage } from "./components.js";
import { Dialogs } from "./dialogs.js";
import { MineScreen } from "./mine_screen.js";
import { offline } from "./network.js";
import { enter, managing, myId, now, show, start } from "./now.js";
import { fromPart, LaterView } from "./parts_loaded.js";
import { nameOf } from "./people.js";
import { PoolScreen } from "./pool_screen.js";
import { refusalOf } from "./requests.js";
import { askOtherTabs, linkedToken, session } from "./session.js";
import { LanguageChoice, SignInAgain, SignInPage, signOut } from "./sign_in.js";
import { TodayScreen } from "./today_screen.js";
import { effect, html, render } from "./view.js";
import { GIVEN, loadWords, say, tag } from "./words.js";

/** Each view with who sees it; the first that one may see is shown first. */
const VIEWS = {
  today: { view: TodayScreen, seen: () => now.me !== null || managing() },
  pool: { view: PoolScreen, seen: () => now.me !== null },
  mine: { view: MineScreen, seen: () => now.me !== null },
  customers: { seen: managing, part: "managing" },
  members: { seen: managing, part: "managing" },
  import: { seen: managing, part: "managing" },
  rules: { seen: managing, part: "rules" },
  fields: { seen: managing, part: "managing" },
  state: { seen: managing, part: "state" },
  statistics: { seen: () => now.me !== null || managing(), part: "statistics" },
  log: { seen: managing, part: "managing" },
};

const seenViews = () => Object.keys(VIEWS).filter((name) => VIEWS[name].seen());
const currentView = () => (seenViews().includes(place.value.view) ? place.value.view : seenViews()[0]);

function App() {
  if (session.token === null && session.waiting === null) return html`<${SignInPage}/><${Dialogs}/>`;
  if (session.token === null && !session.loaded) return html`<${SignInPage}/>`;
  return html`<${Header}/>
    ${offline.value && html`<p class="banner offline" role="alert">${say("offline")}</p>`}
    <${Content}/>
    ${place.value.customer && now.phase === "ready" && now.pool && html`<${LaterView} key=${now.pool.id} part="customer" name="panel"/>`}
    <${Dialogs}/>
    ${session.token === null && html`<${SignInAgain}/>`}`;
}

function Header() {
  const pools = Object.fromEntries(now.pools.map((pool) => [pool.id, pool.name]));
  const choose = (event) => go({ pool: event.target.value, view: place.value.view });
  return html`<header class="head">
    <p class="brand">${say("title")}</p>
    ${now.pools.length > 0 && html`<${Choice} options=${pools} value=${now.pool?.id} id="pool-choice" aria-label=${say("pool")} onChange=${choose}/>`}
    <div class="head-end">
      <span class="person">${nameOf(myId())}${now.me?.role === "manager" && html`<${Badge}>${say("role.manager")}</${Badge}>`}
        ${session.admin && html`<${Badge}>${say("role.admin")}</${Badge}>`}</span>
      <${LanguageChoice}/>
      <button class="quiet" type="button" onClick=${signOut}>${say("sign_out")}</button>
    </div>
  </header>`;
}

function Content() {
  if (now.phase === "reading") return html`<main><${Reading}/></main>`;
  if (now.phase === "failed") return html`<main class="door"><${Failed} error=${now.error} again=${start}/></main>`;
  if (now.pool === null) return html`<main>${session.admin ? html`<${LaterView} part="state" name="first_pool"/>` : html`<${Empty}>${say("no_pool")}</${Empty}>`}</main>`;
  const current = currentView();
  const { view: View, part } = VIEWS[current];
  const shown = `${now.pool.id} ${current}`;
  return html`<div class="frame">
    <nav class="views" aria-label=${say("views")}>${seenViews().map((name) => html`<a key=${name} href=${linkTo(placeWith({ view: name }))}
      aria-current=${name === current ? "page" : undefined} onClick=${(event) => visit(event, name)}>${say(`view.${name}`)}</a>`)}</nav>
    <main id="panel" tabindex="-1">
      ${now.pool.status !== "open" && html`<p class="banner" role="status">${say(`banner.${now.pool.status}`)}</p>`}
      <div class="under-head"><h1>${say(`view.${current}`)}</h1><${Me}/></div>
      ${part ? html`<${LaterView} key=${shown} part=${part} name=${current}/>` : html`<${View} key=${shown}/>`}
    </main>
  </div>`;
}

function visit(event, view) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (view === currentView()) show();
  go({ view });
}

function Me() {
  const { me } = now;
  return html`<div class="me" id="me">${me?.held !== undefined && html`<${Usage} words=${say("me.held")} used=${me.held} limit=${me.holding_limit}/>
    ${me.daily_claim_limit !== null && html`<${Usage} words=${say("me.today")} used=${me.claimed_today} limit=${me.daily_claim_limit}/>`}`}</div>`;
}

/** The reader goes to another pool by the address. */
effect(() => {
  const wanted = place.value.pool;
  const known = now.pools.find((pool) => pool.id === wanted);
  if (known && now.pool && known.id !== now.pool.id && now.phase === "ready") enter(known).catch(failEntering);
});

function failEntering(error) {
  refusalOf(error);
  Object.assign(now, { error, phase: "failed" });
}

/** A link that was opened in this very tab. */
addEventListener("hashchange", async () => {
  const [given, before] = [linkedToken(), session.token];
  if (given === null) return;
  await (await fromPart("link", "receiveToken"))(given);
  if (session.token !== null && (session.token !== before || before === null)) start();
});

async function begin() {
  const linked = linkedToken();
  if (session.token !== null && !session.begin(session.token)) session.end();
  const words = loadWords();
  if (GIVEN.signIn && location.search.includes("state=")) await (await fromPart("company", "comeBack"))();
  await askOtherTabs(); // also with a link: another person may be signed in there
  if (linked !== null) {
    const receiveToken = await fromPart("link", "receiveToken");
    await words;
    await receiveToken(linked);
  }
  const started = start(); // does not wait for the texts
  await words;
  effect(() => {
    document.documentElement.lang = tag();
    document.title = say("title");
  });
  render(html`<${App}/>`, document.getElementById("console"));
  await started;
}

begin();
