"""Assign, transfer, extend, follow up, win, pin, restore, convert and deposit customers, and remove members.

As in `claims`, a planner chooses the transition and the unit of work executes it. The rules of the transition decide
whether it is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from chalicelib.domain import claim_transitions, rules, system_transitions, transitions
from chalicelib.domain.rules import Quota, Rule
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, MEMBER_REMOVED, Customer, Pool
from chalicelib.model.responses import Body, RemovedMember
from chalicelib.model.text import is_blank
from chalicelib.model.times import duration_ms
from chalicelib.model.validation import FieldError
from chalicelib.services import expiry
from chalicelib.services.claims import quota_unit_of_work
from chalicelib.services.pools import AT_WORK, require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import activity_unchanged, archive_day, brought_in
from chalicelib.transactions.unit_of_work import Outcome, attempt, execute

REMOVALS: Final = 5  # how often a member may claim once more while being removed
LARGEST_PAGE: Final = 100
GONE_MEANWHILE: Final = frozenset(("not_claimed", "not_holder", "expired", "not_found"))

Held: TypeAlias = Literal["release", "transfer"]
Make = Callable[[Actor, str, Customer | None], Transition]


def assign(ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str, *, atomic: bool = False) -> Outcome:
    new_id = ctx.backend.new_id
    return _give(
        ctx, pool_id, ids, lambda actor, each, known: claim_transitions.assign(actor, each, known, to, new_id()), atomic
    )


def transfer(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    new_id = ctx.backend.new_id
    return _give(
        ctx,
        pool_id,
        ids,
        lambda actor, each, known: claim_transitions.transfer(actor, each, known, to, new_id(), claim_id),
        atomic,
    )


def _give(ctx: RequestContext, pool_id: str, ids: Sequence[str], make: Make, atomic: bool) -> Outcome:
    """A claim begins, so the pool must be open."""
    pool = ctx.pool(pool_id)
    uow = quota_unit_of_work(ctx, pool, manager=True)

    def plan(customer: str, known: Customer | None) -> Transition | Refusal:
        return make(uow.actor, customer, known) if pool.status == "open" else Refusal("pool_not_open")

    return execute(uow, ids, plan, atomic=atomic)


def extend(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    by: str | None,
    *,
    claim_id: str | None = None,
    atomic: bool = False,
) -> Outcome:
    """By the given duration or, without one, by the policy's."""
    pool = ctx.pool(pool_id)
    length = _extension(pool, by)
    return _move(
        ctx,
        pool,
        ids,
        lambda actor, each, known: claim_transitions.extend(actor, each, known, length, claim_id),
        atomic,
    )


def _extension(pool: Pool, by: str | None) -> int | None:
    try:
        return pool.policy.length("extension") if by is None else duration_ms(by)
    except ValueError as error:
        raise Refused(Refusal("invalid_request", errors=(FieldError(str(error), "by"),))) from error


def follow_up(ctx: RequestContext, pool_id: str, customer: str, note: str | None, outcome: str | None) -> Outcome:
    """A note that is blank is none, and so is an outcome. Raises Refused where there is neither (rule 32)."""
    pool = ctx.pool(pool_id)
    note, outcome = (None if text is None or is_blank(text) else text for text in (note, outcome))
    if note is None and outcome is None:
        raise Refused(Refusal("invalid_request", errors=(FieldError("nothing_said", "note, outcome"),)))

    def make(actor: Actor, each: str, known: Customer | None) -> Transition:
        return claim_transitions.follow_up(actor, each, known, note, outcome)

    return _move(ctx, pool, [customer], make)


def win(ctx: RequestContext, pool_id: str, customer: str) -> Outcome:
    return _move(ctx, ctx.pool(pool_id), [customer], claim_transitions.win)


def pin(ctx: RequestContext, pool_id: str, customer: str, until: int) -> Outcome:
    """Pin a claim. If the pin limit is reached, first end the expired pins of the holder and try again."""
    pool = ctx.pool(pool_id)
    if not ctx.now < until <= keys.NO_DEADLINE:
        raise Refused(Refusal("invalid_request", errors=(FieldError("future", "until"),)))

    def plan(each: str, known: Customer | None) -> Transition:
        return claim_transitions.pin(uow.actor, each, known, until)

    uow = ctx.uow(pool)
    outcome = attempt(uow, {0: customer}, plan)
    refusal = outcome.results[0].refusal
    if refusal is None:
        return outcome
    if refusal.reason != "pin_limit":
        return execute(uow, [customer], plan, failed=outcome.results)
    _end_pins(ctx, pool, customer)
    return execute(uow, [customer], plan)


def _end_pins(ctx: RequestContext, pool: Pool, customer: str) -> None:
    known = ctx.backend.customer_cache.get_many(ctx.backend.table, ctx.actor(pool), [customer])[customer]
    if known is None or known.holder is None:
        return
    for page in expiry.claims_of(ctx, pool, known.holder):
        expiry.apply_to_found(ctx.backend, pool, ctx.now, page.items, system_transitions.end_pin)


def unpin(ctx: RequestContext, pool_id: str, customer: str) -> Outcome:
    return _move(ctx, ctx.pool(pool_id), [customer], claim_transitions.unpin)


def restore(ctx: RequestContext, pool_id: str, customer: str) -> Outcome:
    return _move(ctx, ctx.pool(pool_id), [customer], claim_transitions.restore, manager=True)


def convert(ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str | None, *, atomic: bool = False) -> Outcome:
    pool = ctx.pool(pool_id)
    return _move(
        ctx,
        pool,
        ids,
        lambda actor, each, known: claim_transitions.convert(actor, each, known, to),
        atomic,
        manager=True,
    )


def deposit(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], into: str | None, *, atomic: bool = False
) -> Outcome:
    """Deposit customers into the same pool or, with `into`, into another pool of the tenant."""
    pool, target = ctx.pool(pool_id), ctx.pool(into or pool_id)
    uow = ctx.uow(pool, target_pool=target if target.id != pool.id else None)
    there = replace(ctx.actor(target), if_match=None)
    return execute(
        uow, ids, lambda each, known: claim_transitions.deposit(uow.actor, each, known, there), atomic=atomic
    )


def _move(
    ctx: RequestContext, pool: Pool, ids: Sequence[str], make: Make, atomic: bool = False, *, manager: bool = False
) -> Outcome:
    uow = ctx.uow(pool, manager=manager)
    return execute(uow, ids, lambda customer, known: make(uow.actor, customer, known), atomic=atomic)


# A member leaves


def remove_member(ctx: RequestContext, pool_id: str, user: str, held: Held | None, to: str | None) -> Body:
    """Remove a member who holds nothing, or whose customers are released or transferred first (rule 22).

    The removal requires that the counter of held customers is zero.
    """
    pool = ctx.pool(pool_id)
    if IDENTIFIER.fullmatch(user) is None:
        raise Refused(Refusal("not_found"))
    if held is not None:
        require_manager(ctx, pool)
        _require_same_version(ctx, pool, user)
    for _ in range(REMOVALS):
        if held is not None:
            _hand_back(ctx, pool, user, held, to)
        try:
            return _remove(ctx, pool, user)
        except Refused as refused:
            holding = refused.refusal.reason == "member_has_claims"
            if not holding and refused.refusal.reason != AT_WORK:
                raise
            if holding and held is None and not expiry.expire_claims_of(ctx, pool, user):
                raise
    raise Refused(Refusal("member_has_claims"))


def _require_same_version(ctx: RequestContext, pool: Pool, user: str) -> None:
    """Raise Refused if the client sent another version in If-Match, before any customer is handed back."""
    leaver = keys.member_key(pool.tenant, pool.id, user)
    stored = {} if ctx.if_match is None else ctx.backend.table.get([leaver])
    refusal = rules.first_broken(_version_rules(ctx, leaver), stored)
    if refusal is not None:
        raise Refused(refusal)


def _version_rules(ctx: RequestContext, leaver: Key) -> list[Rule]:
    return [] if ctx.if_match is None else [rules.unchanged_since(leaver, ctx.if_match)]


def _hand_back(ctx: RequestContext, pool: Pool, user: str, held: Held, to: str | None) -> None:
    """Release or transfer the customers that the member holds. Raises Refused with the first refusal."""
    expiry.expire_claims_of(ctx, pool, user)
    if held == "transfer" and to not in (None, user):
        _require_room_for_all(ctx, pool, user, to)
    quiet = replace(quota_unit_of_work(ctx, pool, manager=True), idempotency=None)
    actor, new_id = replace(quiet.actor, if_match=None), ctx.backend.new_id

    def plan(customer: str, known: Customer | None) -> Transition:
        if held == "transfer" and to is not None:
            made = claim_transitions.transfer(actor, customer, known, to, new_id(), None)
        else:
            made = transitions.release(actor, customer, known, None, MEMBER_REMOVED)
        # The index is eventually consistent: it may list customers that others hold by now.
        return claim_transitions.from_holder(made, user)

    for page in expiry.claims_of(ctx, pool, user, limit=LARGEST_PAGE):
        results = execute(quiet, [keys.id_from_pk(key.pk) for key in page.keys], plan).results
        refusals = [each.refusal for _, each in sorted(results.items()) if each.refusal is not None]
        if refusals and refusals[0].reason not in GONE_MEANWHILE:
            raise Refused(refusals[0])


def _require_room_for_all(ctx: RequestContext, pool: Pool, user: str, recipient_user: str) -> None:
    """Raise Refused if the recipient has no room for all customers, so that a refused removal has moved none.

    This is only a check in advance: each transfer still has the limit as its condition.
    """
    expiry.expire_claims_of(ctx, pool, recipient_user)
    leaver, recipient = (keys.member_key(pool.tenant, pool.id, each) for each in (user, recipient_user))
    found = ctx.backend.table.get([leaver, recipient])
    if len(found) < 2:
        return
    wanted = items.deserialize(found[leaver]["held"])
    quota = Quota(recipient, pool.policy, ctx.now, wanted, daily=False)
    _, headroom = quota.left(found[recipient])
    if headroom is not None and headroom < wanted:
        raise Refused(quota.refusals(found[recipient], headroom)[0])


def _remove(ctx: RequestContext, pool: Pool, user: str) -> Body:
    """Remove the member. Archive their counts of the day, and add the customers they added to the pool's row."""
    caller, leaver = ctx.actor(pool), keys.member_key(pool.tenant, pool.id, user)
    stored = ctx.backend.table.get([leaver]).get(leaver)
    required = [
        *caller.member_rules(),
        *caller.manager_rules(),
        rules.exists(leaver),
        *_version_rules(ctx, leaver),
        Rule("member_has_claims", leaver, rules.held == 0),
    ]
    writes: list[Action] = [Check(rule.key, rule.condition) for rule in caller.manager_rules() if rule.key != leaver]
    if stored is None:  # a member added meanwhile has counts to archive: read again
        required.append(Rule(AT_WORK, leaver, rules.pk.does_not_exist()))
    else:
        member = items.member_record(pool.tenant, pool.id, stored)
        required.append(Rule(AT_WORK, leaver, activity_unchanged(stored)))
        writes.append(archive_day(keys.day_key(leaver, member.day), member.did))
        writes.append(brought_in(keys.leavers_key(pool.tenant, pool.id), member.pooled, member.aside))
    writes.append(Delete(leaver, rules.all_of([rule.condition for rule in required if rule.key == leaver])))
    return ctx.commit(writes, required, RemovedMember(pool.id, user))
