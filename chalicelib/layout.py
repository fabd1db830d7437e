"""Where each record lives in the one table, and how it is written there: keys, indexes, attributes.

A customer's index attributes are derived from its state in `customer_item` and nowhere else, so they cannot disagree
with it. Nothing here talks to the engine.

    customer   T#<tenant>#P#<pool>#C#<id>    -              state, claim, latest events
               same                          F              its free fields, which a claim never rewrites
               same                          E#<born>#<seq> older events, a few to a page
    member     T#<tenant>#P#<pool>#M#<user>  -              role, own limit, counters
    guard      T#<tenant>#P#<pool>#D#<kind>#<digest>  -     which customer said that phone number or e-mail last
    statistics T#<tenant>#P#<pool>#S         <day>#<user>   what a member did on a day that is over
    import     T#<tenant>#P#<pool>#I#<import>  <part>       what it did to which customers; the engine drops it in time
    undone     T#<tenant>#P#<pool>#U#<import>  <part>       what its undoing answered; likewise
    pool       T#<tenant>#POOLS              <pool>         policy and status
    tenant     TENANTS                       <tenant>       so that the schedule finds every pool
    answer     T#<tenant>#K#<user>#<route>#<key>  <part>    what an Idempotency-Key did; the engine drops it after a day

    index roster   everything of one kind in a pool, by id: its customers, its members. Claims never touch it
    index place    where a customer is: in its pool, by priority and waiting time, or with its holder, by deadline;
                   a holder's private customers come after all deadlines
    index names    the customers of a pool by folded name, for a search by its beginning. Claims never touch it
    index due      the claimed customers of a pool, by deadline: what the sweep reads; and, apart, its private ones.
                   Whole customers, so that what has lapsed is returned without another read
    index reminder the claimed customers of a pool whose holders are to be reminded, by when
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from chalicelib.contact_keys import Kind, cut, digest, folded, keys_in
from chalicelib.records import Customer, Event, Member, Pool

Item: TypeAlias = dict[str, dict[str, Any]]
Fields: TypeAlias = dict[str, str | int | float | bool | None]

ROSTER: Final = "roster"
PLACE: Final = "place"
DUE: Final = "due"
NAMES: Final = "names"
REMINDER: Final = "reminder"

COVERING: Final = frozenset((DUE,))  # the indexes that hold whole items; the others lead to them
INDEX_RANGE: Final = {ROSTER: "pk", PLACE: "rank", DUE: "due_at", NAMES: "folded", REMINDER: "remind_at"}

FOREVER: Final = 253_402_300_799_999  # the last millisecond of the year 9999: the deadline of a claim that has none
PRIORITY_STEP: Final = 10**14  # more than any waiting time, so that priority always comes first

# A customer item should stay under 1 KB, for which a transaction pays 2 write units. So much of it is for events.
TAIL_BYTES: Final = 440
EVENTS_A_PAGE: Final = 16  # at most, whatever their size


class Key(NamedTuple):
    pk: str
    sk: str


def _index(name: str, range_key: str) -> dict[str, Any]:
    keys = [{"AttributeName": name, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]
    projected = "ALL" if name in COVERING else "KEYS_ONLY"
    return {"IndexName": name, "KeySchema": keys, "Projection": {"ProjectionType": projected}}


SCHEMA: Final[dict[str, Any]] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (
            ("pk", "S"), ("sk", "S"), (ROSTER, "S"), (PLACE, "S"), ("rank", "N"), (DUE, "S"), ("due_at", "N"),
            (NAMES, "S"), ("folded", "S"), (REMINDER, "S"), ("remind_at", "N"),
        )
    ],
    "GlobalSecondaryIndexes": [_index(name, range_key) for name, range_key in INDEX_RANGE.items()],
    "BillingMode": "PAY_PER_REQUEST",
    # Both, so that a reader sees which events a write has added to those that the customer carried before.
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}  # fmt: skip


# Keys


def _pool_prefix(tenant: str, pool: str) -> str:
    return f"T#{tenant}#P#{pool}"


def customer_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(f"{_pool_prefix(tenant, pool)}#C#{customer}", "-")


def fields_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(customer_key(tenant, pool, customer).pk, "F")


def page_key(customer: Customer, pool: str, seq: int) -> Key:
    """In that pool, where the customer is or was. Another one of the same id may be there by now, made later."""
    return Key(customer_key(customer.tenant, pool, customer.id).pk, f"E#{customer.created_at:015d}#{seq:010d}")


def member_key(tenant: str, pool: str, user: str) -> Key:
    return Key(f"{_pool_prefix(tenant, pool)}#M#{user}", "-")


def never_key(member: Key) -> Key:
    """Beside that member, where nothing is ever written: a check that something is there refuses a transaction."""
    return Key(member.pk, "never")


def guard_key(tenant: str, pool: str, kind: Kind, contact: str) -> Key:
    """Named by a digest: keys are shown in consoles and errors, where no phone number may be."""
    return Key(f"{_pool_prefix(tenant, pool)}#D#{kind}#{digest(contact)}", "-")


def import_key(tenant: str, pool: str, import_id: str, part: str) -> Key:
    return Key(f"{_pool_prefix(tenant, pool)}#I#{import_id}", part)


def undone_key(tenant: str, pool: str, import_id: str, part: int) -> Key:
    return Key(f"{_pool_prefix(tenant, pool)}#U#{import_id}", f"{part:03d}")


def day_key(member: Key, day: str) -> Key:
    """The row for what that member did on that local day."""
    pool, _, user = member.pk.rpartition("#M#")
    return Key(f"{pool}#S", f"{day}#{user}")


def days_of(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#S"


def end_of_day(day: str) -> str:
    """Sorts after the rows of that day and before those of the next."""
    return f"{day}#~"


def leavers_key(tenant: str, pool: str) -> Key:
    """What members who have left had brought into the pool."""
    return Key(days_of(tenant, pool), "-")


def pool_key(tenant: str, pool: str) -> Key:
    return Key(f"T#{tenant}#POOLS", pool)


def tenant_key(tenant: str) -> Key:
    return Key("TENANTS", tenant)


def answer_key(tenant: str, user: str, route: str, idempotency_key: str, part: int) -> Key:
    return Key(f"T#{tenant}#K#{user}#{route}#{idempotency_key}", f"{part:03d}")


def id_in(pk: str) -> str:
    """The id at the end of a customer's or a member's partition key."""
    return pk.rpartition("#")[2]


def tenant_in(pk: str) -> str:
    """The tenant in a customer's or a member's partition key."""
    return pk.split("#")[1]


def pool_in(pk: str) -> str:
    """The pool in a customer's or a member's partition key."""
    return pk.split("#")[3]


# Index partitions


def roster_of_customers(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#C"


def roster_of_members(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#M"


def place_available(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#A"


def place_aside(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#R"


def place_with(tenant: str, pool: str, holder: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#H#{holder}"


def private_in(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#V"


def due_in(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#D"


def names_in(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#N"


def reminders_in(tenant: str, pool: str) -> str:
    return f"{_pool_prefix(tenant, pool)}#D"


def _index_attributes(customer: Customer) -> dict[str, Any]:
    """The lists on which a customer stands, by its state and its name."""
    tenant, pool = customer.tenant, customer.pool
    places: dict[str, Any] = {ROSTER: roster_of_customers(tenant, pool)}
    if name := cut(folded(customer.name)):  # a name of blanks has nothing to be found by
        places |= {NAMES: names_in(tenant, pool), "folded": name}
    if customer.set_aside_at is not None:
        places |= {PLACE: place_aside(tenant, pool), "rank": customer.set_aside_at}
    elif customer.state == "available":
        rank = customer.waiting_since - customer.priority * PRIORITY_STEP
        places |= {PLACE: place_available(tenant, pool), "rank": rank}
    elif customer.state == "claimed" and customer.holder is not None:
        deadline = FOREVER if customer.expires_at is None else customer.expires_at
        places |= {PLACE: place_with(tenant, pool, customer.holder), "rank": deadline}
        places |= {DUE: due_in(tenant, pool), "due_at": deadline}
        places |= {} if customer.remind_at is None else {REMINDER: reminders_in(tenant, pool)}
    elif customer.state == "private" and customer.holder is not None:
        places |= {PLACE: place_with(tenant, pool, customer.holder), "rank": FOREVER + customer.updated_at}
        places |= {DUE: private_in(tenant, pool), "due_at": customer.updated_at}
    return places


# Values: the engine's tagged form. Numbers are integers throughout; an absent attribute is None.


def value(plain: str | int | dict[str, Any]) -> dict[str, Any]:
    if isinstance(plain, str):
        return {"S": plain}
    if isinstance(plain, dict):
        return {"M": {name: value(part) for name, part in plain.items()}}
    return {"N": str(plain)}


def plain(tagged: dict[str, Any]) -> Any:
    ((kind, content),) = tagged.items()
    if kind == "N":
        return int(content)
    return {name: plain(part) for name, part in content.items()} if kind == "M" else content


def item(key: Key, attributes: dict[str, Any]) -> Item:
    """A whole item; attributes that are None are left out."""
    present = {name: value(given) for name, given in attributes.items() if given is not None}
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}, **present}


def plain_item(stored: Item) -> dict[str, Any]:
    return {name: plain(tagged) for name, tagged in stored.items()}


def _text(content: Any) -> str:
    return msgspec.json.encode(content).decode()


# Records

_CUSTOMER_ATTRIBUTES: Final = (
    "name", "state", "version", "created_at", "updated_at", "entered_at", "waiting_since", "fields_version", "priority",
    "returns", "holder", "claim_id", "claimed_at", "expires_at", "extensions", "extended_ms", "last_follow_up_at",
    "active_at", "stopped_ms", "pauses", "pinned_until", "clock_ends", "remind_at", "reminded", "set_aside_at", "homes",
    "past_holders",
)  # fmt: skip


_LEFT_OUT_WHEN_EMPTY: Final = ("priority", "extended_ms", "stopped_ms", "pauses", "reminded", "homes", "past_holders")


def customer_item(customer: Customer) -> Item:
    attributes = {name: getattr(customer, name) for name in _CUSTOMER_ATTRIBUTES}
    attributes |= {name: attributes[name] or None for name in _LEFT_OUT_WHEN_EMPTY}
    attributes["tail"] = _text(customer.tail)
    key = customer_key(customer.tenant, customer.pool, customer.id)
    return item(key, attributes | _index_attributes(customer))


def customer_record(tenant: str, pool: str, stored: Item) -> Customer:
    """The customer in that item, without its fields. Raises msgspec.ValidationError where the item is malformed."""
    content = plain_item(stored)
    content["tail"] = msgspec.json.decode(content.get("tail", "[]"))
    content |= {"tenant": tenant, "pool": pool, "id": id_in(content["pk"])}
    return msgspec.convert(content, Customer)


def events_record(stored: Item) -> tuple[Event, ...]:
    """The latest events of the customer in that item, oldest first. Raises msgspec.ValidationError."""
    return msgspec.json.decode(stored["tail"]["S"], type=tuple[Event, ...])


def fields_item(customer: Customer) -> Item:
    key = fields_key(customer.tenant, customer.pool, customer.id)
    return item(key, {"fields": _text(customer.fields), "version": customer.fields_version})


def fields_record(stored: Item) -> tuple[int, dict[str, Any]]:
    """The version of the customer that these fields belong to, and the fields. Raises msgspec.ValidationError."""
    return plain(stored["version"]), msgspec.json.decode(stored["fields"]["S"], type=Fields)


def guard_items(customer: Customer) -> dict[Key, Item]:
    """The guards of what those fields say, with the version that says so: each time it is said, another one."""
    guards = {}
    for kind, contact in keys_in(customer.fields).items():
        key = guard_key(customer.tenant, customer.pool, kind, contact)
        said_by = {"customer": customer.id, "created_at": customer.created_at, "version": customer.version}
        guards[key] = item(key, said_by)
    return guards


def guarded(stored: Item) -> str:
    """The customer that a guard names."""
    return str(plain(stored["customer"]))


def tail_bytes(events: tuple[Event, ...]) -> int:
    return len(msgspec.json.encode(events))


def page_item(customer: Customer, events: tuple[Event, ...]) -> Item:
    key = page_key(customer, customer.pool, events[0].seq)
    return item(key, {"events": _text(events)})


def page_record(stored: Item) -> tuple[Event, ...]:
    return msgspec.json.decode(stored["events"]["S"], type=tuple[Event, ...])


def pool_item(pool: Pool) -> Item:
    attributes = {
        "name": pool.name, "status": pool.status, "policy": _text(pool.policy), "version": pool.version,
        "created_at": pool.created_at, "updated_at": pool.updated_at, "pauses": pool.pauses,
        "paused_at": pool.paused_at, "resumed_at": pool.resumed_at, "closing": pool.closing,
    }  # fmt: skip
    return item(pool_key(pool.tenant, pool.id), attributes)


def pool_record(tenant: str, stored: Item) -> Pool:
    content = plain_item(stored)
    content |= {"tenant": tenant, "id": content["sk"], "policy": msgspec.json.decode(content["policy"])}
    return msgspec.convert(content, Pool)


def member_record(tenant: str, pool: str, stored: Item) -> Member:
    content = plain_item(stored)
    return msgspec.convert(content | {"tenant": tenant, "pool": pool, "user": id_in(content["pk"])}, Member)


def member_item(member: Member) -> Item:
    """A new member's item. `room` is what their own limit leaves; where there is none it means nothing."""
    attributes = {
        "role": member.role, "own_limit": member.own_limit, "held": member.held, "pins": member.pins,
        "pooled": member.pooled, "aside": member.aside, "day": member.day, "did": member.did,
        "room": (member.own_limit or 0) - member.held, "version": member.version,
        ROSTER: roster_of_members(member.tenant, member.pool),
    }  # fmt: skip
    return item(member_key(member.tenant, member.pool, member.user), attributes)


def index_position(index: str, hash_value: str, key: Key | None, rank: int | str | None = None) -> Item | None:
    """The engine's name for a place in an index: that of the item under `key`, at `rank` where the index has one."""
    if key is None:
        return None
    ranked = {} if rank is None else {INDEX_RANGE[index]: value(rank)}
    return {"pk": value(key.pk), "sk": value(key.sk), index: value(hash_value), **ranked}
