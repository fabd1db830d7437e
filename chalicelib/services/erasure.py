"""Erase customers, list the erased ones, and empty what is left in their partitions (rule 38).

One transaction replaces the customer by a tombstone: from then on it is not found. Then the rest of its partition is
emptied: the fields, the values that an import overwrote, and the text in pages of events. The tombstone is listed as
unfinished until then, so if the request is cut short, the schedule does the rest. Nothing can write to the partition of
an erased customer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from chalicelib.domain import erasure, masking, rendering, rules
from chalicelib.domain.transitions import Actor, GivenUp
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, UNFINISHED_ERASURES, Key
from chalicelib.dynamodb.operations import Action, Delete, Put, Update
from chalicelib.dynamodb.table import MAX_ACTIONS, Fault, OutcomeUnknown, Table, Throttled, between
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Tombstone
from chalicelib.model.responses import ErasurePage
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.validation import FieldError
from chalicelib.observability import exception_summary
from chalicelib.services import unique_keys
from chalicelib.services.pools import roster_page, sound
from chalicelib.services.sweeper import SecondsLeft
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome

log = logging.getLogger("customer-pool")
MAX_ROUNDS: Final = 50  # a round fails when another customer takes a unique key meanwhile; only a defect uses up all
MIN_SECONDS_LEFT: Final = 3.0  # upper bound for emptying one customer
MAX_AT_ONCE: Final = 100  # of one round of the schedule


def erase(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    reason: str,
    seconds_left: SecondsLeft,
    *,
    force: bool = False,
    suppress: bool = False,
    atomic: bool = False,
) -> Outcome:
    """Erase customers. Return one result per id. The schedule empties those for which the time is up."""
    outcome = ctx.answered(ids) or _erase(ctx, pool_id, ids, reason, force=force, suppress=suppress, atomic=atomic)
    erased = [result.id for result in outcome.results.values() if result.body is not None]
    try:
        for customer in erased:
            if seconds_left() > MIN_SECONDS_LEFT:
                empty(ctx.backend.table, keys.customer_key(ctx.caller.tenant, pool_id, customer))
    except Fault as fault:
        raise OutcomeUnknown from fault  # the customers are erased already
    return outcome


def _erase(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], reason: str, *, force: bool, suppress: bool, atomic: bool
) -> Outcome:
    pool = ctx.pool(pool_id)
    if masking.has_contact(reason, pool.policy.region):
        raise Refused(Refusal("invalid_request", errors=(FieldError("contact", "reason"),)))
    actor, outcome = ctx.actor(pool), Outcome()
    for _ in range(MAX_ROUNDS):
        pending = {index: each for index, each in enumerate(ids) if index not in outcome.results}
        read = ctx.backend.customer_cache.get_many(ctx.backend.table, actor, _valid(pending.values()), set())
        given_up = _given_up(ctx, actor, read)
        planner = partial(
            erasure.erase, actor, reason=reason, force=force, suppress=suppress, given_up=given_up, read=read
        )
        uow = ctx.uow(actor, planner, atomic=atomic)
        uow.attempt(pending, known=read, outcome=outcome)
        taken = [index for index, each in outcome.results.items() if each.refused_as(rules.KEY_CHANGED)]
        if not taken:
            return uow.finish(outcome)
        for index in list(outcome.results) if atomic else taken:
            del outcome.results[index]
    raise Throttled


def _given_up(ctx: RequestContext, actor: Actor, read: Mapping[str, Customer | None]) -> dict[str, tuple[GivenUp, ...]]:
    """Return the unique keys that each customer owns, for a manager only.

    The read does not depend on whether there are any: nobody else learns which customers exist.
    """
    customers = {name: customer for name, customer in read.items() if customer is not None}
    lost = {name: list(items.unique_key_items(customer)) for name, customer in customers.items()}
    stored = ctx.backend.table.get([actor.member_key, *(key for each in lost.values() for key in each)])
    if not ctx.manages(actor.home, stored):
        return {}

    def owns(name: str, key: Key, item: Item) -> bool:
        return _names(item, customers[name])

    return unique_keys.given_up(ctx, actor, lost, stored, owns, dict.fromkeys(customers))


def _names(unique_key: Item, owner: Customer | Tombstone) -> bool:
    """Return whether the unique-key item names this customer."""
    named = unique_keys.owner_of(unique_key) == owner.id
    return named and items.deserialize(unique_key["created_at"]) == owner.created_at


def list_erased(ctx: RequestContext, pool_id: str, limit: int, cursor: str | None) -> ErasurePage:
    """Return the erased customers of a pool, ordered by id."""
    pool = ctx.pool(pool_id)
    roster = keys.erased_roster(pool.tenant, pool.id)
    erased, next_cursor = roster_page(ctx, pool, roster, keys.customer_key, limit, cursor)
    shown = sound("tombstone", erased, lambda stored: rendering.erasure(items.tombstone_record(stored)))
    return ErasurePage(shown, next_cursor)


# Emptying


def continue_erasures(table: Table, seconds_left: SecondsLeft) -> int:
    """Empty erased customers of all tenants while there is time, at most MAX_AT_ONCE. Return how many failed."""
    failed = emptied = 0
    for page in table.pages(UNFINISHED_ERASURES, index=DUE, limit=MAX_AT_ONCE):
        for key in page.keys:
            if emptied == MAX_AT_ONCE or seconds_left() < MIN_SECONDS_LEFT:
                return failed
            try:
                empty(table, key)
                emptied += 1
            except MALFORMED as error:
                failed += 1
                log.error("malformed tombstone %s: %s", keys.id_from_pk(key.pk), exception_summary(error))
    return failed


def empty(table: Table, key: Key) -> None:
    """Empty the partition of an erased customer, and its pages of events in other pools. Do nothing if that is done."""
    for _ in range(MAX_ROUNDS):
        if _write_all(table, _emptying(table, key)):
            return
    raise Throttled


def _emptying(table: Table, key: Key) -> list[Action]:
    """Return the writes in order: the fields stay until the unique keys that their item names are gone."""
    stored = {key: item for page in table.pages(key.pk) for key, item in zip(page.keys, page.items, strict=True)}
    own = stored.pop(key, None)
    if own is None or not items.is_tombstone(own) or not items.is_unfinished(own):
        return []
    tombstone = items.tombstone_record(own)
    fields = stored.get(keys.fields_key(tombstone.tenant, tombstone.pool, tombstone.id))
    unlisted = Update(key, [Attribute(name).remove() for name in (DUE, INDEX_RANGE[DUE])], rules.erased_at.exists())
    return [
        *([] if fields is None else _left_keys(table, fields, tombstone)),
        *_emptied_pages(_own_pages(stored, tombstone)),
        *(action for pool in tombstone.homes for action in _emptied_pages(_pages_in(table, tombstone, pool))),
        *(Delete(each) for each in stored if not keys.is_event_page(each)),
        unlisted,
    ]


def _left_keys(table: Table, fields: Item, tombstone: Tombstone) -> Iterator[Delete]:
    """Yield the deletions of unique-key items that still name the customer.

    They are of contacts that it had earlier, or of one that an undo returned to it just before the erasure.
    """
    former = [Key(pk, "-") for pk in items.former_keys_record(fields)]
    contact_keys = fields.get("keys", {"S": ""})["S"].split()
    last = [keys.unique_key(tombstone.tenant, tombstone.pool, each) for each in contact_keys]
    for key, stored in table.get(list(dict.fromkeys([*former, *last]))).items():
        if _names(stored, tombstone):
            yield Delete(key, rules.still_written(key, stored).condition)


def _own_pages(stored: Mapping[Key, Item], tombstone: Tombstone) -> dict[Key, Item]:
    """Return its pages of events in this partition, without those of a customer that had the id before it moved."""
    low, high = _bounds(tombstone, tombstone.pool)
    return {key: item for key, item in stored.items() if low.sk <= key.sk <= high.sk}


def _pages_in(table: Table, tombstone: Tombstone, pool: str) -> dict[Key, Item]:
    """Return its pages of events in a pool that it was in before."""
    low, high = _bounds(tombstone, pool)
    pages = table.pages(low.pk, between=between(None, low.sk, high.sk))
    return {key: item for page in pages for key, item in zip(page.keys, page.items, strict=True)}


def _bounds(tombstone: Tombstone, pool: str) -> tuple[Key, Key]:
    return keys.event_page_key(tombstone, pool, 0), keys.event_page_key(tombstone, pool, tombstone.version)


def _emptied_pages(pages: Mapping[Key, Item]) -> Iterator[Put | Delete]:
    """Yield the writes that empty the pages. A malformed page is deleted."""
    for key, stored in pages.items():
        try:
            emptied = items.emptied_page(stored)
        except MALFORMED as error:
            log.error("malformed events of %s: %s", keys.id_from_pk(key.pk), exception_summary(error))
            yield Delete(key)
            continue
        if emptied != stored:
            yield Put(key, emptied)


def _write_all(table: Table, actions: Sequence[Action]) -> bool:
    """Write the actions in order, in as few transactions as possible. Return False if a condition failed."""
    return all(
        table.write(actions[start : start + MAX_ACTIONS]) is None for start in range(0, len(actions), MAX_ACTIONS)
    )


def _valid(ids: Iterable[str]) -> list[str]:
    return [each for each in dict.fromkeys(ids) if IDENTIFIER.fullmatch(each)]
