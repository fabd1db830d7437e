"""Write transitions as conditional DynamoDB transactions and return one result per id.

One algorithm serves a single verb, a batch, an import and the sweep. A transaction holds the customers, their events,
the members' counters and the results of the Idempotency-Key. When DynamoDB cancels it, the returned items show which
rules failed: their ids get a refusal, and the rest is written again at once. No rule is checked before a write. This
module must not know any verb: a planner, a value from `domain`, turns each customer into a transition.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import rendering, rules
from chalicelib.domain.rules import PinQuota, Quota, Rule, first_broken
from chalicelib.domain.transitions import (
    Actor,
    Erase,
    Recheck,
    Relocate,
    Remove,
    Rewrite,
    Transition,
    Unsuppress,
    Write,
)
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import MAX_ACTIONS, Action, Check, FailedItems, MalformedWrite, Table, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.validation import FieldError
from chalicelib.transactions.counters import Counters
from chalicelib.transactions.customer_cache import CustomerCache, log_malformed
from chalicelib.transactions.customer_writes import with_card, with_paged_events, with_request_marker, with_shards
from chalicelib.transactions.idempotency import NO_KEY, IdempotencyRecord, Result
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.suppressions import Suppressions
from chalicelib.transactions.territory_cache import TerritoryCache
from chalicelib.transactions.transaction_builder import TransactionBuilder

MAX_ROUNDS: Final = 200  # far more than any batch needs; only a defect can exhaust it

# Turns a customer, or None for an unknown id, into a transition: `functools.partial` of a function in `domain`.
Planner = Callable[[str, Customer | None], Transition | Refusal]


class PlanOutdated(Throttled):
    """The pool, its definitions or the leave changed since the plan was made. Read it and plan again."""


class Outcome(Struct):
    """Results by index in the request, and the changed customers."""

    results: dict[int, Result] = {}
    changed: list[Customer] = []

    @property
    def refused(self) -> bool:
        return any(result.refusal is not None for result in self.results.values())


def without_malformed(results: Mapping[int, Result]) -> dict[int, Result]:
    """Return the results without the refusals of malformed records."""
    return {index: each for index, each in results.items() if not each.refused_as(rules.MALFORMED_RECORD)}


class UnitOfWork(Struct, frozen=True):
    """One verb of one request on any number of customers.

    planner: turns each customer into a transition.
    target_pool: the pool that customers move into, if it is another one.
    log: stores what is needed to undo an import.
    managed: only a manager can have made the transitions, so the results are not masked.
    atomic: write all transitions or none.
    territories: what the planner remembers of territories. It learns from transactions that are canceled.
    """

    table: Table
    customer_cache: CustomerCache
    actor: Actor
    planner: Planner
    idempotency: IdempotencyRecord = NO_KEY
    target_pool: Pool | None = None
    log: ImportLog | None = None
    managed: bool = False
    atomic: bool = False
    territories: TerritoryCache | None = None

    def execute(self, ids: Sequence[str], *, failed: Mapping[int, Result] | None = None) -> Outcome:
        """Return one result per id. `failed` holds, by index, the results of ids that have failed already.

        Raises a Fault, or Refused for the whole request.
        """
        failed = failed or {}
        outcome = self.attempt({index: customer_id for index, customer_id in enumerate(ids) if index not in failed})
        outcome.results |= failed
        return self.finish(outcome)

    def attempt(
        self,
        ids: Mapping[int, str],
        *,
        known: Mapping[str, Customer | None] | None = None,
        outcome: Outcome | None = None,
        stop_at_stored: bool = False,
    ) -> Outcome:
        """Execute ids given by index. Leave refusals out of the idempotency record, so that the caller can try more.

        `known` holds the customers that the caller has just read, None for a new one. Without it they are loaded here.
        Results are added to `outcome`, so they survive a fault that follows. With `stop_at_stored`, end as soon as
        another attempt with the same Idempotency-Key turns out to have stored results, and leave the other ids without
        a result: the stored part may hold all that was requested, under indexes that are not in `ids`.
        """
        return _Execution(self, ids, known, outcome, stop_at_stored).execute()

    def finish(self, outcome: Outcome) -> Outcome:
        """Store the refusals in the idempotency record too, and return the outcome to answer with.

        A malformed record is not stored: a repetition may find it repaired. An atomic batch is stored as a whole.
        """
        stored = outcome.results if self.atomic else without_malformed(outcome.results)
        outcome.results |= self.idempotency.close(self.table, stored)
        return outcome

    @property
    def makes_room(self) -> bool:
        """Whether the verb frees what no longer counts against a limit before it refuses because of the limit."""
        return False

    def make_room(self, user: str, counter: str) -> bool:
        """Free what no longer counts against the member's limit of this counter. Return whether there was any."""
        return False

    def expired_private(self, owner: str) -> list[Rule]:
        """Return a rule for each expired private customer of the owner that the pool does not return now."""
        return []

    def result(self, customer_id: str, customer: Customer | None, transition: Transition | None = None) -> Result:
        """Return the result with the facts of the customer, or without a customer if it was deleted."""
        if isinstance(transition, Erase | Unsuppress):
            return Result(customer_id, body=rendering.erased(transition.after))
        if customer is None:
            return Result(customer_id)
        moved = self.target_pool is not None and customer.pool == self.target_pool.id
        pool = self.target_pool if moved and self.target_pool is not None else self.actor.home
        facts = rendering.facts(customer, pool.policy)
        if isinstance(transition, Write) and transition.note:
            facts = replace(facts, **transition.note)
        managed = self.managed or (transition is not None and transition.managed)
        return Result(customer_id, facts, seen=customer, managed=managed)


class _Execution:
    """One run over a set of ids: the results so far, and the customers as this run knows them."""

    def __init__(
        self,
        uow: UnitOfWork,
        ids: Mapping[int, str],
        known: Mapping[str, Customer | None] | None = None,
        outcome: Outcome | None = None,
        stop_at_stored: bool = False,
    ) -> None:
        self.uow, self.ids = uow, ids
        self.stop_at_stored, self.found_stored_results = stop_at_stored, False
        self.outcome = outcome or Outcome()
        self.outcome.results |= _reject_invalid_ids(ids)
        self.known: dict[str, Customer | None] = dict(known or {})
        self.loaded = known is not None
        self.evaluated: dict[int, Transition] = {}  # of a failed atomic batch: ids whose rules DynamoDB has evaluated
        self.counters = Counters(uow.actor, uow.target_pool)
        self.suppressions = Suppressions(uow.actor.tenant)
        self.room_made: set[tuple[Key, str]] = set()

    def execute(self) -> Outcome:
        """Plan, write and explain until every id has a result. Raises Throttled after MAX_ROUNDS."""
        self._merge_stored_results()
        self._load_customers()
        for _ in range(MAX_ROUNDS):
            if self._overtaken():
                return self.outcome
            pending = self._pending()
            if not pending:
                return self._complete_outcome()
            transaction = self._build(self._plan(pending[:MAX_ACTIONS]))
            plan_again = self._write(transaction)
            if self.uow.atomic:
                self._reload_stale(transaction.transitions)
                if self.outcome.refused and not plan_again:
                    self._accept_evaluated(transaction.transitions)
        raise Throttled

    # Load

    def _merge_stored_results(self) -> None:
        """Take over the results that earlier attempts with this Idempotency-Key stored."""
        stored = self.uow.idempotency.answers
        self.outcome.results |= {index: result for index, result in stored.items() if index in self.ids}

    def _load_customers(self) -> None:
        if not self.loaded:
            ids = [self.ids[index] for index in self._pending()]
            malformed: set[str] = set()
            self.known = self.uow.customer_cache.get_many(self.uow.table, self.uow.actor, ids, malformed)
            self._refuse_malformed(malformed)

    def _pending(self) -> list[int]:
        return [index for index in self.ids if index not in self.outcome.results and index not in self.evaluated]

    def _overtaken(self) -> bool:
        """Return whether another attempt with this Idempotency-Key ended, or stored results that must be counted."""
        return self.uow.idempotency.is_finished or (self.stop_at_stored and self.found_stored_results)

    # Plan

    def _plan(self, pending: Sequence[int]) -> dict[int, Transition]:
        transitions = {}
        for index in pending:
            planned = self.uow.planner(self.ids[index], self.known.get(self.ids[index]))
            if isinstance(planned, Refusal):
                self._refuse(index, planned)
            else:
                transitions[index] = self._stored_form(planned) if isinstance(planned, Write) else planned
        return transitions

    def _stored_form(self, transition: Write) -> Write:
        """Add the request marker and the shards of the pool that the customer will be in, and move older events."""
        if isinstance(transition, Rewrite):
            return transition
        actor, target_pool = self.uow.actor, self.uow.target_pool
        pool = target_pool if target_pool is not None and isinstance(transition, Relocate) else actor.home
        marked = with_request_marker(transition, actor.request_marker)
        return with_paged_events(with_card(with_shards(marked, pool, actor.now), pool), roomy=self.uow.atomic)

    def _build(self, transitions: dict[int, Transition]) -> TransactionBuilder:
        """Build a transaction of as many transitions as fit, in order. Raises Refused if an atomic batch exceeds it."""
        aborts = self._abort_check(transitions.values())
        reserved_keys = [*self.uow.idempotency.reserved_keys, *(action.key for action in aborts)]
        transaction = TransactionBuilder(self.uow.actor, self.counters, self.suppressions, self.uow.log, reserved_keys)
        for index, transition in transitions.items():
            if not transaction.add(index, transition):
                if self.uow.atomic and not self.outcome.refused:
                    if (reason := transaction.conflict(transition)) is not None:
                        self._refuse(index, Refusal(reason))
                        return self._build({at: each for at, each in transitions.items() if at != index})
                    fitting, requested = len(transaction.transitions), len(self.ids)
                    raise Refused(Refusal("batch_too_large", limit=fitting, used=requested, errors=(_ATOMIC_LIMIT,)))
                break
        return transaction

    # Write

    def _write(self, transaction: TransactionBuilder) -> bool:
        """Write the transaction with its results. Return True if it was canceled and some ids must be planned again."""
        transitions = transaction.transitions
        if not transitions:
            return False
        results = {
            index: self.uow.result(self.ids[index], transition.result, transition)
            for index, transition in transitions.items()
            if not isinstance(transition, Recheck)
        }
        stored = self.uow.idempotency.parts(results)
        aborts = self._abort_check(transitions.values())
        try:
            failed_items = self.uow.table.write([*transaction.actions(), *stored, *aborts])
        except MalformedWrite:
            if self._refuse_malformed_members(transitions):
                return True
            raise
        if failed_items is not None:
            return self._explain_cancellation(transitions, failed_items)
        self._commit(transitions, results)
        return False

    def _refuse_malformed_members(self, transitions: dict[int, Transition]) -> bool:
        """Refuse the ids that need a malformed member, after DynamoDB rejected the update. Return whether any does."""
        needed = {index: self.counters.keys(transition) for index, transition in transitions.items()}
        malformed = self.counters.learn(self.uow.table.get([key for each in needed.values() for key in each]))
        for index in [index for index, each in needed.items() if each & malformed]:
            self._refuse(index, Refusal(rules.MALFORMED_RECORD))
        return bool(malformed)

    def _abort_check(self, transitions: Iterable[Transition]) -> list[Action]:
        """Return a check that always fails, if an atomic batch must not be written: it is only evaluated.

        That is so if an id of the batch is refused already, or must be planned again: a commit would write only a part.
        The check is about an item that no transition uses, since a transaction may name each item only once.
        """
        if not self.uow.atomic:
            return []
        if not self.outcome.refused and not any(isinstance(each, Recheck) for each in transitions):
            return []
        return [Check(keys.absent_key(self.uow.actor.member_key), rules.pk.exists())]

    def _commit(self, transitions: dict[int, Transition], results: dict[int, Result]) -> None:
        """Record a committed transaction: results, changed customers, cache. Reload ids that still have no result."""
        self.uow.idempotency.committed(results)
        self.outcome.results |= results
        for transition in transitions.values():
            if isinstance(transition, Write):
                self.outcome.changed.append(transition.after)
                self.uow.customer_cache.remember(transition.after, self.uow.actor.now)
            elif isinstance(transition, Remove | Erase):
                self.uow.customer_cache.forget(transition.key)
        self._reload([self.ids[index] for index in transitions if index not in results])

    def _reload(self, ids: list[str]) -> None:
        if ids:
            malformed: set[str] = set()
            self.known |= self.uow.customer_cache.read(self.uow.table, self.uow.actor, ids, malformed)
            self._refuse_malformed(malformed)

    def _refuse_malformed(self, ids: Collection[str]) -> None:
        for index in self._pending() if ids else ():
            if self.ids[index] in ids:
                self._refuse(index, Refusal(rules.MALFORMED_RECORD))

    # Explain a canceled transaction

    def _explain_cancellation(self, transitions: dict[int, Transition], failed_items: FailedItems) -> bool:
        """Give the failed ids a refusal. Return True if some ids have no result but must be planned again."""
        if self.uow.idempotency.merge_stored(failed_items):
            self.found_stored_results = True
            self._merge_stored_results()
            return False
        unreadable = set() if self.uow.territories is None else self.uow.territories.learn(failed_items)
        passing: dict[int, Transition] = {}
        for index, transition in transitions.items():
            if not self._explain_one(index, transition, failed_items, unreadable):
                passing[index] = transition
        with_result = sum(index in self.outcome.results for index in transitions)
        plan_again = len(passing) + with_result < len(transitions)
        plan_again = self.counters.count_again(failed_items) or plan_again
        self.suppressions.learn(failed_items)
        malformed = self.counters.learn(failed_items)
        for index in [each for each in passing if malformed & self.counters.keys(passing[each])] if malformed else ():
            self._refuse(index, Refusal(rules.MALFORMED_RECORD))
            del passing[index]
        if self.uow.atomic:
            self.counters.begin_days(self.uow.table)
        for quota in self.counters.quotas(passing.values()):
            if failed_items.get(quota.key):
                taking = [index for index, transition in passing.items() if _counts_for(quota, transition)]
                plan_again = self._apply_quota(taking, quota, failed_items[quota.key]) or plan_again
        return plan_again

    def _explain_one(self, index: int, transition: Transition, failed_items: FailedItems, unreadable: set[Key]) -> bool:
        """Return True if the id needs nothing more in this round: it has a result, or must be planned again.

        `unreadable` are the keys of the items whose territories are malformed.
        """
        try:
            current = self._current(transition, failed_items)
        except items.MALFORMED as error:
            log_malformed(self.ids[index], error)
            self._refuse(index, Refusal(rules.MALFORMED_RECORD))
            return True
        if current is not None and _already_applied(transition, current, self.uow.actor):
            self.outcome.results[index] = self.uow.result(self.ids[index], current, transition)
            return True
        stored = failed_items.get(transition.key)
        if isinstance(transition, Erase) and stored and _erased_by(transition, stored):
            self.outcome.results[index] = self.uow.result(self.ids[index], None, transition)
            return True
        if transition.before is not None and stored is not None and _is_gone(stored):
            self._evict_missing(transition)
            return True
        if self._rules_changed(index, transition):
            return True
        refusal = first_broken(transition.rules, failed_items)
        if refusal is not None:
            self._refuse_or_plan_again(index, transition, refusal, unreadable)
        return refusal is not None or transition.key in failed_items

    def _refuse_or_plan_again(self, index: int, transition: Transition, refusal: Refusal, unreadable: set[Key]) -> None:
        """Give the id the refusal, unless the transition was planned from a pool or from territories that changed."""
        if refusal.reason == rules.PLAN_OUTDATED:
            raise PlanOutdated
        if refusal.reason != rules.TERRITORY_CHANGED:
            self._refuse(index, refusal)
        elif any(rule.key in unreadable for rule in transition.rules if rule.reason == rules.TERRITORY_CHANGED):
            self._refuse(index, Refusal(rules.MALFORMED_RECORD))

    def _current(self, transition: Transition, failed_items: FailedItems) -> Customer | None:
        """Return the stored customer if it is among the failed items, and cache it unless it is in the target pool."""
        landed = failed_items.get(transition.target_key) if isinstance(transition, Relocate) else None
        if isinstance(transition, Relocate) and landed and not items.is_tombstone(landed):
            after = transition.after
            moved = items.customer_record(self.uow.actor.tenant, after.pool, landed)
            return moved.with_fields_of(after)
        stored = failed_items.get(transition.key)
        if stored is None or _is_gone(stored):
            return None
        current = self.uow.customer_cache.from_item(self.uow.table, self.uow.actor, stored, transition.before)
        self.known[current.id] = current
        return current

    def _rules_changed(self, index: int, transition: Transition) -> bool:
        """Return whether the cached customer was stale and the stored one is under other rules: then plan again."""
        current = self.known.get(self.ids[index])
        if current is None or current == transition.before:
            return False
        planned = self.uow.planner(current.id, current)
        return isinstance(planned, Refusal) or not rules.same_rules(planned.rules, transition.rules)

    def _evict_missing(self, transition: Transition) -> None:
        """The cached customer no longer exists, or is erased. Evict it and plan again as "not found"."""
        self.uow.customer_cache.forget(transition.key)
        self.known[keys.id_from_pk(transition.key.pk)] = None

    def _apply_quota(self, indexes: Sequence[int], quota: Quota | PinQuota, member_item: Item) -> bool:
        """Refuse the ids that exceed the limits of the member. Return True if room was made instead."""
        today, headroom = quota.left(member_item)
        full = headroom is not None and headroom < quota.count
        # Making room reads the member again, so it also notices what has been returned since the other one looked.
        if full and (self._uncount(quota, member_item) or self._make_room(quota, member_item)):
            return True
        evaluated = quota.count - len(indexes)  # by earlier transactions of a failed atomic batch
        granted = min((left for left in (today, headroom) if left is not None), default=quota.count)
        for index in indexes[max(granted - evaluated, 0) :]:
            self._refuse(index, quota.refusals(member_item, granted)[0])
        return False

    def _make_room(self, quota: Quota | PinQuota, member_item: Item) -> bool:
        """Free what does not count against the limit, once in a request for each member and limit (rules 6 and 31).

        Return True if the member has fewer customers or pins than `member_item` counts, also if a sweep was faster.
        """
        limit = quota.key, quota.counter
        if limit in self.room_made or not self.uow.makes_room:
            return False
        self.room_made.add(limit)
        if self.uow.make_room(keys.id_from_pk(quota.key.pk), quota.counter):
            return True
        stored = self.uow.table.get([quota.key]).get(quota.key, {})
        return stored.get(quota.counter) != member_item[quota.counter]

    def _uncount(self, quota: Quota | PinQuota, member_item: Item) -> bool:
        """Leave expired private customers out of the count, where the pool does not return them. Return whether any."""
        if isinstance(quota, PinQuota) or not quota.private:
            return False
        if quota.key not in self.counters.expired:
            self.counters.expired[quota.key] = self.uow.expired_private(keys.id_from_pk(quota.key.pk))
        return self.counters.uncount(quota, quota.missing(member_item))

    def _refuse(self, index: int, refusal: Refusal) -> None:
        self.outcome.results[index] = Result(self.ids[index], refusal=refusal)

    def _accept_evaluated(self, transitions: dict[int, Transition]) -> None:
        """Note the ids of a failed atomic batch that break no rule. No other id may show its customer."""
        for index, transition in transitions.items():
            if index not in self.outcome.results and not isinstance(transition, Recheck):
                self.evaluated[index] = transition
        self.counters.count_evaluated(self.evaluated.values())

    def _reload_stale(self, transitions: dict[int, Transition]) -> None:
        """Read the customers again that pass all rules but were too stale to plan a change from."""
        stale = [index for index, each in transitions.items() if isinstance(each, Recheck)]
        self._reload([self.ids[index] for index in stale if index not in self.outcome.results])

    def _complete_outcome(self) -> Outcome:
        """Return the outcome. In a failed atomic batch, ids without a refusal show their customer unchanged."""
        for index in self.evaluated:
            self.outcome.results[index] = self.uow.result(self.ids[index], self.known.get(self.ids[index]))
        return self.outcome


_ATOMIC_LIMIT: Final = FieldError("atomic")


def _reject_invalid_ids(ids: Mapping[int, str]) -> dict[int, Result]:
    """Return refusals for repeated ids, and for ids that no customer can have: they never become part of a key."""
    results: dict[int, Result] = {}
    seen: set[str] = set()
    for index, customer_id in ids.items():
        if customer_id in seen:
            results[index] = Result(customer_id, refusal=Refusal("duplicate_in_request"))
        elif IDENTIFIER.fullmatch(customer_id) is None:
            results[index] = Result(customer_id, refusal=Refusal("not_found"))
        seen.add(customer_id)
    return results


def _counts_for(quota: Quota | PinQuota, transition: Transition) -> bool:
    """Return whether the transition counts for the limits of this member."""
    use = transition.quota_use if isinstance(transition, Write) else None
    return use is not None and use.recipient == keys.id_from_pk(quota.key.pk)


def _is_gone(stored: Item) -> bool:
    """Return whether the customer does not exist, which `{}` means, or is erased."""
    return not stored or items.is_tombstone(stored)


def _erased_by(transition: Erase, stored: Item) -> bool:
    """Return whether this transition was committed and its response lost."""
    return items.is_tombstone(stored) and transition.after.tail[-1] in items.tombstone_record(stored).tail


def _already_applied(transition: Transition, current: Customer, actor: Actor) -> bool:
    """Return whether the actor holds the customer already, or this transition was committed and its response lost."""
    if not isinstance(transition, Write) or isinstance(transition, Rewrite):
        return False
    if actor.if_match in (None, current.version):
        holder = transition.already_held_by
        if holder is not None and current.held_by(holder, actor.clock(current)):
            return True
    return transition.after.tail[-1] in current.tail
