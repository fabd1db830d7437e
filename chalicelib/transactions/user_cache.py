"""Cache the users that this process has read or written within the last minute, so that few answers read names.

A name in an answer may therefore be a minute old.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Final

from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.items import MALFORMED
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ, Table
from chalicelib.model.users import Person

MAX_USERS: Final = 5_000
MAX_AGE_MS: Final = 60_000


class UserCache:
    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int, Person]] = {}
        self._lock = Lock()

    def remember(self, person: Person, now: int) -> None:
        key = person.tenant, person.id
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (now, person)
            if len(self._kept) > MAX_USERS:
                del self._kept[next(iter(self._kept))]

    def peek(self, tenant: str, users: Iterable[str], now: int) -> dict[str, Person]:
        """Return the users that are cached and not too old."""
        found = {}
        for user in users:
            read_at, person = self._kept.get((tenant, user), (0, None))
            if person is not None and 0 <= now - read_at < MAX_AGE_MS:
                found[user] = person
        return found

    def just_read(self, tenant: str, user: str, now: int) -> Person | None:
        """Return the user if they were read or written at the moment of this request."""
        read_at, person = self._kept.get((tenant, user), (0, None))
        return person if read_at == now else None

    def get_many(self, table: Table, tenant: str, users: Iterable[str], now: int) -> dict[str, Person]:
        """Return the users from the cache or by one read, which takes the first hundred of those not cached."""
        cached = self.peek(tenant, users, now)
        missing = [user for user in users if user not in cached][:MAX_KEYS_PER_READ]
        return cached | self.read(table, tenant, missing, now)

    def read(self, table: Table, tenant: str, users: Sequence[str], now: int) -> dict[str, Person]:
        """Read the users. One that is not stored is a user at version 0."""
        wanted = {user: keys.user_key(tenant, user) for user in users}
        found = table.get(list(wanted.values()))
        read = {}
        for user, key in wanted.items():
            read[user] = Person(tenant, user)
            try:
                read[user] = pool_items.user_record(tenant, found[key]) if key in found else read[user]
            except MALFORMED:
                continue  # a malformed record must not stop the answer: its user has no name
            self.remember(read[user], now)
        return read
