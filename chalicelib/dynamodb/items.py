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

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import INDEX_RANGE, ROSTER, Key
from chalicelib.model.model import Customer, Event, Member, Pool
from chalicelib.model.normalization import keys_in

Item: TypeAlias = dict[str, dict[str, Any]]
Fields: TypeAlias = dict[str, str | int | float | bool | None]


# The engine charges for each kilobyte begun of what is written. So a customer's latest events are packed where they are
# many, and the older ones get a page of their own where the customer takes a kilobyte less without them.
KILOBYTE: Final = 1024
MAX_PLAIN_BYTES: Final = 320
EVENTS_PER_PAGE: Final = 16  # at most, whatever their size


# Keys


# Values: the engine's tagged form. Numbers are integers throughout; an absent attribute is None.


def serialize(plain: str | int | dict[str, Any]) -> dict[str, Any]:
    if isinstance(plain, str):
        return {"S": plain}
    if isinstance(plain, dict):
        return {"M": {name: serialize(part) for name, part in plain.items()}}
    return {"N": str(plain)}


def deserialize(tagged: dict[str, Any]) -> Any:
    ((kind, content),) = tagged.items()
    if kind == "N":
        return int(content)
    return {name: deserialize(part) for name, part in content.items()} if kind == "M" else content


def build_item(key: Key, attributes: dict[str, Any]) -> Item:
    """A whole item; attributes that are None are left out."""
    present = {name: serialize(given) for name, given in attributes.items() if given is not None}
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}, **present}


def deserialize_item(stored: Item) -> dict[str, Any]:
    return {name: deserialize(tagged) for name, tagged in stored.items()}


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
    key = keys.customer_key(customer.tenant, customer.pool, customer.id)
    stored: Item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "tail": {"S": encode_events(customer.tail)}}
    for name in _STORED:
        if (content := getattr(customer, name)) is not None:
            stored[name] = {"S": content} if isinstance(content, str) else {"N": str(content)}
    for name in _LEFT_OUT_WHEN_EMPTY:
        if content := getattr(customer, name):
            stored[name] = serialize(content)
    if customer.shards != 1:
        stored["shards"] = serialize(customer.shards)
    for name, content in keys.index_attributes(customer).items():
        stored[name] = serialize(content)
    return stored


def customer_record(tenant: str, pool: str, stored: Item) -> Customer:
    """The customer in that item, without its fields. Raises msgspec.ValidationError where the item is malformed."""
    content = deserialize_item(stored)
    content["tail"] = msgspec.json.decode(_decode_events(content.get("tail", "[]")))
    content |= {"tenant": tenant, "pool": pool, "id": keys.id_from_pk(content["pk"])}
    return msgspec.convert(content, Customer)


def recent_events_record(stored: Item) -> tuple[Event, ...]:
    """The latest events of the customer in that item, oldest first. Raises msgspec.ValidationError."""
    return msgspec.json.decode(_decode_events(stored["tail"]["S"]), type=tuple[Event, ...])


@lru_cache(maxsize=128)
def encode_events(events: tuple[Event, ...]) -> str:
    """The events as a customer carries them: in plain JSON or, where they are many, packed to less than half of it."""
    text = msgspec.json.encode([_row(event) for event in events])
    return text.decode() if len(text) <= MAX_PLAIN_BYTES else b64encode(zlib.compress(text)).decode()


def _row(event: Event) -> tuple[Any, ...]:
    """Its elements; without the last one where that is empty, since bytes are charged for."""
    row = msgspec.structs.astuple(event)
    return row if event.outcome is not None else row[:-1]


def _decode_events(text: str) -> bytes | str:
    if text.startswith("["):
        return text
    try:
        return zlib.decompress(b64decode(text))
    except (ValueError, zlib.error) as error:
        raise msgspec.ValidationError("events that cannot be unpacked") from error


def fields_item(customer: Customer) -> Item:
    key = keys.fields_key(customer.tenant, customer.pool, customer.id)
    return build_item(key, {"fields": _text(customer.fields), "version": customer.fields_version})


def fields_record(stored: Item) -> tuple[int, dict[str, Any]]:
    """The version of the customer that these fields belong to, and the fields. Raises msgspec.ValidationError."""
    return deserialize(stored["version"]), msgspec.json.decode(stored["fields"]["S"], type=Fields)


def unique_key_items(customer: Customer) -> dict[Key, Item]:
    """The guards of what those fields say, with the version that says so: each time it is said, another one."""
    unique_keys = {}
    for kind, contact in keys_in(customer.fields).items():
        key = keys.unique_key(customer.tenant, customer.pool, kind, contact)
        said_by = {"customer": customer.id, "created_at": customer.created_at, "version": customer.version}
        unique_keys[key] = build_item(key, said_by)
    return unique_keys


def unique_key_owner(stored: Item) -> str:
    """The customer that a guard names."""
    return str(deserialize(stored["customer"]))


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


def event_page_item(customer: Customer, events: tuple[Event, ...]) -> Item:
    key = keys.event_page_key(customer, customer.pool, events[0].seq)
    return build_item(key, {"events": encode_events(events)})


def event_page_record(stored: Item) -> tuple[Event, ...]:
    return msgspec.json.decode(_decode_events(stored["events"]["S"]), type=tuple[Event, ...])


def pool_item(pool: Pool) -> Item:
    attributes = {
        "name": pool.name, "status": pool.status, "policy": _text(pool.policy), "version": pool.version,
        "created_at": pool.created_at, "updated_at": pool.updated_at, "pauses": pool.pauses,
        "paused_at": pool.paused_at, "resumed_at": pool.resumed_at, "closing": pool.closing,
        "shards": None if pool.shards == 1 else pool.shards, "spread_from": pool.spread_from,
        "spread_at": pool.spread_at, "day_kept": pool.day_kept, "day_since": pool.day_since,
        "day_until": pool.day_until,
    }  # fmt: skip
    return build_item(keys.pool_key(pool.tenant, pool.id), attributes)


class MalformedPool(NamedTuple):
    """Stands for a pool whose record is malformed, where every pool of a tenant is gone through."""

    id: str


def pool_record(tenant: str, stored: Item) -> Pool:
    content = deserialize_item(stored)
    content |= {"tenant": tenant, "id": content["sk"], "policy": msgspec.json.decode(content["policy"])}
    pool = msgspec.convert(content, Pool)
    pool.policy.check_stored()
    return pool


def member_record(tenant: str, pool: str, stored: Item) -> Member:
    content = deserialize_item(stored)
    return msgspec.convert(content | {"tenant": tenant, "pool": pool, "user": keys.id_from_pk(content["pk"])}, Member)


def member_item(member: Member) -> Item:
    """A new member's item. `room` is what their own limit leaves; where there is none it means nothing."""
    attributes = {
        "role": member.role, "own_limit": member.own_limit, "held": member.held, "pins": member.pins,
        "pooled": member.pooled, "aside": member.aside, "day": member.day, "did": member.did,
        "room": (member.own_limit or 0) - member.held, "version": member.version,
        ROSTER: keys.member_roster(member.tenant, member.pool),
    }  # fmt: skip
    return build_item(keys.member_key(member.tenant, member.pool, member.user), attributes)


def index_position(index: str, hash_value: str, key: Key | None, rank: int | str | None = None) -> Item | None:
    """The engine's name for a place in an index: that of the item under `key`, at `rank` where the index has one."""
    if key is None:
        return None
    ranked = {} if rank is None else {INDEX_RANGE[index]: serialize(rank)}
    return {"pk": serialize(key.pk), "sk": serialize(key.sk), index: serialize(hash_value), **ranked}
