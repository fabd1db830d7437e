"""Remember the territories of members, and the fields that territories name, so that a warm claim needs no read.

A cached territory is a hint: every transition planned from it has it as a condition. If the condition fails, the
returned item replaces it, and the transition is planned again. Nothing is read for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Lock
from typing import Final, TypeVar

from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model.territories import Territory
from chalicelib.observability import exception_summary

T = TypeVar("T")
log = logging.getLogger("customer-pool")
MAX_KEPT: Final = 5_000


class TerritoryCache:
    """The content of the items as last read, by key. A member without a territory, and a pool without any, take no
    space."""

    def __init__(self) -> None:
        self._territories: dict[Key, Territory] = {}
        self._named: dict[Key, frozenset[str]] = {}
        self._lock = Lock()

    def territory_of(self, member: Key) -> Territory | None:
        """Return the territory of a member, as last seen."""
        return self._territories.get(member)

    def named(self, territories: Key) -> frozenset[str]:
        """Return the fields that the territories of a pool name, as last seen."""
        return self._named.get(territories, frozenset())

    def learn(self, failed_items: Mapping[Key, Item]) -> set[Key]:
        """Remember what is in the failed items; {} means that there is none. Return the keys of malformed ones."""
        malformed = set()
        for key, item in failed_items.items():
            try:
                if keys.is_member(key):
                    _keep(self._territories, key, pool_items.territory_record(item), self._lock)
                elif keys.is_territories(key):
                    _keep(self._named, key, pool_items.territories_record(item), self._lock)
            except items.MALFORMED as error:
                log.error("malformed territory: %s", exception_summary(error))
                malformed.add(key)
        return malformed


def _keep(kept: dict[Key, T], key: Key, content: T | None, lock: Lock) -> None:
    with lock:
        kept.pop(key, None)
        if content:
            kept[key] = content
        if len(kept) > MAX_KEPT:
            del kept[next(iter(kept))]
