"""A fake next version of the service, beside the present one on the same table (I11).

`NextTable` writes as the next version would: an attribute in every item, a member in every policy and in every
definition of a field, an element in the latest event. `stamp` writes all of these into what is stored already, and adds
what only that version has: a field of an unknown type and an event of an unknown type. `lost` compares the table before
and after requests of the present version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import to_builtins
from msgspec.structs import replace
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import SetAction

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item, is_tombstone
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, FailedItems, Put, SetAttributes, Table, Update
from chalicelib.model.field_definitions import STANDARD
from chalicelib.model.model import Event, transitioned

if TYPE_CHECKING:
    from tests.support.world import World

VISITED = "visited"  # a type of event that the present version does not know
LATER: Item = {"later_score": {"L": [{"N": "1.5"}, {"BOOL": True}]}}
RULE = {"lottery": {"draws": 3}}
MEMBER = {"unit": "km"}  # of a definition of a field
FIELD = {"key": "place", "label": {"en": "Place", "zh": "位置"}, "type": "geo"} | MEMBER
ELEMENT = ["seen", 7]  # after the elements of an event that the present version knows
_CHANGED = Event.__struct_fields__.index("changed")

Row: TypeAlias = list[Any]


class NextTable(Table):
    """The table as the next version writes it."""

    def write(self, actions: Sequence[Action]) -> FailedItems | None:
        return super().write([_written_later(action) for action in actions])


def _written_later(action: Action) -> Action:
    if isinstance(action, Put):
        return Put(action.key, _extended(action.item), action.condition)
    if isinstance(action, SetAttributes):
        return SetAttributes(action.key, _extended(action.changed), action.removed, action.condition)
    if isinstance(action, Update):
        marked = [SetAction(Path(name), Value(content)) for name, content in LATER.items()]
        return Update(action.key, [*action.actions, *marked], action.condition)
    return action


def _extended(stored: Item) -> Item:
    """Return these attributes of an item as the next version writes them."""
    later = stored | LATER
    if "tail" in stored:
        rows = event_rows(stored["tail"])
        if rows and not extended(rows[-1]):
            rows[-1] = [*rows[-1], *[None] * (_CHANGED - len(rows[-1])), *([[]] if len(rows[-1]) <= _CHANGED else [])]
            rows[-1] += ELEMENT
        later["tail"] = {"S": json.dumps(rows)}
    if "policy" in stored:
        later["policy"] = {"S": json.dumps(json.loads(stored["policy"]["S"]) | RULE)}
        later["fields"] = {"S": json.dumps(_definitions(stored))}
    return later


def _definitions(stored: Item) -> list[dict[str, Any]]:
    known = json.loads(stored["fields"]["S"]) if "fields" in stored else to_builtins(STANDARD)
    others = [each | MEMBER for each in known if each["key"] != FIELD["key"]]
    return [*others, FIELD]


def event_rows(tagged: dict[str, Any]) -> list[Row]:
    """Return the stored elements of events."""
    return [list(row) for row in json.loads(items.decode_events(items.deserialize(tagged)))]


def extended(row: Row) -> bool:
    return row[_CHANGED + 1 :] == ELEMENT


# What the next version has written before the present one is at work again


def stamp(world: World, table: NextTable) -> None:
    """Write every stored item as the next version does, and record a visit at every customer that has a holder."""
    from tests.support.world import everything  # not in a package of the next version, which only writes

    for item in list(everything(world.table)):
        key = _key(item)
        changed = {name: content for name, content in _extended(item).items() if name not in ("pk", "sk")}
        table.write([SetAttributes(key, changed)])
        if "holder" in item and "tail" in item:
            visit(table, key, world.clock())


def visit(table: NextTable, key: Key, now: int) -> None:
    """Record an event of a type that the present version does not know, as a verb of the next version would."""
    before = items.customer_record(keys.tenant_from_pk(key.pk), keys.pool_from_pk(key.pk), table.get([key])[key])
    after = transitioned(before, VISITED, before.holder or "", now)
    after = replace(after, tail=(*after.tail[:-1], replace(after.tail[-1], request_marker="visit")))
    changed, removed = items.customer_changes(before, after)
    assert table.write([SetAttributes(key, changed, removed)]) is None


# What may not be lost


def lost(before: Sequence[Item], after: Sequence[Item]) -> list[str]:
    """Return everything of the next version that is in the items before and no more in those after.

    Deleted items take theirs along, and an erasure leaves nothing that may be personal. A customer that has moved is
    compared with itself in its new pool.
    """
    stored = {_key(item): item for item in after}
    moved = {_place(key): item for key, item in stored.items() if "#C#" in key.pk}
    gone = []
    for item in before:
        key = _key(item)
        now = stored.get(key) or moved.get(_place(key))
        if now is not None and not is_tombstone(now):
            gone += [f"{part} of {key}" for part in _carried(item) - _carried(now) - _undefined(item, now)]
    people = {_place(key)[1] for key, item in stored.items() if "#C#" in key.pk and "state" in item}
    events = _events(before) - _events(after)
    return gone + [f"event {event}" for event in sorted(events) if event[0] in people]


def _place(key: Key) -> tuple[str, str, str]:
    """Return what a customer's key has in every pool."""
    return key.pk.rpartition("#")[0].rpartition("#")[2], keys.id_from_pk(key.pk), key.sk


def _key(item: Item) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])


def _carried(item: Item) -> set[str]:
    """Return which parts of the next version an item has."""
    parts = {"the attribute"} if LATER.items() <= item.items() else set()
    if "policy" in item:
        parts |= {"the rule"} if RULE.items() <= json.loads(item["policy"]["S"]).items() else set()
        parts |= {
            f"the field {each['key']}" for each in json.loads(item["fields"]["S"]) if MEMBER.items() <= each.items()
        }
    return parts


def _undefined(item: Item, now: Item) -> set[str]:
    """Return the fields of a pool that a request has left out of its definitions."""
    if "policy" not in item:
        return set()
    before, after = ({each["key"] for each in json.loads(pool["fields"]["S"])} for pool in (item, now))
    return {f"the field {key}" for key in before - after}


def _events(stored: Sequence[Item]) -> set[tuple[str, int, str]]:
    """Return the events with the element, and those of the unknown type, by customer and number."""
    found = set()
    for item in stored:
        events = [item[name] for name in ("tail", "events") if name in item and "#C#" in item["pk"]["S"]]
        rows = [row for tagged in events for row in event_rows(tagged)]
        customer = keys.id_from_pk(item["pk"]["S"])
        found |= {(customer, int(row[0]), "with an element") for row in rows if extended(row)}
        found |= {(customer, int(row[0]), VISITED) for row in rows if row[1] == VISITED}
    return found
