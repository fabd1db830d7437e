// Who is here: the token, which is kept for this tab of the browser alone, and what it says of its bearer. The service
// verifies it with each request; nothing here decides who may do what.

const TOKEN_KEPT = "customer-pool.token";

const session = {
  token: sessionStorage.getItem(TOKEN_KEPT),
  ended: false,
  failed: false,
  claims: {},

  /** Raises nothing: what cannot be read is no token, and the service would say so too. */
  begin(token) {
    const claims = claimsOf(token);
    if (claims === null) return false;
    Object.assign(session, { token, claims, ended: false, failed: false });
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

/** A token that came in the address is taken out of it before anything else happens. */
function receiveToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (!session.begin(given)) session.ended = true;
}
