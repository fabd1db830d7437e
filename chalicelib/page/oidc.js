// The company's own sign-in, by OpenID Connect: authorization code with PKCE. What has to be remembered between leaving
// the page and coming back is kept for this tab alone, and used once. A refresh token, where one is given, stays in memory.

import { send } from "./network.js";
import { newKey } from "./requests.js";
import { claimsOf, session } from "./session.js";
import { GIVEN } from "./words.js";

const LEFT_KEPT = "customer-pool.left";
const HERE = location.origin + location.pathname;
const RENEW_BEFORE_MS = 60_000;

/** Opens the page of the issuer. Throws if the issuer does not respond, or its metadata is of another issuer. */
export async function leaveToSignIn() {
  const { issuer, client, scope } = GIVEN.signIn;
  const known = await fetchJson(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const door = new URL(known.authorization_endpoint);
  if (known.issuer !== issuer || !/^https?:$/.test(door.protocol)) throw new Error("not about this issuer");
  const left = {
    state: newKey(), nonce: newKey(), verifier: newKey() + newKey(), endpoint: known.token_endpoint, place: location.hash,
  };
  sessionStorage.setItem(LEFT_KEPT, JSON.stringify(left));
  const asked = {
    response_type: "code", client_id: client, redirect_uri: HERE, scope, state: left.state, nonce: left.nonce,
    code_challenge: await challenge(left.verifier), code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) door.searchParams.set(name, value);
  location.assign(door);
}

/** Begin the session of a user who has just come back from the issuer, where they were before; or show an error. */
export async function comeBack() {
  const parameters = new URLSearchParams(location.search);
  if (!parameters.has("state") || !GIVEN.signIn) return;
  const left = JSON.parse(sessionStorage.getItem(LEFT_KEPT) ?? "null");
  sessionStorage.removeItem(LEFT_KEPT);
  history.replaceState(null, "", location.pathname);
  try {
    const fromIssuer = !parameters.has("iss") || parameters.get("iss") === GIVEN.signIn.issuer;
    if (left === null || left.state !== parameters.get("state") || !parameters.has("code") || !fromIssuer) throw new Error("not asked for");
    const tokens = await exchanged(parameters.get("code"), left);
    if (claimsOf(tokens.id_token)?.nonce !== left.nonce) throw new Error("an answer to another question");
    if (!session.begin(tokens[GIVEN.signIn.token])) throw new Error("not a token that says who it is about");
    if (left.place) location.hash = left.place;
    renewLater(tokens, left.endpoint);
  } catch {
    session.fail();
  }
}

function exchanged(code, { verifier, endpoint }) {
  const body = new URLSearchParams({
    grant_type: "authorization_code", code, redirect_uri: HERE, client_id: GIVEN.signIn.client, code_verifier: verifier,
  });
  return fetchJson(endpoint, { method: "POST", body });
}

/** Renew the token a minute before it ends, as long as the issuer gives refresh tokens. */
function renewLater({ refresh_token: refresh, expires_in: seconds }, endpoint) {
  if (!refresh) return;
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refresh, client_id: GIVEN.signIn.client });
  setTimeout(async () => {
    if (!session.alive) return;
    const tokens = await fetchJson(endpoint, { method: "POST", body }).catch(() => null);
    const token = tokens?.[GIVEN.signIn.token];
    if (!token || claimsOf(token)?.sub !== session.user || !session.begin(token)) return;
    session.share();
    renewLater({ refresh_token: refresh, ...tokens }, endpoint);
  }, Math.max(RENEW_BEFORE_MS, (seconds ?? 300) * 1000 - RENEW_BEFORE_MS));
}

async function fetchJson(address, how) {
  const answer = await send(address, { ...how, credentials: "omit" }, 1);
  if (!answer?.ok) throw new Error(`${address} answers ${answer?.status}`);
  return answer.json();
}

async function challenge(verifier) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  return btoa(String.fromCharCode(...digest)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
