"""The verbs beyond claim and release: assign, transfer, extend, follow-up, win, pin, restore, convert, deposit; single
and, where it makes sense, batch. And how a member leaves.

As in `claiming`, a plan chooses the move and `settling` carries it out; what may be done is said by the move's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec.structs import replace

from chalicelib import layout, lifecycle, moves, places, rules, sweeping, upkeep
from chalicelib.claiming import desk_with_room
from chalicelib.context import Call
from chalicelib.counters import as_it_was, brought_in, file_day
from chalicelib.layout import Key
from chalicelib.moves import Actor, Move
from chalicelib.pools import AT_WORK, only_managers
from chalicelib.records import IDENTIFIER, MEMBER_REMOVED, Customer, Pool, is_blank
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Quota, Rule
from chalicelib.settling import Outcome, attempt, settle
from chalicelib.table import Action, Check, Delete
from chalicelib.times import duration_ms
from chalicelib.validation import FieldError

REMOVALS: Final = 5  # how often a member may claim once more while being removed
LARGEST_PAGE: Final = 100
GONE_MEANWHILE: Final = frozenset(("not_claimed", "not_holder", "expired", "not_found"))

Held: TypeAlias = Literal["release", "transfer"]
Make = Callable[[Actor, str, Customer | None], Move]


def assign(call: Call, pool_id: str, ids: Sequence[str], to: str, *, atomic: bool = False) -> Outcome:
    mint = call.backend.mint
    return _give(
        call, pool_id, ids, lambda actor, each, known: lifecycle.assign(actor, each, known, to, mint()), atomic
    )


def transfer(
    call: Call, pool_id: str, ids: Sequence[str], to: str, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    mint = call.backend.mint
    return _give(
        call,
        pool_id,
        ids,
        lambda actor, each, known: lifecycle.transfer(actor, each, known, to, mint(), claim_id),
        atomic,
    )


def _give(call: Call, pool_id: str, ids: Sequence[str], make: Make, atomic: bool) -> Outcome:
    """A claim begins, so the pool must be open."""
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool, manager=True)

    def plan(customer: str, known: Customer | None) -> Move | Refusal:
        return make(desk.actor, customer, known) if pool.status == "open" else Refusal("pool_not_open")

    return settle(desk, ids, plan, atomic=atomic)


def extend(
    call: Call, pool_id: str, ids: Sequence[str], by: str | None, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    """By the given duration or, without one, by the policy's."""
    pool = call.pool(pool_id)
    length = _extension(pool, by)
    return _move(
        call, pool, ids, lambda actor, each, known: lifecycle.extend(actor, each, known, length, claim_id), atomic
    )


def _extension(pool: Pool, by: str | None) -> int | None:
    try:
        return pool.policy.length("extension") if by is None else duration_ms(by)
    except ValueError as error:
        raise Refused(Refusal("invalid_request", errors=(FieldError(str(error), "by"),))) from error


def follow_up(call: Call, pool_id: str, customer: str, note: str | None, outcome: str | None) -> Outcome:
    """A note that is blank is none, and so is an outcome. Raises Refused where there is neither (rule 32)."""
    pool = call.pool(pool_id)
    note, outcome = (None if text is None or is_blank(text) else text for text in (note, outcome))
    if note is None and outcome is None:
        raise Refused(Refusal("invalid_request", errors=(FieldError("nothing_said", "note, outcome"),)))

    def make(actor: Actor, each: str, known: Customer | None) -> Move:
        return lifecycle.follow_up(actor, each, known, note, outcome)

    return _move(call, pool, [customer], make)


def win(call: Call, pool_id: str, customer: str) -> Outcome:
    return _move(call, call.pool(pool_id), [customer], lifecycle.win)


def pin(call: Call, pool_id: str, customer: str, until: int) -> Outcome:
    """Pins of the holder that have ended of themselves make room first, where room is what is wanting."""
    pool = call.pool(pool_id)
    if not call.now < until <= places.FOREVER:
        raise Refused(Refusal("invalid_request", errors=(FieldError("future", "until"),)))

    def plan(each: str, known: Customer | None) -> Move:
        return lifecycle.pin(desk.actor, each, known, until)

    desk = call.desk(pool)
    outcome = attempt(desk, {0: customer}, plan)
    refusal = outcome.results[0].refusal
    if refusal is None:
        return outcome
    if refusal.reason != "pin_limit":
        return settle(desk, [customer], plan, failed=outcome.results)
    _end_pins(call, pool, customer)
    return settle(desk, [customer], plan)


def _end_pins(call: Call, pool: Pool, customer: str) -> None:
    known = call.backend.copies.look_up(call.backend.table, call.actor(pool), [customer])[customer]
    if known is None or known.holder is None:
        return
    for page in sweeping.claims_of(call, pool, known.holder):
        sweeping.carry_out(call.backend, pool, call.now, page.items, upkeep.pin_over)


def unpin(call: Call, pool_id: str, customer: str) -> Outcome:
    return _move(call, call.pool(pool_id), [customer], lifecycle.unpin)


def restore(call: Call, pool_id: str, customer: str) -> Outcome:
    return _move(call, call.pool(pool_id), [customer], lifecycle.restore, manager=True)


def convert(call: Call, pool_id: str, ids: Sequence[str], to: str | None, *, atomic: bool = False) -> Outcome:
    pool = call.pool(pool_id)
    return _move(
        call, pool, ids, lambda actor, each, known: lifecycle.convert(actor, each, known, to), atomic, manager=True
    )


def deposit(call: Call, pool_id: str, ids: Sequence[str], into: str | None, *, atomic: bool = False) -> Outcome:
    """Into that pool again or, with `into`, into another one of the tenant."""
    pool, target = call.pool(pool_id), call.pool(into or pool_id)
    desk = call.desk(pool, elsewhere=target if target.id != pool.id else None)
    there = replace(call.actor(target), if_match=None)
    return settle(desk, ids, lambda each, known: lifecycle.deposit(desk.actor, each, known, there), atomic=atomic)


def _move(
    call: Call, pool: Pool, ids: Sequence[str], make: Make, atomic: bool = False, *, manager: bool = False
) -> Outcome:
    desk = call.desk(pool, manager=manager)
    return settle(desk, ids, lambda customer, known: make(desk.actor, customer, known), atomic=atomic)


# A member leaves


def remove_member(call: Call, pool_id: str, user: str, held: Held | None, to: str | None) -> dict[str, Any]:
    """Removes a member who holds nothing, or whose customers are released or transferred first (rule 22).

    Whatever is held at the last moment keeps them: the counter's zero is a condition of the removal.
    """
    pool = call.pool(pool_id)
    if IDENTIFIER.fullmatch(user) is None:
        raise Refused(Refusal("not_found"))
    if held is not None:
        only_managers(call, pool)
        _still_as_seen(call, pool, user)
    for _ in range(REMOVALS):
        if held is not None:
            _hand_back(call, pool, user, held, to)
        try:
            return _remove(call, pool, user)
        except Refused as refused:
            holding = refused.refusal.reason == "member_has_claims"
            if not holding and refused.refusal.reason != AT_WORK:
                raise
            if holding and held is None and not sweeping.return_lapsed_of(call, pool, user):
                raise
    raise Refused(Refusal("member_has_claims"))


def _still_as_seen(call: Call, pool: Pool, user: str) -> None:
    """Nothing is handed back where the client knows another version. Raises Refused."""
    leaver = layout.member_key(pool.tenant, pool.id, user)
    stored = {} if call.if_match is None else call.backend.table.get([leaver])
    refusal = rules.first_broken(_as_seen(call, leaver), stored)
    if refusal is not None:
        raise Refused(refusal)


def _as_seen(call: Call, leaver: Key) -> list[Rule]:
    return [] if call.if_match is None else [rules.unchanged_since(leaver, call.if_match)]


def _hand_back(call: Call, pool: Pool, user: str, held: Held, to: str | None) -> None:
    """Releases or transfers what the member holds. Raises Refused with the first refusal."""
    sweeping.return_lapsed_of(call, pool, user)
    if held == "transfer" and to not in (None, user):
        _room_for_all(call, pool, user, to)
    quiet = replace(desk_with_room(call, pool, manager=True), journal=None)
    actor, mint = replace(quiet.actor, if_match=None), call.backend.mint

    def plan(customer: str, known: Customer | None) -> Move:
        if held == "transfer" and to is not None:
            made = lifecycle.transfer(actor, customer, known, to, mint(), None)
        else:
            made = moves.release(actor, customer, known, None, MEMBER_REMOVED)
        return lifecycle.from_holder(made, user)  # their list is a moment late: it may name what others hold by now

    for page in sweeping.claims_of(call, pool, user, limit=LARGEST_PAGE):
        results = settle(quiet, [layout.id_in(key.pk) for key in page.keys], plan).results
        refusals = [each.refusal for _, each in sorted(results.items()) if each.refusal is not None]
        if refusals and refusals[0].reason not in GONE_MEANWHILE:
            raise Refused(refusals[0])


def _room_for_all(call: Call, pool: Pool, user: str, heir: str) -> None:
    """An heir without room for all gets none, so that a removal that is refused has moved nobody. Raises Refused.

    Only looked at here: each transfer is held to the limit all the same.
    """
    sweeping.return_lapsed_of(call, pool, heir)
    leaver, taker = (layout.member_key(pool.tenant, pool.id, each) for each in (user, heir))
    found = call.backend.table.get([leaver, taker])
    if len(found) < 2:
        return
    wanted = layout.plain(found[leaver]["held"])
    quota = Quota(taker, pool.policy, call.now, wanted, daily=False)
    _, headroom = quota.left(found[taker])
    if headroom is not None and headroom < wanted:
        raise Refused(quota.refusals(found[taker], headroom)[0])


def _remove(call: Call, pool: Pool, user: str) -> dict[str, Any]:
    """What they did stays in the statistics: their day is filed; what they brought in is added to the pool's row."""
    caller, leaver = call.actor(pool), layout.member_key(pool.tenant, pool.id, user)
    stored = call.backend.table.get([leaver]).get(leaver)
    asked = [
        *caller.member_rules(),
        *caller.manager_rules(),
        rules.exists(leaver),
        *_as_seen(call, leaver),
        Rule("member_has_claims", leaver, rules.held == 0),
    ]
    writes: list[Action] = [Check(rule.key, rule.condition) for rule in caller.manager_rules() if rule.key != leaver]
    if stored is None:  # one who was put meanwhile has a day to file: their item is read again
        asked.append(Rule(AT_WORK, leaver, rules.pk.does_not_exist()))
    else:
        member = layout.member_record(pool.tenant, pool.id, stored)
        asked.append(Rule(AT_WORK, leaver, as_it_was(stored)))
        writes.append(file_day(layout.day_key(leaver, member.day), member.did))
        writes.append(brought_in(layout.leavers_key(pool.tenant, pool.id), member.pooled, member.aside))
    writes.append(Delete(leaver, rules.all_of([rule.condition for rule in asked if rule.key == leaver])))
    return call.commit(writes, asked, {"pool_id": pool.id, "user_id": user})
