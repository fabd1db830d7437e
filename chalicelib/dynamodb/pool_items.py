"""Conversion of pools, members, users and entries of the log to DynamoDB items and back.

Like `items`, which converts customers. Nothing here calls DynamoDB.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import (
    Item,
    build_item,
    deserialize,
    deserialize_known,
    serialize,
    serialize_attributes,
    to_json,
)
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, ROSTER, Key
from chalicelib.model import territories
from chalicelib.model.field_definitions import Field
from chalicelib.model.model import LogEntry, Member, Pool
from chalicelib.model.policy import Policy
from chalicelib.model.territories import Territory
from chalicelib.model.users import Leave, Person

NAMING: Final = "field:"  # begins the counter of the territories that name a field
MOVED_AT: Final = "moved_at"  # of a pool: when something may have set a deadline sooner than its next check


def pool_item(pool: Pool) -> Item:
    attributes = {
        "name": pool.name, "status": pool.status,
        "policy": to_json(msgspec.to_builtins(pool.policy) | pool.unknown_policy), "version": pool.version,
        "fields": _definitions_text(pool),
        "created_at": pool.created_at, "updated_at": pool.updated_at, "pauses": pool.pauses,
        "paused_at": pool.paused_at, "resumed_at": pool.resumed_at, "closing": pool.closing,
        "shards": None if pool.shards == 1 else pool.shards, "spread_from": pool.spread_from,
        "spread_at": pool.spread_at, "day_kept": pool.day_kept, "day_since": pool.day_since,
        "day_until": pool.day_until, "unindexed_since": pool.unindexed_since, "fields_since": pool.fields_since,
        "fields_changing": to_json(pool.fields_changing) if pool.fields_changing else None,
        "twins": to_json(pool.twins) if pool.twins else None,
    }  # fmt: skip
    return build_item(keys.pool_key(pool.tenant, pool.id), attributes)


def _definitions_text(pool: Pool) -> str | None:
    """Return the pool's definitions of fields as JSON, with what a later version of the service knows of each."""
    if not pool.fields:
        return None
    return to_json([msgspec.to_builtins(field) | pool.unknown_of_fields.get(field.key, {}) for field in pool.fields])


def _definitions(text: str | None) -> dict[str, Any]:
    """Return the attributes of a Pool that its stored definitions give. Raises one of MALFORMED."""
    stored = msgspec.json.decode(text or "[]", type=list[dict[str, Any]])
    known = Field.__struct_fields__
    unknown = {
        each["key"]: rest for each in stored if (rest := {name: each[name] for name in each.keys() - set(known)})
    }
    fields = [{name: content for name, content in each.items() if name in known} for each in stored]
    return {"fields": fields, "unknown_of_fields": unknown}


def check_at(tenant: str, pool: str, at: int) -> Item:
    """Return the attributes of a pool's item that schedule its next check.

    They belong to the schedule, not to the pool: no version counts them. A write that moves the check to the present
    also sets `moved_at`: see `check_now`.
    """
    return serialize_attributes({DUE: keys.schedule_of(tenant, pool), INDEX_RANGE[DUE]: at})


def check_now(tenant: str, pool: str, now: int) -> Item:
    """Return the attributes that make the next round check the pool."""
    return check_at(tenant, pool, now) | {MOVED_AT: serialize(now)}


def log_item(key: Key, entry: LogEntry, ends: int) -> Item:
    """Return the item of a log entry, which DynamoDB deletes some time after `ends`."""
    old, new = (None if each is None else to_json(each) for each in (entry.old, entry.new))
    attributes = {"at": entry.at, "by": entry.by, "what": entry.what, "old": old, "new": new, "ttl": ends // 1000}
    return build_item(key, attributes)


def log_record(stored: Item) -> LogEntry:
    """Raises one of MALFORMED."""
    content = deserialize_known(stored, LogEntry.__struct_fields__)
    texts = {name: msgspec.json.decode(content[name]) for name in ("old", "new") if name in content}
    return msgspec.convert(content | texts, LogEntry)


class MalformedPool(NamedTuple):
    """Stands for a malformed pool record in a scan of all pools of a tenant."""

    id: str


def pool_record(tenant: str, stored: Item) -> Pool:
    content = deserialize_known(stored, ("sk", *Pool.__struct_fields__))
    policy = msgspec.json.decode(content["policy"], type=dict[str, Any])
    unknown = {name: policy.pop(name) for name in policy.keys() - set(Policy.__struct_fields__)}
    content |= {"tenant": tenant, "id": content["sk"], "policy": policy, "unknown_policy": unknown}
    content |= _definitions(content.get("fields"))
    content |= {name: msgspec.json.decode(content[name]) for name in ("fields_changing", "twins") if name in content}
    pool = msgspec.convert(content, Pool)
    pool.policy.check_stored()
    return pool


def member_record(tenant: str, pool: str, stored: Item) -> Member:
    content = deserialize_known(stored, ("pk", *Member.__struct_fields__)) | {"takes": territory_record(stored)}
    return msgspec.convert(content | {"tenant": tenant, "pool": pool, "user": keys.id_from_pk(content["pk"])}, Member)


def territory_record(stored: Item) -> Territory | None:
    """Return the territory in a member's item. Raises one of MALFORMED."""
    return territories.from_text(stored["takes"]["S"]) if "takes" in stored else None


def territories_record(stored: Item) -> frozenset[str]:
    """Return the fields that the territories of a pool name. Raises one of MALFORMED."""
    counted = {name: deserialize(tagged) for name, tagged in stored.items() if name.startswith(NAMING)}
    return frozenset(name.removeprefix(NAMING) for name, count in counted.items() if count > 0)


def member_item(member: Member) -> Item:
    """Return a new member's item. `room` is their own limit minus `held`; without an own limit it is unused."""
    attributes = {
        "role": member.role, "own_limit": member.own_limit, "held": member.held, "pins": member.pins,
        "own_private_limit": member.own_private_limit, "private": member.private,
        "private_room": (member.own_private_limit or 0) - member.private,
        "pooled": member.pooled, "aside": member.aside, "day": member.day, "did": member.did,
        "room": (member.own_limit or 0) - member.held, "version": member.version,
        "takes": None if member.takes is None else member.takes.text,
        ROSTER: keys.member_roster(member.tenant, member.pool),
    }  # fmt: skip
    return build_item(keys.member_key(member.tenant, member.pool, member.user), attributes)


# The attributes of a leave in a user's item. Two of them are counters, which transactions add to.
LEAVE_ATTRIBUTES: Final = {name: f"leave_{name}" for name in Leave.__struct_fields__}


def user_item(person: Person) -> Item:
    attributes = {
        "name": person.name, "email": person.email, "department": person.department, "set_by": person.set_by or None,
        "seen_at": person.seen_at, "version": person.version,
    }  # fmt: skip
    if (leave := person.leave) is not None:
        attributes |= {stored: getattr(leave, name) for name, stored in LEAVE_ATTRIBUTES.items()}
        attributes |= {} if leave.state == "done" else {DUE: keys.unfinished_leaves(), INDEX_RANGE[DUE]: leave.at}
    return build_item(keys.user_key(person.tenant, person.id), attributes)


def user_record(tenant: str, stored: Item) -> Person:
    content = deserialize_known(stored, ("sk", *Person.__struct_fields__))
    leave = {name: deserialize(stored[known]) for name, known in LEAVE_ATTRIBUTES.items() if known in stored}
    return msgspec.convert(content | {"tenant": tenant, "id": content["sk"], "leave": leave or None}, Person)
