// Calls to the service, at addresses beside that of this page, so that a stage's prefix is part of them. A change has
// an Idempotency-Key, and is repeated with the same one while it is not known whether it was done.

const HOME = new URL(location.pathname.replace(/console\/?$/, ""), location.origin);
const ATTEMPTS = 4;
const PAUSE_MS = 400;

/** An answer that is a refusal: `refusal` is its problem, with a code, and `status` that of HTTP. */
class Refused extends Error {
  constructor(status, refusal) {
    super(refusal.code);
    this.status = status;
    this.refusal = refusal;
  }
}

/** What was refused; anything else that was thrown is a defect, and goes on. */
function refusalOf(error) {
  if (!(error instanceof Refused)) throw error;
  return error.refusal;
}

const read = (path) => ask("GET", path);
const change = (path, body, more) => ask("POST", path, body, more);

/** The answer's body. Throws Refused; a network that stays away is refused as `unreachable`. */
async function ask(method, path, body, { ifMatch } = {}) {
  // A user who signs in later must not send a request that another user began.
  if (session.token === null) throw new Refused(401, { code: "unauthenticated" });
  const { token } = session;
  session.used = true;
  const headers = { Authorization: `Bearer ${token}`, "Accept-Language": TAGS[language] };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch !== undefined) headers["If-Match"] = `"${ifMatch}"`;
  if (method !== "GET") headers["Idempotency-Key"] = newKey();
  const request = { method, headers, body: body && JSON.stringify(body), cache: "no-store" };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(new URL(`v1${path}`, HOME), request).catch(() => null);
    const again = answer === null || answer.status === 429 || answer.status === 503;
    if (!again || attempt === ATTEMPTS) return bodyOf(answer, token);
    await pause(PAUSE_MS * 2 ** (attempt - 1) + 1000 * Number(answer?.headers.get("Retry-After") ?? 0));
  }
}

async function bodyOf(answer, token) {
  if (answer === null) throw new Refused(0, { code: "unreachable" });
  const body = await answer.json().catch(() => ({ code: "unreachable" }));
  if (answer.status === 401 && session.token === token) session.lost();
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

/** The status of one small read with that token, which need not be that of the session; 0 without an answer. */
async function statusWith(token) {
  const request = { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" };
  const answer = await fetch(new URL("v1/pools?limit=1", HOME), request).catch(() => null);
  return answer?.status ?? 0;
}

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

const inPool = (rest = "") => `/pools/${encodeURIComponent(now.pool.id)}${rest}`;
const ofCustomer = (id, rest = "") => inPool(`/customers/${encodeURIComponent(id)}${rest}`);

function query(given) {
  const said = Object.entries(given).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return said.length ? `?${new URLSearchParams(said)}` : "";
}

/** Every item of a list that is known to be short. */
async function all(path, given = {}) {
  const items = [];
  for (let cursor = null; ; ) {
    const page = await read(path + query({ ...given, limit: 100, cursor }));
    items.push(...page.items);
    if (page.next_cursor === null) return items;
    cursor = page.next_cursor;
  }
}
