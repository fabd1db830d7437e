"""Conversion of records to DynamoDB items and back. Keys and index attributes come from `keys`.

Nothing here calls DynamoDB.
"""

from __future__ import annotations

import math
import zlib
from base64 import b64decode
from collections.abc import Collection, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import (
    DUE,
    INDEX_ATTRIBUTES,
    INDEX_HASH,
    INDEX_RANGE,
    ROSTER,
    UNFINISHED_ERASURES,
    Key,
    stored_name,
)
from chalicelib.model.model import Customer, Event, Tombstone
from chalicelib.model.text import IDENTIFIER, Fields

Item: TypeAlias = dict[str, dict[str, Any]]


# DynamoDB charges writes by started kilobyte. So many recent events are stored compressed, and
# older ones move to a page item of their own where that saves the customer item a kilobyte.
KILOBYTE: Final = 1024
MAX_PLAIN_BYTES: Final = 256
EVENTS_PER_PAGE: Final = 16  # maximum, whatever their size
FEWEST_PER_PAGE: Final = 2  # that move because of their size
PREVIOUS_OWNERS: Final = ("previous_1", "previous_2", "previous_3")  # of a unique key; "" for none
FIRST_OWNER: Final = "first_owner"  # of a unique key: stays, however many customers take the key later
# The texts that events contain most, the most frequent last. Stored events depend on it, so it must never change.
_FREQUENT: Final = (
    b'"created","imported","updated","assigned","transferred","reclaimed","expired","extended","pinned","unpinned",'
    b'"won","converted","deposited","private","set_aside","connected"],"win_requested","followed_up",17,null,"claimed",'
    b'"claimed",17"released",17,null,"claimed","available",17"claimed",17,null,"available","claimed",17"],['
)
_WINDOW: Final = -12  # of the compression: 4 KB, without a header
_EVENT_ELEMENTS: Final = Event.__struct_fields__.index("unknown")  # of a stored event


# Values in DynamoDB's JSON: {"S": …}, {"N": …}, {"M": …}. Numbers are integers; an absent attribute is None.


def serialize(plain: str | int | bytes | dict[str, Any]) -> dict[str, Any]:
    if isinstance(plain, str):
        return {"S": plain}
    if isinstance(plain, bytes):
        return {"B": plain}
    if isinstance(plain, dict):
        return {"M": {name: serialize(part) for name, part in plain.items()}}
    return {"N": str(plain)}


def deserialize(tagged: dict[str, Any]) -> Any:
    ((kind, content),) = tagged.items()
    if kind == "N":
        return int(content)
    return {name: deserialize(part) for name, part in content.items()} if kind == "M" else content


def sort_value(tagged: dict[str, Any]) -> Any:
    """Return an index sort value. A malformed number is rounded up, so that a page continues after its entry."""
    return math.ceil(Decimal(tagged["N"])) if "N" in tagged else deserialize(tagged)


def deserialize_or_none(tagged: dict[str, Any] | None) -> Any:
    """Return the value, or None if it is absent or malformed."""
    with suppress(*MALFORMED):
        return None if tagged is None else deserialize(tagged)


def integer_or_none(tagged: dict[str, Any] | None) -> int | None:
    """Return the integer, or None if it is absent or malformed."""
    value = deserialize_or_none(tagged)
    return value if isinstance(value, int) else None


def build_item(key: Key, attributes: dict[str, Any]) -> Item:
    """Return a whole item without the attributes that are None."""
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}, **serialize_attributes(attributes)}


def serialize_attributes(attributes: dict[str, Any]) -> Item:
    """Return the attributes that are not None."""
    return {name: serialize(given) for name, given in attributes.items() if given is not None}


def key_of(stored: Item) -> Key:
    return Key(stored["pk"]["S"], stored["sk"]["S"])


def content_of(stored: Item) -> Item:
    """Return the attributes of an item without its key."""
    return {name: tagged for name, tagged in stored.items() if name not in ("pk", "sk")}


def deserialize_item(stored: Item) -> dict[str, Any]:
    return {name: deserialize(tagged) for name, tagged in stored.items()}


def to_json(content: Any) -> str:
    return msgspec.json.encode(content).decode()


# Records

# The exceptions that decoding a malformed record raises.
MALFORMED: Final = (
    msgspec.MsgspecError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError,
)  # fmt: skip
# Attributes that are stored as they are, each with the value that is left out: it costs no bytes.
_OMITTED: Final[dict[str, Any]] = {
    name: None
    for name in Customer.__struct_fields__
    if name not in (
        "tenant", "pool", "id", "fields", "contact_keys", "unique_keys", "former_keys", "tail", "card", "unknown",
        "unknown_of_fields",
    )
} | {"priority": 0, "extended_ms": 0, "stopped_ms": 0, "pauses": 0, "reminded": {}, "homes": {}, "past_holders": {},
     "past_holds": {}, "shards": 1, "rewrites": 0}  # fmt: skip
_KNOWN_OF_FIELDS: Final = frozenset(("pk", "sk", "fields", "version", "keys", "unique_keys", "former_keys", "rewrites"))
_STORED_NAMES: Final = {name: stored_name(name) for name in _OMITTED}
_KNOWN: Final = {stored: name for name, stored in _STORED_NAMES.items()} | {
    name: name for name in ("pk", "tail", *INDEX_ATTRIBUTES) if name not in _OMITTED
}  # by the name in the table
_KEPT: Final = _KNOWN.keys() | {"sk", "card"}


def customer_item(customer: Customer) -> Item:
    """Return the whole item."""
    stored = {name: serialize(content) for name, content in _customer_attributes(customer).items()}
    if customer.card:
        stored["card"] = {"M": customer.card}
    return stored | customer.unknown if customer.unknown else stored


def customer_size(customer: Customer) -> int:
    """Return the billed bytes of the customer's item. Equal to `size` of it, and faster: every claim needs it."""
    plain = _customer_attributes(customer)
    total = sum([len(name) + _plain_bytes(content) for name, content in plain.items()])
    if customer.card:
        total += len("card") + _bytes({"M": customer.card})
    return total + size(customer.unknown) if customer.unknown else total


def _customer_attributes(customer: Customer) -> dict[str, Any]:
    """Return the attributes of the item that this version knows, except the card, as plain values."""
    key = keys.customer_key(customer.tenant, customer.pool, customer.id)
    plain = {"pk": key.pk, "sk": key.sk, "tail": encode_events(customer.tail)}
    for name, omitted in _OMITTED.items():
        if (content := getattr(customer, name)) != omitted:
            plain[_STORED_NAMES[name]] = content
    return plain | keys.index_attributes(customer)


def customer_changes(before: Customer, after: Customer) -> tuple[Item, tuple[str, ...]]:
    """Return the changed attributes of the item, and the names of the removed ones.

    Equal to `attribute_changes` of both whole items, and faster: every claim needs it.
    """
    listed, was_listed = keys.index_attributes(after), keys.index_attributes(before)
    changed = {name: serialize(content) for name, content in listed.items() if was_listed.get(name) != content}
    removed = tuple(name for name in was_listed if name not in listed)
    if after.tail != before.tail:
        changed["tail"] = serialize(encode_events(after.tail))
    for name, omitted in _OMITTED.items():
        content = getattr(after, name)
        if content == getattr(before, name):
            continue
        if content != omitted:
            changed[_STORED_NAMES[name]] = serialize(content)
        elif name not in removed:
            removed = (*removed, _STORED_NAMES[name])
    if after.card != before.card:
        changed |= {"card": {"M": after.card}} if after.card else {}
        removed = removed if after.card else (*removed, "card")
    return changed, removed


def deserialize_known(stored: Item, known: Collection[str]) -> dict[str, Any]:
    """Return the attributes of these names: any other may have a type that only a later version knows."""
    return {name: deserialize(tagged) for name, tagged in stored.items() if name in known}


def attribute_changes(before: Item, after: Item) -> tuple[Item, tuple[str, ...]]:
    """Return the attributes of `after` that differ from `before`, and the names that `after` does not have."""
    changed = {name: content for name, content in after.items() if before.get(name) != content}
    return changed, tuple(name for name in before if name not in after)


def customer_record(tenant: str, pool: str, stored: Item) -> Customer:
    """Return the customer without its fields. Raises msgspec.ValidationError if it is malformed, or a tombstone."""
    content = {_KNOWN[name]: deserialize(tagged) for name, tagged in stored.items() if name in _KNOWN}
    content["unknown"] = {name: stored[name] for name in stored.keys() - _KEPT}
    content["card"] = stored["card"]["M"] if "card" in stored else {}
    content["tail"] = _event_rows(content["tail"])
    content |= {"tenant": tenant, "pool": pool, "id": keys.id_from_pk(content["pk"])}
    return msgspec.convert(content, Customer)


def recent_events_record(stored: Item) -> tuple[Event, ...]:
    """Return the recent events in a customer item, oldest first. Raises msgspec.ValidationError."""
    return _events(deserialize(stored["tail"]))


@lru_cache(maxsize=128)
def encode_events(events: tuple[Event, ...]) -> str | bytes:
    """Return events as plain JSON or, over MAX_PLAIN_BYTES, compressed to about a third of that."""
    text = msgspec.json.encode([_row(event) for event in events])
    if len(text) <= MAX_PLAIN_BYTES:
        return text.decode()
    deflate = zlib.compressobj(wbits=_WINDOW, memLevel=5, zdict=_FREQUENT)
    return deflate.compress(text) + deflate.flush()


def _row(event: Event) -> tuple[Any, ...]:
    """Return the event as an array, without the last elements if they are empty: stored bytes cost money."""
    row = msgspec.structs.astuple(event)[:_EVENT_ELEMENTS]
    if event.unknown:
        return row + msgspec.json.decode(event.unknown, type=tuple[Any, ...])
    if event.changed:
        return row
    return row[:-1] if event.outcome is not None else row[:-2]


def _event_rows(stored: str | bytes) -> list[list[Any]]:
    """Return the events as arrays. Elements that this version does not know become one more element, as JSON text."""
    rows: list[list[Any]] = msgspec.json.decode(decode_events(stored), type=list[list[Any]])
    return [
        row if len(row) <= _EVENT_ELEMENTS else [*row[:_EVENT_ELEMENTS], to_json(row[_EVENT_ELEMENTS:])] for row in rows
    ]


def _events(stored: str | bytes) -> tuple[Event, ...]:
    return msgspec.convert(_event_rows(stored), tuple[Event, ...])


def decode_events(stored: str | bytes) -> str | bytes:
    """Return the JSON of events. In a stream record, bytes are base64 text. Raises one of MALFORMED."""
    if isinstance(stored, str) and stored.startswith("["):
        return stored
    inflate = zlib.decompressobj(_WINDOW, _FREQUENT)
    try:
        text = inflate.decompress(b64decode(stored) if isinstance(stored, str) else stored)
    except (TypeError, ValueError, zlib.error) as error:
        raise msgspec.ValidationError("events cannot be decompressed") from error
    if not inflate.eof:
        raise msgspec.ValidationError("events are cut off")
    return text


def fields_item(customer: Customer) -> Item:
    key = keys.fields_key(customer.tenant, customer.pool, customer.id)
    known = {
        "fields": to_json(customer.fields), "version": customer.fields_version, "keys": " ".join(customer.contact_keys),
        "former_keys": " ".join(customer.former_keys) if customer.former_keys else None,
        "unique_keys": " ".join(customer.unique_keys) if customer.unique_keys else None,
        "rewrites": customer.rewrites or None,
    }  # fmt: skip
    return build_item(key, known) | customer.unknown_of_fields


class StoredFields(NamedTuple):
    """The fields of a customer, the customer version that wrote them, the contact keys in them, the partition keys of
    its former unique keys, the attributes that this version of the service does not know, and how often the keys were
    computed again.
    """

    version: int
    fields: Fields
    contact_keys: tuple[str, ...]
    former_keys: tuple[str, ...]
    unknown: Item
    unique_keys: tuple[str, ...] = ()
    rewrites: int = 0


def fields_record(stored: Item) -> StoredFields:
    """Raises one of MALFORMED."""
    fields = msgspec.json.decode(stored["fields"]["S"], type=Fields)
    unknown = {name: stored[name] for name in stored.keys() - _KNOWN_OF_FIELDS}
    contact_keys = tuple(stored["keys"]["S"].split())
    unique_keys = tuple(stored["unique_keys"]["S"].split()) if "unique_keys" in stored else ()
    former_keys = former_keys_record(stored)
    version, rewrites = (deserialize(stored.get(name, {"N": "0"})) for name in ("version", "rewrites"))
    return StoredFields(version, fields, contact_keys, former_keys, unknown, unique_keys, rewrites)


def former_keys_record(stored: Item) -> tuple[str, ...]:
    """Return the former unique keys in an item of fields. Raises one of MALFORMED."""
    return tuple(stored["former_keys"]["S"].split()) if "former_keys" in stored else ()


def unique_key_items(customer: Customer) -> dict[Key, Item]:
    """Return the unique-key items of a customer's contacts, with the customer version that writes them."""
    unique_keys = {}
    for contact_key in customer.contact_keys:
        key = keys.unique_key(customer.tenant, customer.pool, contact_key)
        owner = {"customer": customer.id, "created_at": customer.created_at, "version": customer.version}
        unique_keys[key] = build_item(key, owner)
    return unique_keys


def next_owner_item(owner: Item, earlier: Sequence[str]) -> Item:
    """Return the unique-key item for its next owner, with the owners before that one, the latest first."""
    return owner | {name: serialize(each) for name, each in zip(PREVIOUS_OWNERS, earlier, strict=False)}


def previous_owners(unique_key: Item) -> list[str]:
    """Return the ids of the customers from which the key was taken, the latest first, without malformed ones.

    Those between the first and the last few are not known.
    """
    stored = [unique_key.get(name, {}).get("S", "") for name in (*PREVIOUS_OWNERS, FIRST_OWNER)]
    return list(dict.fromkeys(each for each in stored if isinstance(each, str) and IDENTIFIER.fullmatch(each)))


class _UniqueKey(msgspec.Struct):
    """The attributes of a unique-key item."""

    customer: str
    version: int
    created_at: int


def unique_key_owner(stored: Item) -> str:
    """Return the customer id in a unique-key item. Raises one of MALFORMED."""
    return msgspec.convert(deserialize_known(stored, _UniqueKey.__struct_fields__), _UniqueKey).customer


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
    if kind == "L":
        return 3 + len(content) + sum(map(_bytes, content))
    if kind in ("SS", "NS", "BS"):
        return sum(_bytes({kind[0]: each}) for each in content)
    if kind in ("BOOL", "NULL"):
        return 1
    return len(content if kind == "B" else content.encode())


def _plain_bytes(plain: str | int | bytes | dict[str, Any]) -> int:
    if isinstance(plain, str):
        return len(plain) if plain.isascii() else len(plain.encode())
    return _bytes(serialize(plain))


def event_page_item(customer: Customer, events: tuple[Event, ...]) -> Item:
    key = keys.event_page_key(customer, customer.pool, events[0].seq)
    return build_item(key, {"events": encode_events(events)})


def event_page_record(stored: Item) -> tuple[Event, ...]:
    return _events(deserialize(stored["events"]))


def emptied_page(stored: Item) -> Item:
    """Return an event page without anything personal. Raises one of MALFORMED."""
    events = tuple(event.emptied for event in event_page_record(stored))
    return {"pk": stored["pk"], "sk": stored["sk"], "events": serialize(encode_events(events))}


# Erased customers


def is_tombstone(stored: Item) -> bool:
    return "erased_at" in stored and "state" not in stored


def tombstone_item(tombstone: Tombstone) -> Item:
    """Return the item of a customer that was just erased: it is listed as not yet emptied."""
    attributes = {
        "version": tombstone.version, "created_at": tombstone.created_at, "erased_at": tombstone.erased_at,
        "erased_by": tombstone.erased_by, "reason": tombstone.reason, "homes": tombstone.homes or None,
        "suppressed_at": tombstone.suppressed_at, "digests": " ".join(tombstone.digests) or None,
        "tail": encode_events(tombstone.tail), "page_tag": tombstone.page_tag,
        ROSTER: keys.erased_roster(tombstone.tenant, tombstone.pool),
        DUE: UNFINISHED_ERASURES, INDEX_RANGE[DUE]: tombstone.erased_at,
    }  # fmt: skip
    return build_item(keys.customer_key(tombstone.tenant, tombstone.pool, tombstone.id), attributes)


def is_unfinished(stored: Item) -> bool:
    """Return whether this tombstone is not yet emptied."""
    return DUE in stored


def tombstone_record(stored: Item) -> Tombstone:
    """Raises one of MALFORMED."""
    pk = deserialize(stored["pk"])
    content = deserialize_known(stored, Tombstone.__struct_fields__)
    content |= {"tenant": keys.tenant_from_pk(pk), "pool": keys.pool_from_pk(pk), "id": keys.id_from_pk(pk)}
    content["digests"] = content.get("digests", "").split()
    return msgspec.convert(content | {"tail": _event_rows(content["tail"])}, Tombstone)


def index_position(index: str, hash_value: str, key: Key | None, rank: int | str | None = None) -> Item | None:
    """Return the ExclusiveStartKey after the item `key`; `rank` is its index sort value, if any."""
    if key is None:
        return None
    ranked = {} if rank is None else {INDEX_RANGE[index]: serialize(rank)}
    return {"pk": serialize(key.pk), "sk": serialize(key.sk), INDEX_HASH[index]: serialize(hash_value), **ranked}
