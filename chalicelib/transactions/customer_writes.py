"""Build the writes of one transition: the customer with its recent events, a page of older events, changed fields, and
the unique-key items of its phone number and e-mail address.

Every write of a customer is bound to the version that the transition was planned from, and to `created_at`: after a
customer moves to another pool, a new one may get its id and reach the same version. No other module writes customers.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules
from chalicelib.domain.transitions import Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import EVENTS_PER_PAGE, MAX_PLAIN_BYTES, Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete, Put, SetAttributes
from chalicelib.model.model import Customer, Event, Pool


def actions_of(transition: Transition, required: dict[Key, list[Condition]]) -> list[Action]:
    """Return the actions of a transition. Their conditions are removed from `required`."""
    known, after = transition.before, transition.after
    conditions = required.pop(transition.key, [])
    if known is None and after is not None:
        conditions = [*conditions, rules.pk.does_not_exist()]
    elif known is not None:
        conditions = [*conditions, rules.same_version(known.version, known.created_at)]
    bound = rules.all_of(conditions or [rules.pk.exists()])
    if transition.removed_by is not None:
        return _remove(transition, bound, required)
    if after is None:
        return [Check(transition.key, bound)]
    writes: list[Action] = (
        _relocate(transition, transition.target_key, bound, required)
        if transition.target_key
        else [_write(transition.key, known, after, bound)]
    )
    if page := _paged_out(transition):
        key = keys.event_page_key(after, after.pool, page[0].seq)
        writes.append(Put(key, items.event_page_item(after, page)))
    if after.fields_version == after.version:
        writes.append(_upsert(keys.fields_key(after.tenant, after.pool, after.id), items.fields_item(after)))
        writes += _unique_keys(transition, after, required)
    return writes


def _write(key: Key, known: Customer | None, after: Customer, bound: Condition) -> Action:
    """Put a new customer. Of a stored one write only the changed attributes, so that unknown attributes survive."""
    if known is None:
        return Put(key, items.customer_item(after), bound)
    return SetAttributes(key, *items.customer_changes(known, after), bound)


def _upsert(key: Key, item: Item, condition: Condition | None = None) -> SetAttributes:
    """Write an item that may exist already."""
    content = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    return SetAttributes(key, content, condition=condition)


def _relocate(
    transition: Transition, target_key: Key, bound: Condition, required: dict[Key, list[Condition]]
) -> list[Action]:
    """Move the customer to another key in one transaction. Pages of events stay where they were written."""
    assert transition.after is not None
    new = rules.all_of([*required.pop(target_key, []), rules.pk.does_not_exist()])
    return [
        Delete(transition.key, bound),
        Delete(Key(transition.key.pk, "F")),
        _write(target_key, None, transition.after, new),
    ]


def _remove(transition: Transition, bound: Condition, required: dict[Key, list[Condition]]) -> list[Action]:
    """Delete the customer, its fields and its unique keys. Two customers may share a number: the last one owns it."""
    for rule in transition.unique_key_rules:
        required.pop(rule.key, None)
    deleted_keys = [Delete(rule.key, rule.condition) for rule in transition.unique_key_rules]
    return [Delete(transition.key, bound), Delete(Key(transition.key.pk, "F")), *deleted_keys]


def _unique_keys(
    transition: Transition, after: Customer, required: dict[Key, list[Condition]]
) -> Iterator[SetAttributes]:
    """Write new unique-key items. The last writer owns a key; only an import by key requires that it is free."""
    existing = {} if transition.before is None else items.unique_key_items(transition.before)
    for key, item in items.unique_key_items(after).items():
        if key not in existing:
            conditions = required.pop(key, [])
            yield _upsert(key, item, rules.all_of(conditions) if conditions else None)


def with_request_marker(transition: Transition, request_marker: str) -> Transition:
    """Add the request marker to every new event."""
    if transition.after is None:
        return transition
    known = 0 if transition.before is None else transition.before.version
    tail = tuple(
        replace(event, request_marker=request_marker) if event.seq > known else event for event in transition.after.tail
    )
    return replace(transition, after=replace(transition.after, tail=tail))


def with_shards(transition: Transition, pool: Pool, now: int) -> Transition:
    """Set the shard count of the pool that the customer will be in."""
    if transition.after is None:
        return transition
    return replace(transition, after=replace(transition.after, shards=pool.shards_written(now)))


def with_paged_events(transition: Transition, *, roomy: bool) -> Transition:
    """Move older events to their own item once keeping them inline costs another write unit.

    With `roomy`, keep them inline longer, which saves an action: an atomic batch must fit into one transaction.
    """
    if transition.before is None or transition.after is None:
        return transition
    tail = transition.after.tail
    new = tuple(event for event in tail if event.seq > transition.before.version)
    if len(tail) <= EVENTS_PER_PAGE and (roomy or not _saves_a_kilobyte(transition.after, new)):
        return transition
    return replace(transition, after=replace(transition.after, tail=new))


def _saves_a_kilobyte(customer: Customer, newest: tuple[Event, ...]) -> bool:
    """Return whether the item is a kilobyte (a write unit) smaller with only these events."""
    text = items.encode_events(customer.tail)
    if len(text) <= MAX_PLAIN_BYTES:
        return False
    size = items.size(items.customer_item(customer))
    return items.kilobytes(size) > items.kilobytes(size - len(text) + len(items.encode_events(newest)))


def _paged_out(transition: Transition) -> tuple[Event, ...]:
    """Return the events that move from the customer item to their own item."""
    if transition.before is None or transition.after is None:
        return ()
    return tuple(event for event in transition.before.tail if event not in transition.after.tail)
