"""What one move writes: the customer and its newest events, a page of its older ones, its fields where they changed,
the guards of the phone number and the e-mail address that they say now.

Here every write of a customer is bound to the version that the move was made from, and to when the customer was
created: one that moved to another pool may leave its id to a new one, with the same version some day. There is no other
way to write one.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules
from chalicelib.domain.transitions import Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import EVENTS_PER_PAGE, MAX_PLAIN_BYTES
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete, Put
from chalicelib.model.model import Customer, Event, Pool


def actions_of(transition: Transition, asked: dict[Key, list[Condition]]) -> list[Action]:
    """The customer under the conditions asked of it, always bound to the version that the move was made from.

    The conditions that these writes carry are taken out of `asked`.
    """
    known, after = transition.before, transition.after
    conditions = asked.pop(transition.key, [])
    if known is None and after is not None:
        conditions = [*conditions, rules.pk.does_not_exist()]
    elif known is not None:
        conditions = [*conditions, rules.same_version(known.version, known.created_at)]
    bound = rules.all_of(conditions or [rules.pk.exists()])
    if transition.removed_by is not None:
        return _remove(transition, bound, asked)
    if after is None:
        return [Check(transition.key, bound)]
    writes: list[Action] = (
        _relocate(transition, transition.target_key, bound, asked)
        if transition.target_key
        else [_put(transition.key, after, bound)]
    )
    if page := _paged_out(transition):
        key = keys.event_page_key(after, after.pool, page[0].seq)
        writes.append(Put(key, items.event_page_item(after, page)))
    if after.fields_version == after.version:
        writes.append(Put(keys.fields_key(after.tenant, after.pool, after.id), items.fields_item(after)))
        writes += _unique_keys(transition, after, asked)
    return writes


def _put(key: Key, after: Customer, bound: Condition) -> Put:
    return Put(key, items.customer_item(after), bound)


def _relocate(
    transition: Transition, target_key: Key, bound: Condition, asked: dict[Key, list[Condition]]
) -> list[Action]:
    """From one pool to another: gone here and there at once. Pages of events stay where they were written."""
    assert transition.after is not None
    new = rules.all_of([*asked.pop(target_key, []), rules.pk.does_not_exist()])
    return [Delete(transition.key, bound), Delete(Key(transition.key.pk, "F")), _put(target_key, transition.after, new)]


def _remove(transition: Transition, bound: Condition, asked: dict[Key, list[Condition]]) -> list[Action]:
    """Gone with its fields and those guards. Two that leave may have said the same number: it is the last one's."""
    for rule in transition.unique_key_rules:
        asked.pop(rule.key, None)
    forgotten = [Delete(rule.key, rule.condition) for rule in transition.unique_key_rules]
    return [Delete(transition.key, bound), Delete(Key(transition.key.pk, "F")), *forgotten]


def _unique_keys(transition: Transition, after: Customer, asked: dict[Key, list[Condition]]) -> Iterator[Put]:
    """Who says a phone number or an e-mail address last is found by it; only an import by key asks who did before."""
    said_before = {} if transition.before is None else items.unique_key_items(transition.before)
    for key, item in items.unique_key_items(after).items():
        if key not in said_before:
            conditions = asked.pop(key, [])
            yield Put(key, item, rules.all_of(conditions) if conditions else None)


def with_request_marker(transition: Transition, request_marker: str) -> Transition:
    """The move with the mark of its request in every event that it makes."""
    if transition.after is None:
        return transition
    known = 0 if transition.before is None else transition.before.version
    tail = tuple(
        replace(event, request_marker=request_marker) if event.seq > known else event for event in transition.after.tail
    )
    return replace(transition, after=replace(transition.after, tail=tail))


def with_shards(transition: Transition, pool: Pool, now: int) -> Transition:
    """The move with a customer that goes to the shard which is its own in the pool where it shall be."""
    if transition.after is None:
        return transition
    return replace(transition, after=replace(transition.after, shards=pool.shards_written(now)))


def with_paged_events(transition: Transition, *, roomy: bool) -> Transition:
    """The move with a customer that carries its older events only while that costs nothing.

    `roomy` spends bytes rather than an action of the transaction: an atomic batch has to fit into one.
    """
    if transition.before is None or transition.after is None:
        return transition
    tail = transition.after.tail
    new = tuple(event for event in tail if event.seq > transition.before.version)
    if len(tail) <= EVENTS_PER_PAGE and (roomy or not _saves_a_kilobyte(transition.after, new)):
        return transition
    return replace(transition, after=replace(transition.after, tail=new))


def _saves_a_kilobyte(customer: Customer, newest: tuple[Event, ...]) -> bool:
    """Whether the customer begins a kilobyte less with only those events."""
    text = items.encode_events(customer.tail)
    if len(text) <= MAX_PLAIN_BYTES:
        return False
    size = items.size(items.customer_item(customer))
    return items.kilobytes(size) > items.kilobytes(size - len(text) + len(items.encode_events(newest)))


def _paged_out(transition: Transition) -> tuple[Event, ...]:
    """The events that the known copy carried and the new one no longer does: they get an item of their own."""
    if transition.before is None or transition.after is None:
        return ()
    return tuple(event for event in transition.before.tail if event not in transition.after.tail)
