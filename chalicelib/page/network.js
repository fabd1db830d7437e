// The only place that fetches and repeats. Addresses are beside that of this page: a stage's prefix is part of them.

import { signal } from "./view.js";

export const HOME = new URL(location.pathname.replace(/console\/?$/, ""), location.origin);
const ATTEMPTS = 4;
const PAUSE_MS = 400;

/** Whether the browser is without a network. What is to be sent waits until it has one. */
export const offline = signal(!navigator.onLine);
addEventListener("online", () => { offline.value = false; });
addEventListener("offline", () => { offline.value = true; });

/**
 * The response, or null if none came. Repeats while nobody answers and while the service is busy: only for requests that
 * may be repeated. `request` is that of fetch.
 */
export async function send(address, request = {}, attempts = ATTEMPTS) {
  for (let attempt = 1; ; attempt += 1) {
    await untilOnline();
    const answer = await fetch(address, { cache: "no-store", ...request }).catch(() => null);
    if (answer === null && !navigator.onLine) {
      attempt -= 1;
      continue;
    }
    const again = answer === null || answer.status === 429 || answer.status === 503;
    if (!again || attempt >= attempts) return answer;
    await pause(PAUSE_MS * 2 ** (attempt - 1) + 1000 * Number(answer?.headers.get("Retry-After") ?? 0));
  }
}

function untilOnline() {
  if (navigator.onLine) return Promise.resolve();
  offline.value = true;
  return new Promise((done) => { addEventListener("online", done, { once: true }); });
}

function pause(ms) {
  return new Promise((done) => { setTimeout(done, ms); });
}
