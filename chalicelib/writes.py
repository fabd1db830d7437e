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

from chalicelib import layout, rules
from chalicelib.layout import EVENTS_A_PAGE, PLAIN_BYTES, Key
from chalicelib.moves import Move
from chalicelib.records import Customer, Event, Pool
from chalicelib.table import Action, Check, Delete, Put


def writes_of(move: Move, asked: dict[Key, list[Condition]]) -> list[Action]:
    """The customer under the conditions asked of it, always bound to the version that the move was made from.

    The conditions that these writes carry are taken out of `asked`.
    """
    known, after = move.before, move.after
    conditions = asked.pop(move.key, [])
    if known is None and after is not None:
        conditions = [*conditions, rules.pk.does_not_exist()]
    elif known is not None:
        conditions = [*conditions, rules.same(known.version, known.created_at)]
    bound = rules.all_of(conditions or [rules.pk.exists()])
    if move.removed_by is not None:
        return _removed(move, bound, asked)
    if after is None:
        return [Check(move.key, bound)]
    writes: list[Action] = _landed(move, move.lands, bound, asked) if move.lands else [_put(move.key, after, bound)]
    if page := _paged_out(move):
        key = layout.page_key(after, after.pool, page[0].seq)
        writes.append(Put(key, layout.page_item(after, page)))
    if after.fields_version == after.version:
        writes.append(Put(layout.fields_key(after.tenant, after.pool, after.id), layout.fields_item(after)))
        writes += _guards(move, after, asked)
    return writes


def _put(key: Key, after: Customer, bound: Condition) -> Put:
    return Put(key, layout.customer_item(after), bound)


def _landed(move: Move, lands: Key, bound: Condition, asked: dict[Key, list[Condition]]) -> list[Action]:
    """From one pool to another: gone here and there at once. Pages of events stay where they were written."""
    assert move.after is not None
    new = rules.all_of([*asked.pop(lands, []), rules.pk.does_not_exist()])
    return [Delete(move.key, bound), Delete(Key(move.key.pk, "F")), _put(lands, move.after, new)]


def _removed(move: Move, bound: Condition, asked: dict[Key, list[Condition]]) -> list[Action]:
    """Gone with its fields and those guards. Two that leave may have said the same number: it is the last one's."""
    for rule in move.forgets:
        asked.pop(rule.key, None)
    forgotten = [Delete(rule.key, rule.condition) for rule in move.forgets]
    return [Delete(move.key, bound), Delete(Key(move.key.pk, "F")), *forgotten]


def _guards(move: Move, after: Customer, asked: dict[Key, list[Condition]]) -> Iterator[Put]:
    """Who says a phone number or an e-mail address last is found by it; only an import by key asks who did before."""
    said_before = {} if move.before is None else layout.guard_items(move.before)
    for key, item in layout.guard_items(after).items():
        if key not in said_before:
            conditions = asked.pop(key, [])
            yield Put(key, item, rules.all_of(conditions) if conditions else None)


def marked(move: Move, mark: str) -> Move:
    """The move with the mark of its request in every event that it makes."""
    if move.after is None:
        return move
    known = 0 if move.before is None else move.before.version
    tail = tuple(replace(event, mark=mark) if event.seq > known else event for event in move.after.tail)
    return replace(move, after=replace(move.after, tail=tail))


def placed(move: Move, pool: Pool, now: int) -> Move:
    """The move with a customer that goes to the shard which is its own in the pool where it shall be."""
    if move.after is None:
        return move
    return replace(move, after=replace(move.after, shards=pool.shards_written(now)))


def paged(move: Move, *, roomy: bool) -> Move:
    """The move with a customer that carries its older events only while that costs nothing.

    `roomy` spends bytes rather than an action of the transaction: an atomic batch has to fit into one.
    """
    if move.before is None or move.after is None:
        return move
    tail = move.after.tail
    new = tuple(event for event in tail if event.seq > move.before.version)
    if len(tail) <= EVENTS_A_PAGE and (roomy or not _outgrown(move.after, new)):
        return move
    return replace(move, after=replace(move.after, tail=new))


def _outgrown(customer: Customer, newest: tuple[Event, ...]) -> bool:
    """Whether the customer begins a kilobyte less with only those events."""
    text = layout.tail_text(customer.tail)
    if len(text) <= PLAIN_BYTES:
        return False
    size = layout.size(layout.customer_item(customer))
    return layout.kilobytes(size) > layout.kilobytes(size - len(text) + len(layout.tail_text(newest)))


def _paged_out(move: Move) -> tuple[Event, ...]:
    """The events that the known copy carried and the new one no longer does: they get an item of their own."""
    if move.before is None or move.after is None:
        return ()
    return tuple(event for event in move.before.tail if event not in move.after.tail)
