// Days as the service counts them, in the pool's time zone: 2026-11-30.

import { now } from "./now.js";

/** Today. */
export function today() {
  const zone = { timeZone: now.pool.policy.time_zone ?? "UTC" };
  return new Intl.DateTimeFormat("en-CA", { ...zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date());
}

/** The day so many days later, or earlier. */
export function later(day, days) {
  const moved = new Date(`${day}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}
