// The names of users by id, as answers have named them. People read names; ids are for the service.

import { signal } from "./view.js";

const names = signal({});

export function rememberPeople(people) {
  const fresh = Object.entries(people ?? {}).filter(([id, { name }]) => name && names.peek()[id] !== name);
  if (fresh.length) names.value = { ...names.peek(), ...Object.fromEntries(fresh.map(([id, { name }]) => [id, name])) };
}

/** The name of a user, or the id where no name is known. */
export function nameOf(id) {
  return names.value[id] ?? id;
}
