"""Carries out moves: packs them into conditional transactions, and says of each what came of it.

One algorithm serves a single verb, a batch, an import and the sweep. Each transaction holds the customers, their
events, the members' counters and the answer of the Idempotency-Key. When one is refused, the returned items name who
refused; those are answered, and the rest is tried again at once. Nothing is decided before a write, only explained
after it. It knows no verb: what to do with one customer is the `plan` that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import rules
from chalicelib.domain.rules import Quota, first_broken
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import MAX_ACTIONS, Action, Check, FailedItems, Table, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Customer, Pool
from chalicelib.model.validation import FieldError
from chalicelib.transactions.counters import Counters
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.customer_writes import with_paged_events, with_request_marker, with_shards
from chalicelib.transactions.idempotency import WHOLE, IdempotencyRecord, Result
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.serializers import Facts
from chalicelib.transactions.transaction_builder import TransactionBuilder

MAX_ROUNDS: Final = 200  # far more than any batch needs; only a defect could use them up

Planner = Callable[[str, Customer | None], Transition | Refusal]


class PoolChanged(Throttled):
    """A pool that is not open was changed meanwhile: all has to be asked again, of the pool as it is."""


class UnitOfWork(Struct, frozen=True):
    """What one request works with. `facts` gives what the record keeps of a customer, None where no answer is about
    it; `make_room` returns a member's lapsed claims to the pool and says whether there were any; `elsewhere`
    is the pool that customers are moved into, if it is another one; `log` keeps what has to be known to undo it all;
    `managed` says that only a manager could have made the moves."""

    table: Table
    customer_cache: CustomerCache
    actor: Actor
    facts: Callable[[Customer], Facts | None] = lambda customer: None
    make_room: Callable[[str], bool] = lambda user: False
    idempotency: IdempotencyRecord | None = None
    target_pool: Pool | None = None
    log: ImportLog | None = None
    managed: bool = False


class Outcome(Struct):
    """Results by position in the request, and the customers that were changed."""

    results: dict[int, Result] = {}
    changed: list[Customer] = []

    @property
    def refused(self) -> bool:
        return any(result.refusal is not None for result in self.results.values())


def execute(
    uow: UnitOfWork,
    ids: Sequence[str],
    plan: Planner,
    *,
    atomic: bool = False,
    failed: Mapping[int, Result] | None = None,
) -> Outcome:
    """One result per id, in order; with `atomic`, either all are done or nothing is. Raises a Fault, or Refused.

    `failed` are results that stand already, by position.
    """
    failed = failed or {}
    outcome = attempt(uow, {at: each for at, each in enumerate(ids) if at not in failed}, plan, atomic=atomic)
    outcome.results |= failed
    return finished(uow, outcome)


def finished(uow: UnitOfWork, outcome: Outcome) -> Outcome:
    """The outcome as it is answered: with its refusals in the journal too, since nothing more is tried."""
    if uow.idempotency is not None:
        outcome.results = uow.idempotency.close(uow.table, outcome.results)
    return outcome


def attempt(
    uow: UnitOfWork,
    ids: Mapping[int, str],
    plan: Planner,
    *,
    atomic: bool = False,
    known: Mapping[str, Customer | None] | None = None,
    outcome: Outcome | None = None,
    stop_at_stored: bool = False,
) -> Outcome:
    """As `settle`, for ids at given positions, and leaving the refusals out of the journal: more may be tried.

    `known` are the customers as the caller has just read them, or None for a new one; without it they are looked up.
    The results are added to `outcome`: a fault leaves those before it there. With `stop_at_stored`, the attempt ends
    as soon as it reads a part that another attempt with the same Idempotency-Key stored, and leaves the other
    positions without a result: that part may hold all that was wanted, under positions that are not in `ids`.
    """
    return _Execution(uow, ids, plan, atomic, known, outcome, stop_at_stored).run()


class _Execution:
    def __init__(
        self,
        uow: UnitOfWork,
        ids: Mapping[int, str],
        plan: Planner,
        atomic: bool,
        known: Mapping[str, Customer | None] | None = None,
        outcome: Outcome | None = None,
        stop_at_stored: bool = False,
    ) -> None:
        self.uow, self.ids, self.plan, self.atomic = uow, ids, plan, atomic
        self.stop_at_stored, self.met_stored = stop_at_stored, False
        self.outcome = outcome or Outcome()
        self.outcome.results |= _reject_invalid_ids(ids)
        self.known: dict[str, Customer | None] = dict(known or {})
        self.loaded = known is not None
        self.counters = Counters(uow.actor, uow.target_pool)
        self.room_made = False

    def run(self) -> Outcome:
        if self.uow.idempotency is not None:
            self._merge_stored_results(self.uow.idempotency)
        if not self.loaded:
            wanted = [customer_id for at, customer_id in self.ids.items() if at not in self.outcome.results]
            self.known = self.uow.customer_cache.get_many(self.uow.table, self.uow.actor, wanted)
        for _ in range(MAX_ROUNDS):
            pending = [position for position in self.ids if position not in self.outcome.results]
            if not pending or self._is_finished() or (self.stop_at_stored and self.met_stored):
                return self.outcome
            anew = self._attempt(self._pack(self._plan(pending[:MAX_ACTIONS])))
            if self.atomic and self.outcome.refused and not anew:
                return self._unchanged_outcome()
        raise Throttled

    def _is_finished(self) -> bool:
        """An earlier attempt with this Idempotency-Key came to its end, so nothing more may be done now."""
        return self.uow.idempotency is not None and WHOLE in self.uow.idempotency.answers

    # Planning

    def _plan(self, pending: Sequence[int]) -> dict[int, Transition]:
        transitions = {}
        for position in pending:
            planned = self.plan(self.ids[position], self.known.get(self.ids[position]))
            if isinstance(planned, Refusal):
                self._answer(position, planned)
            else:
                transitions[position] = with_paged_events(self._placed(planned), roomy=self.atomic)
        return transitions

    def _placed(self, transition: Transition) -> Transition:
        """With the mark of the request, and on the lists of the pool where the customer shall be."""
        actor, target_pool = self.uow.actor, self.uow.target_pool
        there = target_pool if target_pool is not None and transition.target_key is not None else actor.home
        return with_shards(with_request_marker(transition, actor.request_marker), there, actor.now)

    def _pack(self, transitions: dict[int, Transition]) -> TransactionBuilder:
        """As many moves, in order, as one transaction holds."""
        idempotency = [] if self.uow.idempotency is None else [self.uow.idempotency.key]
        draft = TransactionBuilder(
            self.counters, self.uow.log, [*idempotency, *(action.key for action in self._abort_check())]
        )
        for position, transition in transitions.items():
            if not draft.take(position, transition):
                if self.atomic and not self.outcome.refused:
                    fit, asked = len(draft.transitions), len(self.ids)
                    raise Refused(Refusal("batch_too_large", limit=fit, used=asked, errors=(_ATOMIC_LIMIT,)))
                break
        return draft

    # Writing

    def _attempt(self, draft: TransactionBuilder) -> bool:
        """True where it was refused and something is known anew, so that all has to be asked again."""
        transitions = draft.transitions
        if not transitions:
            return False
        answers = {
            at: self._shown(at, transition.result, transition)
            for at, transition in transitions.items()
            if transition.made
        }
        parts = [] if self.uow.idempotency is None else [self.uow.idempotency.part(answers)]
        refusing = self.uow.table.write([*draft.actions(), *parts, *self._abort_check()])
        if refusing is not None:
            return self._explain_cancellation(transitions, refusing)
        self._record_commit(transitions, answers)
        return False

    def _abort_check(self) -> list[Action]:
        """An atomic batch that is refused already is only asked about, so that every id gets its own answer.

        The check is of an item that no move asks about: a transaction may name each only once.
        """
        if not (self.atomic and self.outcome.refused):
            return []
        return [Check(keys.absent_key(self.uow.actor.member_key), rules.pk.exists())]

    def _shown(self, position: int, customer: Customer | None, transition: Transition) -> Result:
        if customer is None:
            return Result(self.ids[position])
        facts = self.uow.facts(customer)
        noted = replace(facts, **transition.note) if facts is not None and transition.note else facts
        managed = self.uow.managed or transition.managed
        return Result(self.ids[position], noted, seen=customer, managed=managed)

    def _record_commit(self, transitions: dict[int, Transition], answers: dict[int, Result]) -> None:
        if self.uow.idempotency is not None:
            self.uow.idempotency.wrote(answers)
        self.outcome.results |= answers
        for transition in transitions.values():
            if transition.after is not None:
                self.outcome.changed.append(transition.after)
                self.uow.customer_cache.remember(transition.after, self.uow.actor.now)
            elif transition.removed_by is not None:
                self.uow.customer_cache.forget(transition.key)
        self._reload([self.ids[at] for at in transitions if at not in answers])

    # Explaining a refusal

    def _explain_cancellation(self, transitions: dict[int, Transition], refusing: FailedItems) -> bool:
        """Answers what was refused. True where something is known that was not when it was planned."""
        idempotency = self.uow.idempotency
        if idempotency is not None and idempotency.key in refusing:
            idempotency.absorb(refusing[idempotency.key])
            self.met_stored = True
            self._merge_stored_results(idempotency)
            return False
        sound: dict[int, Transition] = {}
        for position, transition in transitions.items():
            if not self._explain_one(position, transition, refusing):
                sound[position] = transition
        anew = len(sound) + sum(at in self.outcome.results for at in transitions) < len(transitions)
        self.counters.learn(refusing)
        if self.atomic:
            self.counters.begin_days(self.uow.table)
        quota = self.counters.quota(sound.values())
        if quota is None or not refusing.get(quota.key):
            return anew
        return (
            self._apply_quota(
                {at: transition for at, transition in sound.items() if transition.recipient}, quota, refusing[quota.key]
            )
            or anew
        )

    def _merge_stored_results(self, idempotency: IdempotencyRecord) -> None:
        self.outcome.results |= {at: result for at, result in idempotency.answers.items() if at in self.ids}

    def _explain_one(self, position: int, transition: Transition, refusing: FailedItems) -> bool:
        """True where the position needs nothing more in this round: answered, or known anew and to be planned again."""
        current = self._current(transition, refusing)
        if current is not None and _already_applied(transition, current, self.uow.actor):
            self.outcome.results[position] = self._shown(position, current, transition)
            return True
        if transition.before is not None and refusing.get(transition.key) == {}:
            self._evict_missing(transition)
            return True
        if self._rules_changed(position, transition):
            return True
        refusal = first_broken(transition.rules, refusing)
        if refusal is not None and refusal.reason == rules.RETRY:
            raise PoolChanged
        if refusal is not None:
            self._answer(position, refusal)
        return refusal is not None or transition.key in refusing

    def _current(self, transition: Transition, refusing: FailedItems) -> Customer | None:
        """The customer as it stands, if it is among what refused: known anew or, where it landed, looked at only."""
        if transition.target_key is not None and refusing.get(transition.target_key) and transition.after is not None:
            there = items.customer_record(self.uow.actor.tenant, transition.after.pool, refusing[transition.target_key])
            return replace(there, fields=transition.after.fields)
        stored = refusing.get(transition.key)
        if not stored:
            return None
        current = self.uow.customer_cache.from_item(self.uow.table, self.uow.actor, stored, transition.before)
        self.known[current.id] = current
        return current

    def _rules_changed(self, position: int, transition: Transition) -> bool:
        """The copy was old, and other things are asked of the customer as it is: what the move's rules say is void."""
        current = self.known.get(self.ids[position])
        if current is None or current == transition.before:
            return False
        planned = self.plan(current.id, current)
        return isinstance(planned, Refusal) or not rules.same_rules(planned.rules, transition.rules)

    def _evict_missing(self, transition: Transition) -> None:
        """The copy has outlived its customer: what is to be done is planned anew, for one that is not there."""
        self.uow.customer_cache.forget(transition.key)
        self.known[keys.id_from_pk(transition.key.pk)] = None

    def _apply_quota(self, takes: dict[int, Transition], quota: Quota, member_item: Item) -> bool:
        """Gives what is left of the taker's limits to the first, and names the limit to the rest; unless there is more
        room by now, which is True."""
        today, headroom = quota.left(member_item)
        if headroom is not None and headroom < quota.count and self._make_room(quota.key, member_item):
            return True
        fitting = min((left for left in (today, headroom) if left is not None), default=len(takes))
        for position in list(takes)[fitting:]:
            self._answer(position, quota.refusals(member_item, fitting)[0])
        return False

    def _make_room(self, member: Key, as_refused: Item) -> bool:
        """Own lapsed claims never block the headroom (rule 6): they are returned first, once in a request. True where
        the member holds less than they did: also if a sweep was faster, and there were none to return any more."""
        if self.room_made:
            return False
        self.room_made = True
        if self.uow.make_room(keys.id_from_pk(member.pk)):
            return True
        return self.uow.table.get([member]).get(member, {}).get("held") != as_refused["held"]

    def _answer(self, position: int, refusal: Refusal) -> None:
        self.outcome.results[position] = Result(self.ids[position], refusal=refusal)

    def _reload(self, ids: list[str]) -> None:
        if ids:
            self.known |= self.uow.customer_cache.read(self.uow.table, self.uow.actor, ids)

    def _unchanged_outcome(self) -> Outcome:
        """An atomic batch that was refused: what would have been done is shown as it stands, unchanged."""
        for position, customer_id in self.ids.items():
            known = self.known.get(customer_id)
            if position not in self.outcome.results and known is not None:
                facts = self.uow.facts(known)
                result = Result(customer_id, facts, seen=known, managed=self.uow.managed)
                self.outcome.results[position] = result
        return self.outcome


_ATOMIC_LIMIT: Final = FieldError("atomic")


def _reject_invalid_ids(ids: Mapping[int, str]) -> dict[int, Result]:
    """Ids that stand earlier in the request, and ids that no customer can have: never part of a key."""
    results: dict[int, Result] = {}
    seen: set[str] = set()
    for position, customer_id in ids.items():
        if customer_id in seen:
            results[position] = Result(customer_id, refusal=Refusal("duplicate_in_request"))
        elif IDENTIFIER.fullmatch(customer_id) is None:
            results[position] = Result(customer_id, refusal=Refusal("not_found"))
        seen.add(customer_id)
    return results


def _already_applied(transition: Transition, current: Customer, actor: Actor) -> bool:
    """The actor holds it already, or the engine had committed this very move and its answer was lost."""
    as_seen = actor.if_match in (None, current.version)
    if (
        as_seen
        and transition.already_held_by is not None
        and current.held_by(transition.already_held_by, actor.clock(current))
    ):
        return True
    return transition.after is not None and transition.after.tail[-1] in current.tail
