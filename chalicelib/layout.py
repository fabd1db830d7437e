"""Where each record lives in the one table, and how it is written there: keys, indexes, attributes.

A customer's index attributes are derived from its state, by `places`, in `customer_item` and nowhere else, so they
cannot disagree with it. Nothing here talks to the engine.

    customer   T#<tenant>#P#<pool>#C#<id>    -              state, claim, latest events
               same                          F              its free fields, which a claim never rewrites
               same                          E#<born>#<seq> older events, a few to a page
    member     T#<tenant>#P#<pool>#M#<user>  -              role, own limit, counters
    guard      T#<tenant>#P#<pool>#D#<kind>#<digest>  -     which customer said that phone number or e-mail last
    statistics T#<tenant>#P#<pool>#S         <day>#<user>   what a member did on a day that is over
    import     T#<tenant>#P#<pool>#I#<import>  <part>       what it did to which customers; the engine drops it in time
    undone     T#<tenant>#P#<pool>#U#<import>  <part>       what its undoing answered; likewise
    spread     T#<tenant>#P#<pool>#X         -              how far the spreading of its lists has come
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

import zlib
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from chalicelib import places
from chalicelib.contact_keys import Kind, digest, keys_in
from chalicelib.places import DUE, NAMES, PLACE, REMINDER, ROSTER, prefix
from chalicelib.records import Customer, Event, Member, Pool

Item: TypeAlias = dict[str, dict[str, Any]]
Fields: TypeAlias = dict[str, str | int | float | bool | None]

COVERING: Final = frozenset((DUE,))  # the indexes that hold whole items; the others lead to them
INDEX_RANGE: Final = {ROSTER: "pk", PLACE: "rank", DUE: "due_at", NAMES: "folded", REMINDER: "remind_at"}

# The engine charges for each kilobyte begun of what is written. So a customer's latest events are packed where they are
# many, and the older ones get a page of their own where the customer takes a kilobyte less without them.
KILOBYTE: Final = 1024
PLAIN_BYTES: Final = 320
EVENTS_A_PAGE: Final = 16  # at most, whatever their size


class Key(NamedTuple):
    pk: str
    sk: str


# Keys


def customer_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#C#{customer}", "-")


def fields_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(customer_key(tenant, pool, customer).pk, "F")


def page_key(customer: Customer, pool: str, seq: int) -> Key:
    """In that pool, where the customer is or was. Another one of the same id may be there by now, made later."""
    return Key(customer_key(customer.tenant, pool, customer.id).pk, f"E#{customer.created_at:015d}#{seq:010d}")


def member_key(tenant: str, pool: str, user: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#M#{user}", "-")


def never_key(member: Key) -> Key:
    """Beside that member, where nothing is ever written: a check that something is there refuses a transaction."""
    return Key(member.pk, "never")


def guard_key(tenant: str, pool: str, kind: Kind, contact: str) -> Key:
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


def spread_key(tenant: str, pool: str) -> Key:
    """How far the spreading of the pool's lists has come."""
    return Key(f"{prefix(tenant, pool)}#X", "-")


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

# What reading one that is none ends in.
MALFORMED: Final = (msgspec.MsgspecError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError)
_LEFT_OUT_WHEN_EMPTY: Final = ("priority", "extended_ms", "stopped_ms", "pauses", "reminded", "homes", "past_holders")
# Every other attribute of a customer is stored as it is, except those in the key, in an item or a form of their own.
_STORED: Final = tuple(
    name
    for name in Customer.__struct_fields__
    if name not in ("tenant", "pool", "id", "fields", "tail", "shards", *_LEFT_OUT_WHEN_EMPTY)
)


def customer_item(customer: Customer) -> Item:
    """The whole item. Faster than `item`, because a claim spends much of its time here."""
    key = customer_key(customer.tenant, customer.pool, customer.id)
    stored: Item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "tail": {"S": tail_text(customer.tail)}}
    for name in _STORED:
        if (content := getattr(customer, name)) is not None:
            stored[name] = {"S": content} if isinstance(content, str) else {"N": str(content)}
    for name in _LEFT_OUT_WHEN_EMPTY:
        if content := getattr(customer, name):
            stored[name] = value(content)
    if customer.shards != 1:
        stored["shards"] = value(customer.shards)
    for name, content in places.of(customer).items():
        stored[name] = value(content)
    return stored


def customer_record(tenant: str, pool: str, stored: Item) -> Customer:
    """The customer in that item, without its fields. Raises msgspec.ValidationError where the item is malformed."""
    content = plain_item(stored)
    content["tail"] = msgspec.json.decode(_tail_json(content.get("tail", "[]")))
    content |= {"tenant": tenant, "pool": pool, "id": id_in(content["pk"])}
    return msgspec.convert(content, Customer)


def events_record(stored: Item) -> tuple[Event, ...]:
    """The latest events of the customer in that item, oldest first. Raises msgspec.ValidationError."""
    return msgspec.json.decode(_tail_json(stored["tail"]["S"]), type=tuple[Event, ...])


@lru_cache(maxsize=128)
def tail_text(events: tuple[Event, ...]) -> str:
    """The events as a customer carries them: in plain JSON or, where they are many, packed to less than half of it."""
    text = msgspec.json.encode([_row(event) for event in events])
    return text.decode() if len(text) <= PLAIN_BYTES else b64encode(zlib.compress(text)).decode()


def _row(event: Event) -> tuple[Any, ...]:
    """Its elements; without the last one where that is empty, since bytes are charged for."""
    row = msgspec.structs.astuple(event)
    return row if event.outcome is not None else row[:-1]


def _tail_json(text: str) -> bytes | str:
    if text.startswith("["):
        return text
    try:
        return zlib.decompress(b64decode(text))
    except (ValueError, zlib.error) as error:
        raise msgspec.ValidationError("events that cannot be unpacked") from error


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


def kilobytes(size: int) -> int:
    """As the engine counts them: those begun."""
    return max(-(-size // KILOBYTE), 1)


def size(stored: Item) -> int:
    """The bytes that are charged for: names and texts in UTF-8, a byte for two digits of a number, and one more."""
    return sum(len(name.encode()) + _bytes(content) for name, content in stored.items())


def _bytes(tagged: dict[str, Any]) -> int:
    ((kind, content),) = tagged.items()
    if kind == "N":
        return (len(content.lstrip("-")) + 1) // 2 + 1
    if kind == "M":
        return 3 + len(content) + size(content)
    return len(content if kind == "B" else content.encode())


def page_item(customer: Customer, events: tuple[Event, ...]) -> Item:
    key = page_key(customer, customer.pool, events[0].seq)
    return item(key, {"events": tail_text(events)})


def page_record(stored: Item) -> tuple[Event, ...]:
    return msgspec.json.decode(_tail_json(stored["events"]["S"]), type=tuple[Event, ...])


def pool_item(pool: Pool) -> Item:
    attributes = {
        "name": pool.name, "status": pool.status, "policy": _text(pool.policy), "version": pool.version,
        "created_at": pool.created_at, "updated_at": pool.updated_at, "pauses": pool.pauses,
        "paused_at": pool.paused_at, "resumed_at": pool.resumed_at, "closing": pool.closing,
        "shards": None if pool.shards == 1 else pool.shards, "spread_from": pool.spread_from,
        "spread_at": pool.spread_at, "day_kept": pool.day_kept, "day_since": pool.day_since,
        "day_until": pool.day_until,
    }  # fmt: skip
    return item(pool_key(pool.tenant, pool.id), attributes)


class MalformedPool(NamedTuple):
    """Stands for a pool whose record is malformed, where every pool of a tenant is gone through."""

    id: str


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
        ROSTER: places.roster_of_members(member.tenant, member.pool),
    }  # fmt: skip
    return item(member_key(member.tenant, member.pool, member.user), attributes)


def index_position(index: str, hash_value: str, key: Key | None, rank: int | str | None = None) -> Item | None:
    """The engine's name for a place in an index: that of the item under `key`, at `rank` where the index has one."""
    if key is None:
        return None
    ranked = {} if rank is None else {INDEX_RANGE[index]: value(rank)}
    return {"pk": value(key.pk), "sk": value(key.sk), index: value(hash_value), **ranked}
