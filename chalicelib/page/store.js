// The customers that the page knows, by id, each once and with its version: an older answer never replaces a newer one.
// Lists are ids in the order of the service; they read themselves again while they are shown.

import { now } from "./now.js";
import { inPool, query, read, refusalOf } from "./requests.js";
import { batch, reactive, signal, useEffect, useMemo, useRef } from "./view.js";

const REFRESH_MS = 60_000;
const IDLE_REFRESH_MS = 300_000;
const IDLE_AFTER_MS = 120_000;
const MARK_MS = 10_000;
const MOST_READ_AGAIN = 100;
const cells = new Map(); // signals of customers

function cellOf(id) {
  const key = `${now.pool.id}/${id}`;
  if (!cells.has(key)) cells.set(key, signal(null));
  return cells.get(key);
}

/** The customer as last read, or null. */
export function customerOf(id) {
  return cellOf(id).value;
}

/** Remember a customer of an answer; a row of a list does not lose the fields that are known. Return whether it was known in
 * an older version. */
export function keep(customer) {
  const cell = cellOf(customer.id);
  const known = cell.peek();
  if (known !== null && known.version > customer.version) return false;
  if (known !== null && known.version === customer.version && customer.partial && !known.partial) return false;
  cell.value = known !== null && customer.partial ? { ...customer, fields: { ...known.fields, ...customer.fields } } : customer;
  return known !== null && known.version < customer.version;
}

/**
 * A list of customers. `load(cursor, limit)` brings a page; `belongs(customer)` is whether one that has changed still is
 * of the list; `full` reads what rows of lists leave out. `ids` are in order, `ticked` those that are selected, `notes` what has come of each: { words, kind }.
 */
export function createList({ load, belongs = () => true, size = 50, full = false }) {
  const list = reactive({ ids: [], phase: "reading", error: null, cursor: null, ticked: new Set(), notes: {}, results: null, marked: new Set() });
  let asked = 0;

  async function page(cursor, limit, mine) {
    const answer = await load(cursor, limit);
    if (mine !== asked) return null;
    answer.items.forEach(keep);
    const partial = full ? answer.items.filter((each) => each.partial).map(({ id }) => id) : [];
    if (partial.length) readAgain(partial).catch(refusalOf);
    return answer;
  }

  async function more() {
    const mine = asked;
    list.phase = "reading";
    try {
      const answer = await page(list.cursor, size, mine);
      if (answer === null) return;
      const fresh = answer.items.map(({ id }) => id).filter((id) => !list.ids.includes(id));
      batch(() => Object.assign(list, { ids: [...list.ids, ...fresh], cursor: answer.next_cursor, phase: "ready" }));
      // A page of a search may be short, even empty, before the last one.
      if (answer.next_cursor && answer.items.length === 0) await more();
    } catch (error) {
      if (mine === asked) Object.assign(list, { error, phase: "failed" });
    }
  }

  return Object.assign(list, {
    more,
    belongs,
    readAt: 0, // when the list was last read from its beginning
    reload() {
      asked += 1;
      list.readAt = Date.now();
      batch(() => Object.assign(list, { ids: [], cursor: null, ticked: new Set(), notes: {} }));
      return more();
    },
    /** Read the rows that are shown again, and mark what has changed elsewhere. New ones come with the next reading. */
    async refresh() {
      if (list.phase !== "ready" || list.ids.length === 0 || document.hidden) return;
      const ids = list.ids.slice(0, MOST_READ_AGAIN);
      const changed = await (full ? readAgain(ids) : readRowsAgain(ids)).catch(() => null);
      if (changed === null) return;
      batch(() => {
        list.ids = list.ids.filter((id) => !ids.includes(id) || customerOf(id) !== null);
        list.marked = new Set(changed);
      });
      setTimeout(() => { list.marked = new Set(); }, MARK_MS);
    },
    remove(id) {
      batch(() => {
        list.ids = list.ids.filter((each) => each !== id);
        list.tick(id, false);
      });
    },
    tick(id, on) {
      const ticked = new Set(list.ticked);
      ticked[on ? "add" : "delete"](id);
      list.ticked = ticked;
    },
    note(id, words, kind = "bad") {
      list.notes = { ...list.notes, [id]: { words, kind } };
    },
    /** Put a customer on top that was not listed. */
    show(id) {
      if (!list.ids.includes(id)) list.ids = [id, ...list.ids];
    },
  });
}

/** Read up to a hundred customers again in one request. Return the ids of those that have changed. */
export async function readAgain(ids) {
  const { items } = await read(inPool(`/customers${query({ ids: ids.join(",") })}`));
  return keepAll(ids, items);
}

/** The same with rows, which cost a quarter. A customer that is known in full and has changed is read in full. */
async function readRowsAgain(ids) {
  const { items } = await read(inPool(`/customers${query({ ids: ids.join(","), partial: true })}`));
  const inFull = ({ id, version }) => customerOf(id)?.partial === false && customerOf(id).version < version;
  const whole = items.filter((each) => each !== null && inFull(each)).map(({ id }) => id);
  const changed = keepAll(ids, items.map((each) => (whole.includes(each?.id) ? customerOf(each.id) : each)));
  return whole.length ? [...changed, ...await readAgain(whole)] : changed;
}

/** Remember the answer of a request for these ids. Return the ids of those that have changed. */
function keepAll(ids, items) {
  return batch(() => ids.filter((id, i) => {
    if (items[i] !== null) return keep(items[i]);
    cellOf(id).value = null;
    return false;
  }));
}

let usedAt = Date.now();
for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => { usedAt = Date.now(); }, { passive: true });

/** Call `refresh` on focus, and when what is shown is a minute old, or five if the page is not used. `readAt()` is when the
 * page has read all of it for another reason. */
export function useRefresh(refresh, readAt = () => 0) {
  const latest = useRef({});
  latest.current = { refresh, readAt };
  useEffect(() => {
    let last = Date.now();
    const again = () => { last = Date.now(); latest.current.refresh(); };
    const tick = setInterval(() => {
      const every = Date.now() - usedAt < IDLE_AFTER_MS ? REFRESH_MS : IDLE_REFRESH_MS;
      if (!document.hidden && Date.now() - Math.max(last, latest.current.readAt()) >= every) again();
    }, 5000);
    const visible = () => { if (!document.hidden) again(); };
    document.addEventListener("visibilitychange", visible);
    addEventListener("focus", visible);
    return () => {
      clearInterval(tick);
      document.removeEventListener("visibilitychange", visible);
      removeEventListener("focus", visible);
    };
  }, []);
}

/** The list that the reader looks at: the open customer is one of it. */
export const currentList = signal(null);

/** A list that is made anew when `on` changes, read, kept up to date, and the one that the reader looks at. */
export function useList(make, on, current = true) {
  const list = useMemo(make, [on]);
  useEffect(() => {
    if (current) currentList.value = list;
    list.reload();
  }, [list]);
  useRefresh(() => list.refresh(), () => list.readAt);
  return list;
}
