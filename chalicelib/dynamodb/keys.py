"""On which lists a customer stands: the partitions of the indexes, and what puts a customer on them.

The lists that claims change, of the available and of the claimed customers, may be spread over several partitions, or
shards, since one takes no more than a thousand writes a second. Over how many, a customer says itself: so it was
written. The first has the name that the only one has, so the shards of a few are among those of more.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from zlib import crc32

from chalicelib.model.model import Customer
from chalicelib.model.normalization import Kind, digest, fold_name, truncate_name

ROSTER: Final = "roster"
PLACE: Final = "place"
DUE: Final = "due"
NAMES: Final = "names"
REMINDER: Final = "reminder"

NO_DEADLINE: Final = 253_402_300_799_999  # the last millisecond of the year 9999: the deadline of a claim that has none
PRIORITY_STEP: Final = 10**14  # more than any waiting time, so that priority always comes first


def prefix(tenant: str, pool: str) -> str:
    """What every key of a pool begins with."""
    return f"T#{tenant}#P#{pool}"


def shard_of(customer: str, shards: int) -> int:
    """Which of so many shards that customer's id belongs to."""
    return crc32(customer.encode()) % shards


# Partitions


def customer_roster(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#C"


def member_roster(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#M"


def place_available(tenant: str, pool: str, shard: int = 0) -> str:
    return _shard(f"{prefix(tenant, pool)}#A", shard)


def place_set_aside(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#R"


def place_of_holder(tenant: str, pool: str, holder: str) -> str:
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


def index_attributes(customer: Customer) -> dict[str, Any]:
    """The lists on which a customer stands, by its state and its name."""
    tenant, pool = customer.tenant, customer.pool
    shard = shard_of(customer.id, customer.shards)
    places: dict[str, Any] = {ROSTER: customer_roster(tenant, pool)}
    if name := truncate_name(fold_name(customer.name)):  # a name of blanks has nothing to be found by
        places |= {NAMES: names_in(tenant, pool), "folded": name}
    if customer.set_aside_at is not None:
        places |= {PLACE: place_set_aside(tenant, pool), "rank": customer.set_aside_at}
    elif customer.state == "available":
        rank = customer.waiting_since - customer.priority * PRIORITY_STEP
        places |= {PLACE: place_available(tenant, pool, shard), "rank": rank}
    elif customer.state == "claimed" and customer.holder is not None:
        deadline = NO_DEADLINE if customer.expires_at is None else customer.expires_at
        places |= {PLACE: place_of_holder(tenant, pool, customer.holder), "rank": deadline}
        claims = due_in(tenant, pool, shard)
        places |= {DUE: claims, "due_at": deadline}
        places |= {} if customer.remind_at is None else {REMINDER: claims}
    elif customer.state == "private" and customer.holder is not None:
        places |= {PLACE: place_of_holder(tenant, pool, customer.holder), "rank": NO_DEADLINE + customer.updated_at}
        places |= {DUE: private_in(tenant, pool), "due_at": customer.updated_at}
    return places


COVERING: Final = frozenset((DUE,))  # the indexes that hold whole items; the others lead to them


INDEX_RANGE: Final = {ROSTER: "pk", PLACE: "rank", DUE: "due_at", NAMES: "folded", REMINDER: "remind_at"}


class Key(NamedTuple):
    pk: str
    sk: str


def customer_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#C#{customer}", "-")


def fields_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(customer_key(tenant, pool, customer).pk, "F")


def event_page_key(customer: Customer, pool: str, seq: int) -> Key:
    """In that pool, where the customer is or was. Another one of the same id may be there by now, made later."""
    return Key(customer_key(customer.tenant, pool, customer.id).pk, f"E#{customer.created_at:015d}#{seq:010d}")


def member_key(tenant: str, pool: str, user: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#M#{user}", "-")


def absent_key(member: Key) -> Key:
    """Beside that member, where nothing is ever written: a check that something is there refuses a transaction."""
    return Key(member.pk, "never")


def unique_key(tenant: str, pool: str, kind: Kind, contact: str) -> Key:
    """Named by a digest: keys are shown in consoles and errors, where no phone number may be."""
    return Key(f"{prefix(tenant, pool)}#D#{kind}#{digest(contact)}", "-")


def import_key(tenant: str, pool: str, import_id: str, part: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#I#{import_id}", part)


def undone_key(tenant: str, pool: str, import_id: str, part: int) -> Key:
    return Key(f"{prefix(tenant, pool)}#U#{import_id}", f"{part:03d}")


def day_key(member: Key, day: str) -> Key:
    """The row for what that member did on that local day."""
    pool, _, user = member.pk.rpartition("#M#")
    return Key(f"{pool}#S", f"{day}#{user}")


def days_of(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#S"


def end_of_day(day: str) -> str:
    """Sorts after the rows of that day and before those of the next."""
    return f"{day}#~"


def leavers_key(tenant: str, pool: str) -> Key:
    """The pool's own row: what admins brought into the pool, and the members who have left."""
    return Key(days_of(tenant, pool), "-")


def pool_key(tenant: str, pool: str) -> Key:
    return Key(f"T#{tenant}#POOLS", pool)


def resharding_key(tenant: str, pool: str) -> Key:
    """How far the spreading of the pool's lists has come."""
    return Key(f"{prefix(tenant, pool)}#X", "-")


def tenant_key(tenant: str) -> Key:
    return Key("TENANTS", tenant)


def idempotency_record_key(tenant: str, user: str, route: str, idempotency_key: str, part: int) -> Key:
    return Key(f"T#{tenant}#K#{user}#{route}#{idempotency_key}", f"{part:03d}")


def id_from_pk(pk: str) -> str:
    """The id at the end of a customer's or a member's partition key."""
    return pk.rpartition("#")[2]


def tenant_from_pk(pk: str) -> str:
    """The tenant in a customer's or a member's partition key."""
    return pk.split("#")[1]


def pool_from_pk(pk: str) -> str:
    """The pool in a customer's or a member's partition key."""
    return pk.split("#")[3]
