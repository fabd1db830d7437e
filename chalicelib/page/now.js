// What the page is about at present: the pool, and what the reader is in it.

import { go, place } from "./address.js";
import { rememberPeople } from "./people.js";
import { all, inPool, read, refusalOf, Refused } from "./requests.js";
import { session } from "./session.js";
import { reactive } from "./view.js";

const POOL_KEPT = "customer-pool.pool";

/** `phase` is reading, ready or failed; `shown` counts how often everything was to be shown again. */
export const now = reactive({ pools: [], pool: null, me: null, phase: "reading", error: null, shown: 0, span: 30 });

/** A manager of the pool, or an admin. */
export const managing = () => now.me?.role === "manager" || session.admin;

/** The id by which the service knows the reader: the one in the token only where that fits an id. */
export const myId = () => now.me?.user_id ?? session.user;

let entered = 0;
let roles = {}; // what the reader is in each pool

/** Read the pools of the reader, and enter the one of the address, the last one or the first. */
export async function start() {
  Object.assign(now, { pools: [], pool: null, me: null, phase: "reading" });
  if (session.token === null) return;
  try {
    [now.pools] = await Promise.all([all("/pools"), introduce()]);
    session.markLoaded();
    const wanted = place.value.pool ?? sessionStorage.getItem(POOL_KEPT);
    await enter(now.pools.find((pool) => pool.id === wanted) ?? now.pools[0] ?? null);
  } catch (error) {
    refusalOf(error);
    if (session.token !== null) Object.assign(now, { error, phase: "failed" });
  }
}

/** The service stores the name in the token, by which others know the reader from then on, and returns their roles. */
async function introduce() {
  const { user_id: id, name, pools } = await read("/me");
  rememberPeople({ [id]: { name } });
  roles = Object.fromEntries(pools.map((pool) => [pool.id, { user_id: id, role: pool.role }]));
}

/** Show a pool as it was last read, and read at the same time what it is now and the reader's counters in it. */
export async function enter(pool) {
  entered += 1;
  const mine = entered;
  Object.assign(now, { pool, me: pool && (roles[pool.id] ?? null), phase: "ready", shown: now.shown + 1 });
  if (pool === null) return;
  sessionStorage.setItem(POOL_KEPT, pool.id);
  if (place.value.pool !== pool.id) go({ pool: pool.id, view: place.value.pool === null ? place.value.view : null }, { replace: true });
  const [known, me] = await Promise.all([read(inPool()), read(inPool("/members/me")).catch(nobody)]);
  if (mine === entered) Object.assign(now, { pool: known, me }); // unless another pool was chosen meanwhile
}

/** Show everything again, after a change of the pool. */
export function show() {
  now.shown += 1;
}

/** An admin need not be a member. */
function nobody(error) {
  if (refusalOf(error).code !== "not_a_member") throw error;
  return null;
}

/** The counters at the head, after something was done. */
export async function refreshMe() {
  try {
    if (now.me !== null) now.me = await read(inPool("/members/me"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}
