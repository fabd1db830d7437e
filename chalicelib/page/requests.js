// Requests to the service. A change has an Idempotency-Key, and is repeated with the same one while it is not known
// whether it was done. A request whose token has ended waits until its person has signed in again.

import { HOME, send } from "./network.js";
import { now } from "./now.js";
import { rememberPeople } from "./people.js";
import { session } from "./session.js";
import { tag } from "./words.js";

/** An answer that is a refusal: `refusal` is its problem, with a code, and `status` that of HTTP. */
export class Refused extends Error {
  constructor(status, refusal) {
    super(refusal.code);
    this.status = status;
    this.refusal = refusal;
  }
}

/** What was refused; anything else that was thrown is a defect, and goes on. */
export function refusalOf(error) {
  if (!(error instanceof Refused)) throw error;
  return error.refusal;
}

export const read = (path) => ask("GET", path);
export const change = (path, body, more) => ask("POST", path, body, more);

/** The answer's body. Throws Refused; a network that stays away is refused as `unreachable`. */
export async function ask(method, path, body, { ifMatch } = {}) {
  // A user who signs in later must not send a request that another user began.
  if (session.token === null && session.waiting === null) throw new Refused(401, { code: "unauthenticated" });
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch !== undefined) headers["If-Match"] = `"${ifMatch}"`;
  if (method !== "GET") headers["Idempotency-Key"] = newKey();
  for (;;) {
    if (session.token === null) await session.again();
    const { token } = session;
    session.used = true;
    Object.assign(headers, { Authorization: `Bearer ${token}`, "Accept-Language": tag() });
    const answer = await send(new URL(`v1${path}`, HOME), { method, headers, body: body && JSON.stringify(body) });
    if (answer?.status !== 401) return bodyOf(answer);
    if (session.token === token) session.lost();
    if (session.token === null && session.waiting === null) throw new Refused(401, { code: "unauthenticated" });
  }
}

async function bodyOf(answer) {
  if (answer === null) throw new Refused(0, { code: "unreachable" });
  const body = await answer.json().catch(() => null);
  if (body === null) throw new Refused(answer.status, { code: "unreachable" });
  if (!answer.ok) throw new Refused(answer.status, body);
  rememberPeople(body.people);
  return body;
}

/** The status of one small read with that token, which need not be that of the session; 0 without an answer. */
export async function statusWith(token) {
  const answer = await send(new URL("v1/pools?limit=1", HOME), { headers: { Authorization: `Bearer ${token}` } }, 1);
  return answer?.status ?? 0;
}

export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const inPool = (rest = "") => `/pools/${encodeURIComponent(now.pool.id)}${rest}`;
export const ofCustomer = (id, rest = "") => inPool(`/customers/${encodeURIComponent(id)}${rest}`);

/** A query of those members that have a value; a list is repeated. */
export function query(given) {
  const pairs = Object.entries(given).flatMap(([name, value]) => [value].flat().map((each) => [name, each]))
    .filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

/** Every item of a list that is known to be short. */
export async function all(path, given = {}) {
  const items = [];
  for (let cursor = null; ; ) {
    const page = await read(path + query({ ...given, limit: 100, cursor }));
    items.push(...page.items);
    if (page.next_cursor === null) return items;
    cursor = page.next_cursor;
  }
}

/** Sends a batch in pieces of a hundred; the answers together, as if it had been one. */
export async function inPieces(ids, sendPiece) {
  const together = { results: [], summary: { ok: 0, failed: 0 } };
  for (let start = 0; start < ids.length; start += 100) {
    const answer = await sendPiece(ids.slice(start, start + 100));
    together.results.push(...answer.results);
    together.summary.ok += answer.summary.ok;
    together.summary.failed += answer.summary.failed;
  }
  return together;
}
