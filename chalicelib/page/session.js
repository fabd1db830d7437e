// The session: the token, which is stored only for this tab of the browser, and its claims. The service verifies it with
// each request; nothing here decides about permissions. Tabs of one browser hand it to each other.

import { reactive } from "./view.js";

const TOKEN_KEPT = "customer-pool.token";
const ANSWER_WITHIN_MS = 150;
const channel = new BroadcastChannel("customer-pool");
const waiters = [];

/** `ended`, `failed` and `refused` are what the sign-in page says; `waiting` are the claims of whom the page waits for. */
const state = reactive({
  token: sessionStorage.getItem(TOKEN_KEPT), claims: {}, ended: false, failed: false, refused: null, waiting: null,
  loaded: false,
});

export const session = {
  used: false, // whether this page has sent a request for somebody

  get token() { return state.token; },
  get claims() { return state.claims; },
  get ended() { return state.ended; },
  get failed() { return state.failed; },
  get refused() { return state.refused; },
  get waiting() { return state.waiting; },
  get loaded() { return state.loaded; },
  get user() { return (state.waiting ?? state.claims).sub; },
  /** Whether somebody is signed in. Only the service decides that a token has expired: the clock here may be wrong. */
  get alive() { return state.token !== null; },
  get admin() {
    const { roles } = state.waiting ?? state.claims;
    return Array.isArray(roles) && roles.includes("admin");
  },

  /**
   * Never throws: the service also rejects an unreadable token. A page that was used in an ended session, or by another
   * person, is loaded again and sends nothing until then: its unfinished work must not continue in the new session.
   * Work that waits for its own person continues.
   */
  begin(token) {
    const claims = claimsOf(token);
    if (claims === null) return false;
    const before = state.waiting ?? (session.alive ? state.claims : null);
    const reload = session.used && !(before && samePerson(before, claims));
    sessionStorage.setItem(TOKEN_KEPT, token);
    if (reload) {
      state.token = null;
      location.reload();
      return true;
    }
    set({ token, claims, ended: false, failed: false, refused: null, waiting: null });
    for (const done of waiters.splice(0)) done();
    return true;
  },
  /** Signing out ends every tab of this person. */
  end() {
    const { sub, tenant } = state.claims;
    set({ token: null, claims: {}, waiting: null, loaded: false });
    sessionStorage.removeItem(TOKEN_KEPT);
    channel.postMessage({ kind: "ended", sub, tenant });
  },
  /** The service no longer takes the token. The page stays as it is, with everything typed, and waits for the person. */
  lost() {
    if (state.token === null) return;
    sessionStorage.removeItem(TOKEN_KEPT);
    set({ token: null, ended: true, waiting: state.claims });
  },
  /** Resolves when the person whom the page waits for has signed in again. */
  again() {
    return new Promise((done) => { waiters.push(done); });
  },
  markLoaded() { state.loaded = true; },
  fail() { state.failed = true; },
  refuse(why) { state.refused = why; },
  share() { if (state.token !== null) channel.postMessage({ kind: "token", token: state.token }); },
};

function set(values) {
  Object.assign(state, values);
}

/** Ask other tabs of this browser for their session. Resolves in any case. */
export function askOtherTabs() {
  if (state.token !== null) return Promise.resolve();
  channel.postMessage({ kind: "who" });
  return new Promise((done) => {
    setTimeout(done, ANSWER_WITHIN_MS);
    channel.addEventListener("message", ({ data }) => { if (data.kind === "token") done(); });
  });
}

channel.addEventListener("message", ({ data }) => {
  if (data.kind === "who") return session.share();
  if (data.kind === "ended") {
    const mine = session.alive && samePerson(state.claims, data);
    if (mine) set({ token: null, claims: {}, waiting: null, loaded: false });
    if (mine) sessionStorage.removeItem(TOKEN_KEPT);
    return;
  }
  const claims = claimsOf(data.token);
  const known = state.waiting ?? (session.alive ? state.claims : null);
  if (claims !== null && data.token !== state.token && (known ? samePerson(known, claims) : !session.used)) session.begin(data.token);
});

export function claimsOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims.sub === "string" ? claims : null;
  } catch {
    return null;
  }
}

export function expired(claims) {
  return typeof claims.exp === "number" && claims.exp * 1000 <= Date.now();
}

/** The tenant of a token, as the service reads it. */
export function tenantOf(claims) {
  return claims.tenant ?? "main";
}

export function samePerson(one, other) {
  return one.sub === other.sub && tenantOf(one) === tenantOf(other);
}

/** The token of the address, or null. It is taken out of the address before anything else happens. */
export function linkedToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  return given;
}
