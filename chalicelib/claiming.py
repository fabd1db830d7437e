"""Claim, release and claim-next: what members do. Single and batch are the same, a single verb being a batch of one.

The plans here choose a move for each customer; `settling` carries them out. No limit, state or role is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chalicelib import layout, moves, rules, sweeping
from chalicelib.context import Call
from chalicelib.journal import WHOLE, Result
from chalicelib.layout import DUE, PLACE, Item
from chalicelib.moves import Actor, Move
from chalicelib.pools import member_of
from chalicelib.records import IDENTIFIER, Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Quota, broken, first_broken
from chalicelib.settling import Desk, Outcome, Plan, attempt, settle
from chalicelib.table import Check, between

WIDEST: Final = 400  # how far down the list a crowd is spread
LOOKS: Final = 40  # how often one request looks further down a list whose head is closed to its caller
LOOKED_AT: Final = 50  # and at how many at once, at most: one read
OWN_LIMITS: Final = frozenset(("not_a_member", "pool_not_open", "daily_limit", "holding_limit"))


def claim(call: Call, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool)
    return settle(desk, ids, _claim_plan(call, pool, desk.actor), atomic=atomic)


def release(
    call: Call,
    pool_id: str,
    ids: Sequence[str],
    *,
    claim_id: str | None = None,
    reason: str | None = None,
    atomic: bool = False,
) -> Outcome:
    pool = call.pool(pool_id)
    unreasoned = pool.policy.reason_required and not (reason or "").strip()
    desk = call.desk(pool)

    def plan(customer: str, known: Customer | None) -> Move | Refusal:
        if unreasoned:
            return Refusal("reason_required")
        return moves.release(desk.actor, customer, known, claim_id, reason)

    return settle(desk, ids, plan, atomic=atomic)


def _claim_plan(call: Call, pool: Pool, actor: Actor) -> Plan:
    def plan(customer: str, known: Customer | None) -> Move | Refusal:
        if pool.status != "open":
            return Refusal("pool_not_open")
        return moves.claim(actor, customer, known, call.backend.mint())

    return plan


def desk_with_room(call: Call, pool: Pool, *, manager: bool = False) -> Desk:
    """For verbs that use up a limit: a taker's lapsed claims are returned before the limit is said to be reached."""
    return call.desk(pool, manager=manager, make_room=lambda user: sweeping.return_lapsed_of(call, pool, user))


def claim_next(call: Call, pool_id: str, count: int) -> dict[str, Any]:
    """Takes the best available customers: highest priority, then longest waiting; up to `count`, maybe none.

    Raises Refused only when a rule about the caller allows none at all.
    """
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool)
    taken = {} if desk.journal is None else dict(desk.journal.answers)
    refusal = _take(call, pool, desk, count, taken)
    items = [result.body for _, result in sorted(taken.items()) if result.body is not None]
    end = Result("", refusal=refusal) if refusal is not None and not items else Result("", {"items": items})
    if desk.journal is not None:
        end = desk.journal.close(desk.table, {WHOLE: end})[WHOLE]
    if end.refusal is not None:
        raise Refused(end.refusal)
    return end.body or {}


def _take(call: Call, pool: Pool, desk: Desk, count: int, taken: dict[int, Result]) -> Refusal | None:
    """Claims from the head of the list into `taken`, by position; the refusal that stopped it, if one did."""
    if pool.status != "open":
        return Refusal("pool_not_open")
    plan = _claim_plan(call, pool, desk.actor)
    tried: set[str] = set()
    wide = 0
    for _ in range(LOOKS):
        wanted = count - len(taken)
        if wanted <= 0 or not (candidates := _candidates(call, pool, max(wanted, wide), tried)):
            break
        seen = _seen(desk, plan, candidates)
        chosen = [each for each, refusal in seen.items() if refusal is None][:wanted]
        offset = max([len(tried), *(at + 1 for at in taken)])
        tried.update(chosen, (each for each, refusal in seen.items() if refusal is not None))
        outcome = attempt(desk, {offset + at: each for at, each in enumerate(chosen)}, plan)
        taken |= {at: result for at, result in outcome.results.items() if result.body is not None}
        taken |= {} if desk.journal is None else desk.journal.answers
        refusal = _stopping(call, pool, [*seen.values(), *(result.refusal for result in outcome.results.values())])
        if refusal is not None or (desk.journal is not None and WHOLE in desk.journal.answers):
            return refusal
        wide = wide if chosen else min(2 * len(candidates), LOOKED_AT)
    return None if taken else _standing(desk)


def _seen(desk: Desk, plan: Plan, candidates: Sequence[str]) -> dict[str, Refusal | None]:
    """What closes each candidate to the caller. A copy that says so may be old, so then the customer is read again."""
    kept = desk.copies.kept(desk.actor, candidates)
    sound = {each for each, known in kept.items() if _closed(plan, each, known) is None}
    read = desk.copies.read(desk.table, desk.actor, [each for each in candidates if each not in sound])
    return {each: None if each in sound else _closed(plan, each, read[each]) for each in candidates}


def _closed(plan: Plan, customer: str, known: Customer | None) -> Refusal | None:
    planned = plan(customer, known)
    if isinstance(planned, Refusal) or known is None:
        return planned if isinstance(planned, Refusal) else Refusal("not_found")
    return first_broken(planned.rules, {planned.key: layout.customer_item(known)})


def _candidates(call: Call, pool: Pool, count: int, tried: set[str]) -> list[str]:
    """The next ids to try, best first: of those in the pool or, when there are none, of those whose claims have lapsed.

    Alone, exactly the head of the list. Where callers have been colliding, each picks at random from a head that is as
    much longer as the collisions ask for, and that shrinks back as they cease.
    """
    reach = call.backend.crowds.get((pool.tenant, pool.id), 0)
    available, lapsed = layout.place_available(pool.tenant, pool.id), layout.due_in(pool.tenant, pool.id)
    head = _head(call, count + reach, tried, available, index=PLACE)
    head = head or _head(call, count + reach, tried, lapsed, index=DUE, between=between(DUE, high=call.now))
    chosen = set(call.backend.choose(range(len(head)), min(count, len(head)))) if reach else set(range(count))
    return [each for at, each in enumerate(head) if at in chosen]


def _head(call: Call, length: int, tried: set[str], partition: str, **asked: Any) -> list[str]:
    """That many of a list, from its head, without those tried; fewer where it ends."""
    head: list[str] = []
    for page in call.backend.table.pages(partition, limit=length + len(tried), **asked):
        head += [each for key in page.keys if (each := layout.id_in(key.pk)) not in tried]
        if len(head) >= length:
            break
    return head


def _stopping(call: Call, pool: Pool, met: Sequence[Refusal | None]) -> Refusal | None:
    """The refusal about the caller that ends the search. Also learns how crowded the head of the list is."""
    refusals = [refusal for refusal in met if refusal is not None]
    crowd = (pool.tenant, pool.id)
    lost = any(refusal.reason == "already_claimed" for refusal in refusals)
    reach = call.backend.crowds.get(crowd, 0)
    call.backend.crowds[crowd] = min(2 * reach + 4, WIDEST) if lost else max(reach - 1, 0)
    return next((refusal for refusal in refusals if refusal.reason in OWN_LIMITS), None)


def _standing(desk: Desk) -> Refusal | None:
    """Where nothing was taken: whether the caller might claim at all."""
    actor = desk.actor
    quota = Quota(actor.member_key, actor.policy, actor.now, 1)
    member = rules.member(actor.member_key)
    refusing = desk.table.write([Check(actor.member_key, member.condition & quota.condition())])
    if refusing is None:
        return None
    stored = refusing[actor.member_key]
    return first_broken([member], refusing) or next(iter(quota.refusals(stored, 0)), None)


def eligibility(call: Call, pool_id: str, customer_id: str) -> list[Refusal]:
    """Every rule that keeps the caller from claiming that customer now, in order; none if they may, or hold it.

    An answer for people to read, true at its moment: a claim asks again. Raises Refused for who is not a member.
    """
    pool = call.pool(pool_id)
    actor = call.actor(pool)
    known = call.backend.copies.read(call.backend.table, actor, [customer_id] if _is_id(customer_id) else [])
    found = call.backend.table.get([actor.member_key])
    customer = known.get(customer_id)
    member_of(call, pool, found)
    if customer is None:
        raise Refused(Refusal("not_found"))
    closed = [] if pool.status == "open" else [Refusal("pool_not_open")]
    if customer.held_by(actor.user, actor.clock(customer)):
        return closed
    asked = moves.claim(actor, customer_id, customer, "").rules
    stands = found | {actor.customer_key(customer_id): layout.customer_item(customer)}
    return [*closed, *broken(asked, stands), *_limits(call, pool, found[actor.member_key])]


def _limits(call: Call, pool: Pool, member_item: Item) -> list[Refusal]:
    """The caller's own lapsed claims are not counted: a claim would return them first."""
    actor = call.actor(pool)
    lapsed = sweeping.lapsed_of(call, pool, actor.user)
    kept = layout.plain(member_item["held"]) - len(lapsed)
    room = layout.plain(member_item["room"]) + len(lapsed)
    standing = member_item | {"held": layout.value(kept), "room": layout.value(room)}
    return Quota(actor.member_key, actor.policy, actor.now, 1).refusals(standing, 0)


def _is_id(text: str) -> bool:
    return IDENTIFIER.fullmatch(text) is not None
