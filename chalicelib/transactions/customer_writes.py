"""Build the writes of one transition: the customer with its recent events, a page of older events, changed fields, and
the unique-key items of its phone number and e-mail address.

Every write of a customer is bound to the version that the transition was planned from, and to `created_at`: after a
customer moves to another pool, a new one may get its id and reach the same version. Resharding and
the audit write derived attributes, which are bound to the version too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules, unique_values
from chalicelib.domain.transitions import Erase, GivenUp, Relocate, Remove, Rewrite, Transition, Unsuppress, Write
from chalicelib.dynamodb import cards, items, keys
from chalicelib.dynamodb.conditions import all_of
from chalicelib.dynamodb.items import EVENTS_PER_PAGE, FEWEST_PER_PAGE, PREVIOUS_OWNERS, Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete, Put, SetAttributes, Update
from chalicelib.model.model import Customer, Event, Pool


def actions_of(transition: Transition, required: dict[Key, list[Condition]]) -> list[Action]:
    """Return the actions of a transition. Their conditions are removed from `required`."""
    bound = _bound(transition, required.pop(transition.key, []))
    if isinstance(transition, Remove):
        return _remove(transition, bound, required)
    if isinstance(transition, Erase):
        # The whole item, so that attributes of a later version go too: they may be personal.
        tombstone = Put(transition.key, items.tombstone_item(transition.after), bound)
        return [tombstone, *_given_up(transition.given_up, required), *_unique_values(transition, required)]
    if isinstance(transition, Unsuppress) and transition.erased.suppressed_at is not None:
        return [SetAttributes(transition.key, {}, ("suppressed_at", "digests"), bound)]
    if not isinstance(transition, Write):
        return [Check(transition.key, bound)]
    if isinstance(transition, Rewrite):
        return _rewrite(transition, bound, required)
    after = transition.after
    if isinstance(transition, Relocate):
        writes = _relocate(transition, bound, required)
    else:
        writes = [_write(transition.key, transition.before, after, bound)]
    if page := _paged_out(transition):
        key = keys.event_page_key(after, after.pool, page[0].seq)
        writes.append(Put(key, items.event_page_item(after, page)))
    if _writes_fields(after):
        fields = after if isinstance(transition, Relocate) else replace(after, unknown_of_fields={})
        writes.append(_upsert(keys.fields_key(after.tenant, after.pool, after.id), items.fields_item(fields)))
        writes += _unique_keys(transition, required)
    writes += _given_up(transition.given_up, required)
    writes += _unique_values(transition, required)
    return writes


def _bound(transition: Transition, conditions: list[Condition]) -> Condition:
    """Return the conditions of the transition with its binding to the version that it was planned from."""
    known = transition.before
    if known is not None:
        conditions = [*conditions, rules.same_version(known.version, known.created_at)]
        if _depends_on_keys(transition):
            conditions.append(rules.same_rewrites(known.rewrites))
    elif isinstance(transition, Write):
        conditions = [*conditions, rules.pk.does_not_exist()]
    return all_of(conditions or [rules.pk.exists()])


def _depends_on_keys(transition: Transition) -> bool:
    """Return whether the writes depend on the keys in the item of fields, which a job may write at the same version."""
    if isinstance(transition, Write):
        return isinstance(transition, Rewrite) or _writes_fields(transition.after)
    return isinstance(transition, Remove | Erase)


def _writes_fields(after: Customer) -> bool:
    return after.fields_version == after.version


def _write(key: Key, known: Customer | None, after: Customer, bound: Condition) -> Action:
    """Put a new customer. Of a stored one write only the changed attributes, so that unknown attributes survive.

    With new fields the card is always written: a job may have changed it at the same version.
    """
    if known is None:
        return Put(key, items.customer_item(after), bound)
    changed, removed = items.customer_changes(known, after)
    if _writes_fields(after) and after.card:
        changed["card"] = {"M": after.card}
    elif _writes_fields(after) and "card" not in removed:
        removed = (*removed, "card")
    return SetAttributes(key, changed, removed, bound)


def _rewrite(transition: Rewrite, bound: Condition, required: dict[Key, list[Condition]]) -> list[Action]:
    """Write the card and, if the keys differ, these too."""
    known, after = transition.before, transition.after
    if known is None:
        return []
    writes: list[Action] = [SetAttributes(transition.key, *items.customer_changes(known, after), bound)]
    if after.rewrites != known.rewrites:
        fields = items.fields_item(replace(after, unknown_of_fields={}))
        writes.append(_upsert(keys.fields_key(after.tenant, after.pool, after.id), fields))
        writes += [*_unique_keys(transition, required), *_unique_values(transition, required)]
    return writes


def _upsert(key: Key, item: Item) -> SetAttributes:
    """Write the item of the fields, which may exist already."""
    return SetAttributes(key, items.content_of(item), () if "unique_keys" in item else ("unique_keys",))


def _relocate(transition: Relocate, bound: Condition, required: dict[Key, list[Condition]]) -> list[Action]:
    """Move the customer to another key in one transaction. Pages of events stay where they were written.

    The values that an import overwrote are deleted: no undo restores a customer that has moved.
    """
    new = all_of([*required.pop(transition.target_key, []), rules.pk.does_not_exist()])
    moved = Put(transition.target_key, items.customer_item(transition.after), new)
    left = [Delete(Key(transition.key.pk, "F")), Delete(keys.overwritten_key(transition.key))]
    return [Delete(transition.key, bound), *left, moved]


def _remove(transition: Remove, bound: Condition, required: dict[Key, list[Condition]]) -> list[Action]:
    """Delete the customer, its fields and its unique keys. Two customers may share a number: the last one owns it."""
    given_up = _given_up(transition.given_up, required)
    unique = _unique_values(transition, required)
    return [Delete(transition.key, bound), Delete(Key(transition.key.pk, "F")), *given_up, *unique]


def _given_up(given_up: Iterable[GivenUp], required: dict[Key, list[Condition]]) -> Iterator[Action]:
    """Write each unique key back to its next owner, or delete it."""
    for each in given_up:
        key, condition = each.rule.key, each.rule.condition
        required.pop(key, None)
        yield Delete(key, condition) if each.next_owner is None else _owned_by(key, each.next_owner, condition)


def _owned_by(key: Key, owner: Item, condition: Condition) -> SetAttributes:
    """Write the unique-key item of an earlier owner, without the owners before that it no longer names."""
    return SetAttributes(
        key, items.content_of(owner), tuple(name for name in PREVIOUS_OWNERS if name not in owner), condition
    )


def _unique_keys(transition: Write, required: dict[Key, list[Condition]]) -> Iterator[Update]:
    """Write new unique-key items. The last writer owns a key; only an import by key requires that it is free."""
    for key, item in taken_keys(transition).items():
        conditions = required.pop(key, [])
        yield Update(key, rules.take_unique_key(item), all_of(conditions) if conditions else None)


def taken_keys(transition: Transition) -> dict[Key, Item]:
    """Return the unique-key items of the contacts that a customer gets."""
    if not isinstance(transition, Write) or not (isinstance(transition, Rewrite) or _writes_fields(transition.after)):
        return {}
    existing = {} if transition.before is None else items.unique_key_items(transition.before)
    return {key: item for key, item in items.unique_key_items(transition.after).items() if key not in existing}


def _unique_values(transition: Transition, required: dict[Key, list[Condition]]) -> Iterator[Action]:
    """Write the items of the unique values that the customer gets, and delete those of the values it loses."""
    yield from (Delete(key) for key in sorted(unique_values.released(transition)))
    if isinstance(transition, Write):
        for key, item in unique_values.items_of(transition).items():
            conditions = required.pop(key, [])
            yield Put(key, item, all_of(conditions) if conditions else None)


def with_request_marker(transition: Write, request_marker: str) -> Write:
    """Add the request marker to every new event."""
    known = 0 if transition.before is None else transition.before.version
    tail = tuple(
        replace(event, request_marker=request_marker) if event.seq > known else event for event in transition.after.tail
    )
    return replace(transition, after=replace(transition.after, tail=tail))


def with_shards(transition: Write, pool: Pool, now: int) -> Write:
    """Set the shard count of the pool that the customer will be in."""
    return replace(transition, after=replace(transition.after, shards=pool.shards_written(now)))


def with_card(transition: Write, pool: Pool) -> Write:
    """Set the card, wherever the fields are written."""
    after = transition.after
    if not _writes_fields(after):
        return transition
    return replace(transition, after=replace(after, card=cards.card_of(after.fields, pool)))


def with_paged_events(transition: Write, *, roomy: bool) -> Write:
    """Move older events to their own item once keeping them inline costs another write unit.

    With `roomy`, keep them inline longer, which saves an action: an atomic batch must fit into one transaction.
    """
    if transition.before is None:
        return transition
    tail = transition.after.tail
    new = tuple(event for event in tail if event.seq > transition.before.version)
    if len(tail) <= EVENTS_PER_PAGE and (roomy or not _pays_for_its_page(transition.after, new)):
        return transition
    return replace(transition, after=replace(transition.after, tail=new))


def _pays_for_its_page(customer: Customer, newest: tuple[Event, ...]) -> bool:
    """Return whether the item is a kilobyte (a write unit) smaller with only these events.

    The page costs a unit too. So moving a single event saves nothing, and its size need not be computed.
    """
    if len(customer.tail) - len(newest) < FEWEST_PER_PAGE:
        return False
    saved = len(items.encode_events(customer.tail)) - len(items.encode_events(newest))
    if saved <= 0:
        return False
    size = items.customer_size(customer)
    return items.kilobytes(size) > items.kilobytes(size - saved)


def _paged_out(transition: Write) -> tuple[Event, ...]:
    """Return the events that move from the customer item to their own item."""
    if transition.before is None:
        return ()
    return tuple(event for event in transition.before.tail if event not in transition.after.tail)
