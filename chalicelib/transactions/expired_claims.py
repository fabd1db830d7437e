"""Return expired customers that an index lists: those of a member at their limit, or the due ones of a sweep.

Expired customers never count against a limit (rules 6 and 31). So a verb that takes customers returns the expired
claims of the recipient before it refuses because of the holding limit, and their expired private customers before it
refuses because of the private limit. A pool that is not open returns nothing private: there, the verb leaves expired
private customers out of the count. An index is eventually consistent: each transition has the version that was listed
as a condition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from chalicelib.domain import rules, system_transitions
from chalicelib.domain.rules import Rule
from chalicelib.domain.system_transitions import PlanExisting
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import PLACE
from chalicelib.dynamodb.table import MalformedWrite, Page, Table, Throttled, between
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import MARK, Pool
from chalicelib.observability import exception_summary
from chalicelib.transactions.customer_cache import CustomerCache, customer_of
from chalicelib.transactions.unit_of_work import Outcome, UnitOfWork

log = logging.getLogger("customer-pool")
PAGE_SIZE: Final = 500


class Applied(Struct):
    """Counts of the customers that a pass found: moved, changed meanwhile, or failed as malformed."""

    moved: int = 0
    changed: int = 0
    failed: int = 0

    def count(self, outcome: Outcome) -> None:
        refused = sum(result.refusal is not None for result in outcome.results.values())
        malformed = sum(result.refused_as(rules.MALFORMED_RECORD) for result in outcome.results.values())
        self.moved += len(outcome.results) - refused
        self.changed += refused - malformed
        self.failed += malformed

    @property
    def total(self) -> int:
        return self.moved + self.changed + self.failed


class OwningUnitOfWork(UnitOfWork, frozen=True):
    """A unit of work that may make customers private, under the limits of their owners."""

    def expired_private(self, owner: str) -> list[Rule]:
        return expired_private_rules(self.table, self.actor.home, owner, self.actor.now)


class TakingUnitOfWork(OwningUnitOfWork, frozen=True, kw_only=True):
    """A unit of work whose customers are taken by a member, under their limits. `new_id` returns a new id."""

    new_id: Callable[[], str]

    @property
    def makes_room(self) -> bool:
        return True

    def make_room(self, user: str, counter: str) -> bool:
        give_back = return_expired_private if counter == "private" else return_expired_claims
        return give_back(self.table, self.new_id, self.actor.home, user, self.actor.now)


class PinningUnitOfWork(TakingUnitOfWork, frozen=True, kw_only=True):
    """A unit of work in which a member pins their own claims, under their limit."""

    def make_room(self, user: str, counter: str) -> bool:
        """End the pins that are over."""
        pool, now, ended = self.actor.home, self.actor.now, Applied()
        for page in claims_of(self.table, pool, user):
            apply_to_found(self.table, self.new_id, pool, now, page.items, system_transitions.end_pin, done=ended)
        return ended.moved > 0


def claims_of(
    table: Table, pool: Pool, user: str, *, until: int = keys.NO_DEADLINE, limit: int | None = None
) -> Iterator[Page]:
    """Yield pages of the member's claims, by the index, with deadlines no later than `until`."""
    place = keys.place_of_holder(pool.tenant, pool.id, user)
    return table.pages(place, index=PLACE, between=between(PLACE, high=until), limit=limit)


def private_of(
    table: Table, pool: Pool, user: str, *, until: int = keys.NO_DEADLINE, limit: int | None = None
) -> Iterator[Page]:
    """Yield pages of the member's private customers, by the index, with deadlines no later than `until`."""
    place, first = keys.place_of_holder(pool.tenant, pool.id, user), keys.FIRST_PRIVATE_RANK
    return table.pages(place, index=PLACE, between=between(PLACE, first, first + until), limit=limit)


def expired_claims_of(table: Table, pool: Pool, user: str, now: int) -> list[Item]:
    """Return index items of the claims that the member holds past their deadlines; at most one page."""
    pages = claims_of(table, pool, user, until=pool.clock(now), limit=PAGE_SIZE)
    return next((page.items for page in pages if page.items), [])


def return_expired_claims(table: Table, new_id: Callable[[], str], pool: Pool, user: str, now: int) -> bool:
    """Return the member's expired claims to the pool. Return whether there were any."""
    found = expired_claims_of(table, pool, user, now)
    return apply_to_found(table, new_id, pool, now, found, system_transitions.expire).moved > 0


def return_expired_private(table: Table, new_id: Callable[[], str], pool: Pool, user: str, now: int) -> bool:
    """Return the member's expired private customers to the pool, if it is open. Return whether there were any."""
    if pool.status != "open":
        return False
    done = Applied()
    for page in private_of(table, pool, user, until=now, limit=PAGE_SIZE):
        apply_to_found(table, new_id, pool, now, page.items, system_transitions.expire, done=done)
    return done.moved > 0


def expired_private_rules(table: Table, pool: Pool, owner: str, now: int) -> list[Rule]:
    """Return a rule for each expired private customer of the owner in a pool that does not return them; one page."""
    if pool.status == "open":
        return []
    pages = private_of(table, pool, owner, until=now, limit=PAGE_SIZE)
    found = next((page.keys for page in pages if page.keys), [])
    return [rules.expired_private(key, owner, now) for key in found]


def apply_to_found(
    table: Table,
    new_id: Callable[[], str],
    pool: Pool,
    now: int,
    found: Sequence[Item],
    plan: PlanExisting,
    *,
    whole: bool = False,
    done: Applied | None = None,
) -> Applied:
    """Apply the transition to each customer found in an index. Return the counts, added to `done` even after a fault.

    With `whole`, the index holds complete customers and they are not read again. If a malformed record fails the batch,
    the halves are tried separately.
    """
    done = Applied() if done is None else done
    # A request marker of its own: claims that another sweep returns are not counted here.
    actor = Actor(pool, SYSTEM, now, request_marker=new_id()[-MARK:])
    planner = partial(system_transitions.planned, plan, actor)
    _apply(OwningUnitOfWork(table, CustomerCache(whole=False), actor, planner), found, whole, done)
    return done


def _apply(uow: UnitOfWork, found: Sequence[Item], whole: bool, done: Applied) -> None:
    outcome = Outcome()
    ids = {index: keys.id_from_pk(item["pk"]["S"]) for index, item in enumerate(found)}
    try:
        known = {ids[index]: customer_of(uow.actor, item) for index, item in enumerate(found)} if whole else None
        uow.attempt(ids, known=known, outcome=outcome)
    except (*MALFORMED, MalformedWrite) as error:
        half = len(found) // 2
        if half == 0:
            done.failed += 1
            log.error("malformed record in pool %s: %s", uow.actor.pool, exception_summary(error))
            return
        _apply(uow, found[:half], whole, done)
        _apply(uow, found[half:], whole, done)
        return
    except Throttled:
        done.count(outcome)
        raise
    done.count(outcome)
