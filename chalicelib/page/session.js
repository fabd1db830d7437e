// Who is here: the token, which is kept for this tab of the browser alone, and what it says of its bearer. The service
// verifies it with each request; nothing here decides who may do what.

const TOKEN_KEPT = "customer-pool.token";

const session = {
  token: sessionStorage.getItem(TOKEN_KEPT),
  ended: false,
  failed: false,
  refused: null, // why the token of a link was not taken, as a key of the words
  claims: {},

  /** Raises nothing: what cannot be read is no token, and the service would say so too. */
  begin(token) {
    const claims = claimsOf(token);
    if (claims === null) return false;
    Object.assign(session, { token, claims, ended: false, failed: false, refused: null });
    sessionStorage.setItem(TOKEN_KEPT, token);
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
  /** Whether somebody is signed in whose token has not expired. */
  get alive() {
    return session.token !== null && !expired(session.claims);
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
 * What a link's token does: it signs nobody in where the company has a sign-in of its own, and replaces nobody's
 * session before the reader has chosen to.
 */
function receiveToken(given) {
  const next = claimsOf(given);
  const refused = GIVEN.signIn ? "link.not_here" : next === null ? "link.no_token" : expired(next) ? "link.expired" : null;
  if (refused !== null) refuseLink(refused);
  else if (!session.alive || samePerson(session.claims, next)) session.begin(given);
  else askWhoSignsIn(given, next);
}

/** One sentence: under the page of whoever is signed in, else at the door. */
function refuseLink(why) {
  if (session.token === null) session.refused = why;
  else notice(say(why), "bad");
}

/** Two people of one name are told apart by their tenants. */
function called(claims, other) {
  const user = claims.sub;
  return tenantOf(claims) === tenantOf(other) ? user : say("link.person", { user, tenant: tenantOf(claims) });
}

function askWhoSignsIn(token, next) {
  document.querySelectorAll("dialog[data-stays]").forEach((open) => open.close());
  const [here, there] = [called(session.claims, next), called(next, session.claims)];
  // The page begins again, so that nothing that one person began goes on as the other.
  const change = () => { if (session.begin(token)) location.reload(); };
  const made = dialog(say("link.title"), (close) => element("div", {},
    element("p", {}, say("link.about", { now: here, next: there })),
    element("div", { class: "buttons" },
      element("button", { type: "button", onclick: change }, say("link.switch", { user: there })),
      element("button", { type: "button", class: "main", autofocus: true, onclick: close }, say("link.keep", { user: here })))), true);
  made.classList.add("question");
}
