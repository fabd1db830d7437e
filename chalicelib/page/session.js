// The session: the token, which is stored only for this tab of the browser, and its claims. The service verifies it with
// each request; nothing here decides about permissions.

const TOKEN_KEPT = "customer-pool.token";

const session = {
  token: sessionStorage.getItem(TOKEN_KEPT),
  ended: false,
  failed: false,
  refused: null, // why the token of a link was not taken, as a key of the words
  used: false, // whether this page has sent a request for somebody
  claims: {},

  /**
   * Never throws: the service also rejects an unreadable token. A page that was used in an ended session, or by another
   * person, is loaded again and sends nothing until then: its unfinished work must not continue in the new session.
   */
  begin(token) {
    const claims = claimsOf(token);
    if (claims === null) return false;
    const reload = session.used && !(session.alive && samePerson(session.claims, claims));
    sessionStorage.setItem(TOKEN_KEPT, token);
    Object.assign(session, { token, claims, ended: false, failed: false, refused: null });
    if (reload) {
      session.token = null;
      location.reload();
    }
    return true;
  },
  end() {
    Object.assign(session, { token: null, claims: {} });
    sessionStorage.removeItem(TOKEN_KEPT);
    show();
  },
  /** The service no longer takes the token. */
  lost() {
    if (session.token === null) return;
    session.ended = true;
    session.end();
  },
  get user() {
    return session.claims.sub;
  },
  /** Whether somebody is signed in. Only the service decides that a token has expired: the clock here may be wrong. */
  get alive() {
    return session.token !== null;
  },
  get admin() {
    return Array.isArray(session.claims.roles) && session.claims.roles.includes("admin");
  },
};

function claimsOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims.sub === "string" ? claims : null;
  } catch {
    return null;
  }
}

function expired(claims) {
  return typeof claims.exp === "number" && claims.exp * 1000 <= Date.now();
}

/** The tenant of a token, as the service reads it. */
function tenantOf(claims) {
  return claims.tenant ?? "main";
}

function samePerson(one, other) {
  return one.sub === other.sub && tenantOf(one) === tenantOf(other);
}

/** The token of the address, or null. It is taken out of the address before anything else happens. */
function linkedToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  return given;
}

/**
 * What a link's token does: it signs nobody in where the company has a sign-in of its own, and replaces no session that
 * the service accepts before the reader has chosen to. Claims that are not verified replace nothing.
 */
async function receiveToken(given) {
  const next = claimsOf(given);
  if (GIVEN.signIn || next === null) return refuseLink(GIVEN.signIn ? "link.not_here" : "link.no_token");
  const current = session.token;
  const checked = current !== null || expired(next);
  const [mine, theirs] = await Promise.all([current && statusWith(current), checked && statusWith(given)]);
  if (theirs === 401) return refuseLink(expired(next) ? "link.expired" : "link.no_token");
  if (mine === 401 && session.token === current) session.end();
  if (!session.alive) session.begin(given);
  else if (!samePerson(session.claims, next)) askWhoSignsIn(given, next);
  else if (theirs === 200) session.begin(given);
}

/** Show a sentence below the page of a signed-in user, or else on the sign-in page. */
function refuseLink(why) {
  if (session.token === null) session.refused = why;
  else notice(say(why), "bad");
}

/** The tenant distinguishes two people of one name. */
function called(claims, other) {
  const user = claims.sub;
  return tenantOf(claims) === tenantOf(other) ? user : say("link.person", { user, tenant: tenantOf(claims) });
}

function askWhoSignsIn(token, next) {
  document.querySelectorAll("dialog[data-stays]").forEach((open) => open.close());
  const [here, there] = [called(session.claims, next), called(next, session.claims)];
  const change = () => session.begin(token);
  const made = dialog(say("link.title"), (close) => element("div", {},
    element("p", {}, say("link.about", { now: here, next: there })),
    element("div", { class: "buttons" },
      element("button", { type: "button", onclick: change }, say("link.switch", { user: there })),
      element("button", { type: "button", class: "main", autofocus: true, onclick: close }, say("link.keep", { user: here })))), true);
  made.classList.add("question");
}
