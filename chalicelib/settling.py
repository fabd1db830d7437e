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

from chalicelib import layout, rules
from chalicelib.copies import Copies
from chalicelib.counters import Counters
from chalicelib.journal import WHOLE, Journal, Result
from chalicelib.layout import Item, Key
from chalicelib.moves import Actor, Move
from chalicelib.packing import Draft
from chalicelib.records import IDENTIFIER, Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Quota, first_broken
from chalicelib.table import ACTIONS_A_TRANSACTION, Action, Check, Refusing, Table, Throttled
from chalicelib.undo_log import UndoLog
from chalicelib.validation import FieldError
from chalicelib.views import Facts
from chalicelib.writes import marked, paged, placed

ROUNDS: Final = 200  # far more than any batch needs; only a defect could use them up

Plan = Callable[[str, Customer | None], Move | Refusal]


class PoolChanged(Throttled):
    """A pool that is not open was changed meanwhile: all has to be asked again, of the pool as it is."""


class Desk(Struct, frozen=True):
    """What one request works with. `facts` gives what the record keeps of a customer, None where no answer is about
    it; `make_room` returns a member's lapsed claims to the pool and says whether there were any; `elsewhere`
    is the pool that customers are moved into, if it is another one; `log` keeps what has to be known to undo it all;
    `managed` says that only a manager could have made the moves."""

    table: Table
    copies: Copies
    actor: Actor
    facts: Callable[[Customer], Facts | None] = lambda customer: None
    make_room: Callable[[str], bool] = lambda user: False
    journal: Journal | None = None
    elsewhere: Pool | None = None
    log: UndoLog | None = None
    managed: bool = False


class Outcome(Struct):
    """Results by position in the request, and the customers that were changed."""

    results: dict[int, Result] = {}
    changed: list[Customer] = []

    @property
    def refused(self) -> bool:
        return any(result.refusal is not None for result in self.results.values())


def settle(
    desk: Desk,
    ids: Sequence[str],
    plan: Plan,
    *,
    atomic: bool = False,
    failed: Mapping[int, Result] | None = None,
) -> Outcome:
    """One result per id, in order; with `atomic`, either all are done or nothing is. Raises a Fault, or Refused.

    `failed` are results that stand already, by position.
    """
    failed = failed or {}
    outcome = attempt(desk, {at: each for at, each in enumerate(ids) if at not in failed}, plan, atomic=atomic)
    outcome.results |= failed
    return closed(desk, outcome)


def closed(desk: Desk, outcome: Outcome) -> Outcome:
    """The outcome as it is answered: with its refusals in the journal too, since nothing more is tried."""
    if desk.journal is not None:
        outcome.results = desk.journal.close(desk.table, outcome.results)
    return outcome


def attempt(
    desk: Desk,
    ids: Mapping[int, str],
    plan: Plan,
    *,
    atomic: bool = False,
    known: Mapping[str, Customer | None] | None = None,
    outcome: Outcome | None = None,
) -> Outcome:
    """As `settle`, for ids at given positions, and leaving the refusals out of the journal: more may be tried.

    `known` are the customers as the caller has just read them, or None for a new one; without it they are looked up.
    The results are added to `outcome`: a fault leaves those before it there.
    """
    return _Settling(desk, ids, plan, atomic, known, outcome).run()


class _Settling:
    def __init__(
        self,
        desk: Desk,
        ids: Mapping[int, str],
        plan: Plan,
        atomic: bool,
        known: Mapping[str, Customer | None] | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        self.desk, self.ids, self.plan, self.atomic = desk, ids, plan, atomic
        self.outcome = outcome or Outcome()
        self.outcome.results |= _hopeless(ids)
        self.known: dict[str, Customer | None] = dict(known or {})
        self.looked_up = known is not None
        self.counters = Counters(desk.actor, desk.elsewhere)
        self.made_room = False

    def run(self) -> Outcome:
        if self.desk.journal is not None:
            self._answered_before(self.desk.journal)
        if not self.looked_up:
            wanted = [customer_id for at, customer_id in self.ids.items() if at not in self.outcome.results]
            self.known = self.desk.copies.look_up(self.desk.table, self.desk.actor, wanted)
        for _ in range(ROUNDS):
            pending = [position for position in self.ids if position not in self.outcome.results]
            if not pending or self._over():
                return self.outcome
            anew = self._attempt(self._pack(self._plan(pending[:ACTIONS_A_TRANSACTION])))
            if self.atomic and self.outcome.refused and not anew:
                return self._nothing_done()
        raise Throttled

    def _over(self) -> bool:
        """An earlier attempt with this Idempotency-Key came to its end, so nothing more may be done now."""
        return self.desk.journal is not None and WHOLE in self.desk.journal.answers

    # Planning

    def _plan(self, pending: Sequence[int]) -> dict[int, Move]:
        moves = {}
        for position in pending:
            planned = self.plan(self.ids[position], self.known.get(self.ids[position]))
            if isinstance(planned, Refusal):
                self._answer(position, planned)
            else:
                moves[position] = paged(self._placed(planned), roomy=self.atomic)
        return moves

    def _placed(self, move: Move) -> Move:
        """With the mark of the request, and on the lists of the pool where the customer shall be."""
        actor, elsewhere = self.desk.actor, self.desk.elsewhere
        there = elsewhere if elsewhere is not None and move.lands is not None else actor.home
        return placed(marked(move, actor.mark), there, actor.now)

    def _pack(self, moves: dict[int, Move]) -> Draft:
        """As many moves, in order, as one transaction holds."""
        journal = [] if self.desk.journal is None else [self.desk.journal.key]
        draft = Draft(self.counters, self.desk.log, [*journal, *(action.key for action in self._doom())])
        for position, move in moves.items():
            if not draft.take(position, move):
                if self.atomic and not self.outcome.refused:
                    fit, asked = len(draft.moves), len(self.ids)
                    raise Refused(Refusal("batch_too_large", limit=fit, used=asked, errors=(_ATOMIC_LIMIT,)))
                break
        return draft

    # Writing

    def _attempt(self, draft: Draft) -> bool:
        """True where it was refused and something is known anew, so that all has to be asked again."""
        moves = draft.moves
        if not moves:
            return False
        answers = {at: self._shown(at, move.result, move) for at, move in moves.items() if move.made}
        parts = [] if self.desk.journal is None else [self.desk.journal.part(answers)]
        refusing = self.desk.table.write([*draft.actions(), *parts, *self._doom()])
        if refusing is not None:
            return self._explain(moves, refusing)
        self._committed(moves, answers)
        return False

    def _doom(self) -> list[Action]:
        """An atomic batch that is refused already is only asked about, so that every id gets its own answer.

        The check is of an item that no move asks about: a transaction may name each only once.
        """
        if not (self.atomic and self.outcome.refused):
            return []
        return [Check(layout.never_key(self.desk.actor.member_key), rules.pk.exists())]

    def _shown(self, position: int, customer: Customer | None, move: Move) -> Result:
        if customer is None:
            return Result(self.ids[position])
        facts = self.desk.facts(customer)
        noted = replace(facts, **move.note) if facts is not None and move.note else facts
        managed = self.desk.managed or move.managed
        return Result(self.ids[position], noted, seen=customer, managed=managed)

    def _committed(self, moves: dict[int, Move], answers: dict[int, Result]) -> None:
        if self.desk.journal is not None:
            self.desk.journal.wrote(answers)
        self.outcome.results |= answers
        for move in moves.values():
            if move.after is not None:
                self.outcome.changed.append(move.after)
                self.desk.copies.remember(move.after, self.desk.actor.now)
            elif move.removed_by is not None:
                self.desk.copies.forget(move.key)
        self._look_again([self.ids[at] for at in moves if at not in answers])

    # Explaining a refusal

    def _explain(self, moves: dict[int, Move], refusing: Refusing) -> bool:
        """Answers what was refused. True where something is known that was not when it was planned."""
        journal = self.desk.journal
        if journal is not None and journal.key in refusing:
            journal.absorb(refusing[journal.key])
            self._answered_before(journal)
            return False
        sound: dict[int, Move] = {}
        for position, move in moves.items():
            if not self._explained(position, move, refusing):
                sound[position] = move
        anew = len(sound) + sum(at in self.outcome.results for at in moves) < len(moves)
        self.counters.learn(refusing)
        if self.atomic:
            self.counters.begin_days(self.desk.table)
        quota = self.counters.quota(sound.values())
        if quota is None or not refusing.get(quota.key):
            return anew
        return self._ration({at: move for at, move in sound.items() if move.taker}, quota, refusing[quota.key]) or anew

    def _answered_before(self, journal: Journal) -> None:
        self.outcome.results |= {at: result for at, result in journal.answers.items() if at in self.ids}

    def _explained(self, position: int, move: Move, refusing: Refusing) -> bool:
        """True where the position needs nothing more in this round: answered, or known anew and to be planned again."""
        current = self._current(move, refusing)
        if current is not None and _done_already(move, current, self.desk.actor):
            self.outcome.results[position] = self._shown(position, current, move)
            return True
        if move.before is not None and refusing.get(move.key) == {}:
            self._gone(move)
            return True
        if self._ruled_otherwise(position, move):
            return True
        refusal = first_broken(move.rules, refusing)
        if refusal is not None and refusal.reason == rules.ASK_AGAIN:
            raise PoolChanged
        if refusal is not None:
            self._answer(position, refusal)
        return refusal is not None or move.key in refusing

    def _current(self, move: Move, refusing: Refusing) -> Customer | None:
        """The customer as it stands, if it is among what refused: known anew or, where it landed, looked at only."""
        if move.lands is not None and refusing.get(move.lands) and move.after is not None:
            there = layout.customer_record(self.desk.actor.tenant, move.after.pool, refusing[move.lands])
            return replace(there, fields=move.after.fields)
        stored = refusing.get(move.key)
        if not stored:
            return None
        current = self.desk.copies.from_item(self.desk.table, self.desk.actor, stored, move.before)
        self.known[current.id] = current
        return current

    def _ruled_otherwise(self, position: int, move: Move) -> bool:
        """The copy was old, and other things are asked of the customer as it is: what the move's rules say is void."""
        current = self.known.get(self.ids[position])
        if current is None or current == move.before:
            return False
        planned = self.plan(current.id, current)
        return isinstance(planned, Refusal) or not rules.alike(planned.rules, move.rules)

    def _gone(self, move: Move) -> None:
        """The copy has outlived its customer: what is to be done is planned anew, for one that is not there."""
        self.desk.copies.forget(move.key)
        self.known[layout.id_in(move.key.pk)] = None

    def _ration(self, takes: dict[int, Move], quota: Quota, member_item: Item) -> bool:
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
        if self.made_room:
            return False
        self.made_room = True
        if self.desk.make_room(layout.id_in(member.pk)):
            return True
        return self.desk.table.get([member]).get(member, {}).get("held") != as_refused["held"]

    def _answer(self, position: int, refusal: Refusal) -> None:
        self.outcome.results[position] = Result(self.ids[position], refusal=refusal)

    def _look_again(self, ids: list[str]) -> None:
        if ids:
            self.known |= self.desk.copies.read(self.desk.table, self.desk.actor, ids)

    def _nothing_done(self) -> Outcome:
        """An atomic batch that was refused: what would have been done is shown as it stands, unchanged."""
        for position, customer_id in self.ids.items():
            known = self.known.get(customer_id)
            if position not in self.outcome.results and known is not None:
                facts = self.desk.facts(known)
                result = Result(customer_id, facts, seen=known, managed=self.desk.managed)
                self.outcome.results[position] = result
        return self.outcome


_ATOMIC_LIMIT: Final = FieldError("atomic")


def _hopeless(ids: Mapping[int, str]) -> dict[int, Result]:
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


def _done_already(move: Move, current: Customer, actor: Actor) -> bool:
    """The actor holds it already, or the engine had committed this very move and its answer was lost."""
    as_seen = actor.if_match in (None, current.version)
    if as_seen and move.kept_by is not None and current.held_by(move.kept_by, actor.clock(current)):
        return True
    return move.after is not None and move.after.tail[-1] in current.tail
