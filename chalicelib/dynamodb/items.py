"""Conversion of records to DynamoDB items and back. Keys and index attributes come from `keys`.

Nothing here calls DynamoDB.
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


# DynamoDB charges writes by started kilobyte. So many recent events are stored compressed, and
# older ones move to a page item of their own where that saves the customer item a kilobyte.
KILOBYTE: Final = 1024
MAX_PLAIN_BYTES: Final = 320
EVENTS_PER_PAGE: Final = 16  # maximum, whatever their size


# Values in DynamoDB's JSON: {"S": …}, {"N": …}, {"M": …}. Numbers are integers; an absent attribute is None.


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
    """Return a whole item without the attributes that are None."""
    present = {name: serialize(given) for name, given in attributes.items() if given is not None}
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}, **present}


def deserialize_item(stored: Item) -> dict[str, Any]:
    return {name: deserialize(tagged) for name, tagged in stored.items()}


def _text(content: Any) -> str:
    return msgspec.json.encode(content).decode()


# Records

# The exceptions that decoding a malformed record raises.
MALFORMED: Final = (msgspec.MsgspecError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError)
_LEFT_OUT_WHEN_EMPTY: Final = ("priority", "extended_ms", "stopped_ms", "pauses", "reminded", "homes", "past_holders")
# Stored as they are: all attributes but those in the key, in an item of their own, or in a special encoding.
_STORED: Final = tuple(
    name
    for name in Customer.__struct_fields__
    if name not in ("tenant", "pool", "id", "fields", "tail", "shards", *_LEFT_OUT_WHEN_EMPTY)
)


def customer_item(customer: Customer) -> Item:
    """Return the whole item. Avoids `build_item`, which is slower: a claim spends much of its time here."""
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
    """Return the customer without its fields. Raises msgspec.ValidationError if the item is malformed."""
    content = deserialize_item(stored)
    content["tail"] = msgspec.json.decode(_decode_events(content.get("tail", "[]")))
    content |= {"tenant": tenant, "pool": pool, "id": keys.id_from_pk(content["pk"])}
    return msgspec.convert(content, Customer)


def recent_events_record(stored: Item) -> tuple[Event, ...]:
    """Return the recent events in a customer item, oldest first. Raises msgspec.ValidationError."""
    return msgspec.json.decode(_decode_events(stored["tail"]["S"]), type=tuple[Event, ...])


@lru_cache(maxsize=128)
def encode_events(events: tuple[Event, ...]) -> str:
    """Return events as plain JSON or, over MAX_PLAIN_BYTES, compressed to less than half of that."""
    text = msgspec.json.encode([_row(event) for event in events])
    return text.decode() if len(text) <= MAX_PLAIN_BYTES else b64encode(zlib.compress(text)).decode()


def _row(event: Event) -> tuple[Any, ...]:
    """Return the event as an array, without an empty `outcome`: stored bytes cost money."""
    row = msgspec.structs.astuple(event)
    return row if event.outcome is not None else row[:-1]


def _decode_events(text: str) -> bytes | str:
    if text.startswith("["):
        return text
    try:
        return zlib.decompress(b64decode(text))
    except (ValueError, zlib.error) as error:
        raise msgspec.ValidationError("events cannot be decompressed") from error


def fields_item(customer: Customer) -> Item:
    key = keys.fields_key(customer.tenant, customer.pool, customer.id)
    return build_item(key, {"fields": _text(customer.fields), "version": customer.fields_version})


def fields_record(stored: Item) -> tuple[int, dict[str, Any]]:
    """Return the customer version that wrote these fields, and the fields. Raises msgspec.ValidationError."""
    return deserialize(stored["version"]), msgspec.json.decode(stored["fields"]["S"], type=Fields)


def unique_key_items(customer: Customer) -> dict[Key, Item]:
    """Return the unique-key items for a customer's fields, with the customer version that writes them."""
    unique_keys = {}
    for kind, contact in keys_in(customer.fields).items():
        key = keys.unique_key(customer.tenant, customer.pool, kind, contact)
        owner = {"customer": customer.id, "created_at": customer.created_at, "version": customer.version}
        unique_keys[key] = build_item(key, owner)
    return unique_keys


def unique_key_owner(stored: Item) -> str:
    """Return the customer id in a unique-key item."""
    return str(deserialize(stored["customer"]))


def kilobytes(size: int) -> int:
    """Return `size` bytes in kilobytes as DynamoDB bills them: rounded up, at least 1."""
    return max(-(-size // KILOBYTE), 1)


def size(stored: Item) -> int:
    """Return the billed bytes of an item: UTF-8 names and strings; a byte per two digits of a number, plus one."""
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
    """Stands for a malformed pool record in a scan of all pools of a tenant."""

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
    """Return a new member's item. `room` is their own limit minus `held`; without an own limit it is unused."""
    attributes = {
        "role": member.role, "own_limit": member.own_limit, "held": member.held, "pins": member.pins,
        "pooled": member.pooled, "aside": member.aside, "day": member.day, "did": member.did,
        "room": (member.own_limit or 0) - member.held, "version": member.version,
        ROSTER: keys.member_roster(member.tenant, member.pool),
    }  # fmt: skip
    return build_item(keys.member_key(member.tenant, member.pool, member.user), attributes)


def index_position(index: str, hash_value: str, key: Key | None, rank: int | str | None = None) -> Item | None:
    """Return the ExclusiveStartKey after the item `key`; `rank` is its index sort value, if any."""
    if key is None:
        return None
    ranked = {} if rank is None else {INDEX_RANGE[index]: serialize(rank)}
    return {"pk": serialize(key.pk), "sk": serialize(key.sk), index: serialize(hash_value), **ranked}
