"""Undoes one import, for the customers that nobody has touched since: what was changed says again what it said
before, what was new leaves the pool.

What an import did is known from its log, and says nothing of what stands now: each customer is written under the
condition that it is still at the very version which the import made. So a claim a moment earlier wins. An undoing
keeps a journal of its own: it has one effect, however often, by whomever and after whatever crash it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from chalicelib import layout, moves, rules, undo_log
from chalicelib.context import Call
from chalicelib.journal import Journal, Result, known_answers
from chalicelib.layout import Item, Key
from chalicelib.moves import Actor, Move
from chalicelib.pools import only_managers
from chalicelib.records import Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Rule
from chalicelib.settling import Desk, Outcome, attempt
from chalicelib.table import Throttled
from chalicelib.undo_log import KEPT_SECONDS, Written

REASON: Final = "import undone"  # of the event
ROUNDS: Final = 50  # each is lost to somebody who said the same number meanwhile; only a defect could use them up
ANSWERS_A_PART: Final = 50  # of a journal, whose parts are items of limited size

Guards = dict[Key, Item]


def undo(call: Call, pool_id: str, import_id: str) -> Outcome:
    """One result for each customer that the import wrote. Raises Refused, the same to whoever is no manager."""
    pool = call.pool(pool_id)
    answered = known_answers(call.journal)
    if not answered:
        only_managers(call, pool)
    written = undo_log.read(call.backend.table, pool.tenant, pool.id, import_id, call.now)
    if not written:
        raise Refused(Refusal("not_found"))
    left = {at: each for at, each in written.items() if at not in answered}
    desk = replace(call.desk(pool, manager=True), journal=_own_journal(call, pool, import_id))
    # What says a number again first: then its guard is no longer that of a new customer which says it too.
    results = _restored(desk, {at: each for at, each in left.items() if each.before is not None})
    results |= _removed(desk, {at: each for at, each in left.items() if each.before is None})
    return Outcome(_kept(call, answered | results))


def _own_journal(call: Call, pool: Pool, import_id: str) -> Journal:
    """What was undone before, by whomever: nothing of it is undone again, whatever has come in its place."""
    keys = partial(layout.undone_key, pool.tenant, pool.id, import_id)
    journal = Journal(keys, "", call.now, KEPT_SECONDS)
    journal.recall(call.backend.table)
    return journal


def _kept(call: Call, results: dict[int, Result]) -> dict[int, Result]:
    """The results as they are answered, under the Idempotency-Key too."""
    if call.journal is None:
        return results
    given = list(results.items())
    kept: dict[int, Result] = {}
    for start in range(0, len(given), ANSWERS_A_PART):
        kept |= call.journal.close(call.backend.table, dict(given[start : start + ANSWERS_A_PART]))
    return kept


def _restored(desk: Desk, written: Mapping[int, Written]) -> dict[int, Result]:
    by_id = {each.id: each for each in written.values()}

    def plan(customer_id: str, known: Customer | None) -> Move:
        return _restore(desk.actor, by_id[customer_id], known)

    return attempt(desk, {at: each.id for at, each in written.items()}, plan).results


def _restore(actor: Actor, written: Written, known: Customer | None) -> Move:
    asked = _asked(actor, written)
    if known is None or not _as_written(known, written):
        return Move(actor.customer_key(written.id), known, None, asked)
    return moves.updated(actor, known, asked, written.before or {}, REASON)


def _asked(actor: Actor, written: Written) -> tuple[Rule, ...]:
    key = actor.customer_key(written.id)
    untouched = rules.untouched(key, written.version, written.created_at)
    return (*moves.by_manager(actor), rules.exists(key), untouched)


def _as_written(known: Customer, written: Written) -> bool:
    return (known.version, known.created_at) == (written.version, written.created_at)


def _removed(desk: Desk, written: Mapping[int, Written]) -> dict[int, Result]:
    """Customers leave, each with the guards that are still its own: no other's are touched."""
    by_id = {each.id: each for each in written.values()}
    guards: dict[str, Guards] = {}
    others: set[Key] = set()

    def plan(customer_id: str, known: Customer | None) -> Move:
        guards[customer_id] = {} if known is None else layout.guard_items(known)
        own = {key: item for key, item in guards[customer_id].items() if key not in others}
        return _remove(desk.actor, by_id[customer_id], known, own)

    results: dict[int, Result] = {}
    for _ in range(ROUNDS):
        pending = {at: each.id for at, each in written.items() if at not in results}
        settled = attempt(desk, pending, plan).results
        results |= {at: result for at, result in settled.items() if not result.refused_as(rules.KEY_TAKEN)}
        if len(results) == len(written):
            return results
        others |= _others(desk, [guards[settled[at].id] for at in pending if at not in results])
    raise Throttled


def _others(desk: Desk, believed: list[Guards]) -> set[Key]:
    """The guards that are not as those customers wrote them. Such a one is never theirs again: they do not change."""
    stored = desk.table.get([key for guards in believed for key in guards])
    return {key for guards in believed for key, item in guards.items() if stored.get(key) != item}


def _remove(actor: Actor, written: Written, known: Customer | None, own: Guards) -> Move:
    key, asked = actor.customer_key(written.id), _asked(actor, written)
    if known is None or not _as_written(known, written):
        return Move(key, known, None, asked)
    forgets = tuple(rules.still_said(guard, item) for guard, item in own.items())
    return Move(key, known, None, (*asked, *forgets), removed_by=actor.user, forgets=forgets)
