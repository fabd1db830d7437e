"""On which lists a customer stands: the partitions of the indexes, and what puts a customer on them.

The lists that claims change, of the available and of the claimed customers, may be spread over several partitions, or
shards, since one takes no more than a thousand writes a second. Over how many, a customer says itself: so it was
written. The first has the name that the only one has, so the shards of a few are among those of more.
"""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

from chalicelib.contact_keys import cut, folded
from chalicelib.records import Customer

ROSTER: Final = "roster"
PLACE: Final = "place"
DUE: Final = "due"
NAMES: Final = "names"
REMINDER: Final = "reminder"

FOREVER: Final = 253_402_300_799_999  # the last millisecond of the year 9999: the deadline of a claim that has none
PRIORITY_STEP: Final = 10**14  # more than any waiting time, so that priority always comes first


def prefix(tenant: str, pool: str) -> str:
    """What every key of a pool begins with."""
    return f"T#{tenant}#P#{pool}"


def shard_of(customer: str, shards: int) -> int:
    """Which of so many shards that customer's id belongs to."""
    return crc32(customer.encode()) % shards


# Partitions


def roster_of_customers(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#C"


def roster_of_members(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#M"


def place_available(tenant: str, pool: str, shard: int = 0) -> str:
    return _shard(f"{prefix(tenant, pool)}#A", shard)


def place_aside(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#R"


def place_with(tenant: str, pool: str, holder: str) -> str:
    return f"{prefix(tenant, pool)}#H#{holder}"


def private_in(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#V"


def due_in(tenant: str, pool: str, shard: int = 0) -> str:
    """Of the claims, both in the index of deadlines and in that of reminders."""
    return _shard(f"{prefix(tenant, pool)}#D", shard)


def names_in(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#N"


def _shard(partition: str, shard: int) -> str:
    return f"{partition}#{shard}" if shard else partition


# Places


def of(customer: Customer) -> dict[str, Any]:
    """The lists on which a customer stands, by its state and its name."""
    tenant, pool = customer.tenant, customer.pool
    shard = shard_of(customer.id, customer.shards)
    places: dict[str, Any] = {ROSTER: roster_of_customers(tenant, pool)}
    if name := cut(folded(customer.name)):  # a name of blanks has nothing to be found by
        places |= {NAMES: names_in(tenant, pool), "folded": name}
    if customer.set_aside_at is not None:
        places |= {PLACE: place_aside(tenant, pool), "rank": customer.set_aside_at}
    elif customer.state == "available":
        rank = customer.waiting_since - customer.priority * PRIORITY_STEP
        places |= {PLACE: place_available(tenant, pool, shard), "rank": rank}
    elif customer.state == "claimed" and customer.holder is not None:
        deadline = FOREVER if customer.expires_at is None else customer.expires_at
        places |= {PLACE: place_with(tenant, pool, customer.holder), "rank": deadline}
        claims = due_in(tenant, pool, shard)
        places |= {DUE: claims, "due_at": deadline}
        places |= {} if customer.remind_at is None else {REMINDER: claims}
    elif customer.state == "private" and customer.holder is not None:
        places |= {PLACE: place_with(tenant, pool, customer.holder), "rank": FOREVER + customer.updated_at}
        places |= {DUE: private_in(tenant, pool), "due_at": customer.updated_at}
    return places
