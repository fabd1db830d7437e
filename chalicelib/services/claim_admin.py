"""Assign, transfer, extend, follow up, win, pin, restore, convert and deposit customers, and remove members.

As in `claims`, the transition is planned in `domain`, and the unit of work executes it. The rules of the transition
decide whether it is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from chalicelib.domain import claim_transitions, rules, system_transitions, transitions
from chalicelib.domain.claim_transitions import WinDetails
from chalicelib.domain.rules import Quota, Rule
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, MEMBER_REMOVED, Pool
from chalicelib.model.responses import Body, RemovedMember
from chalicelib.model.text import is_blank
from chalicelib.model.times import DAY, duration_ms
from chalicelib.model.validation import FieldError
from chalicelib.services.pools import AT_WORK, require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import activity_unchanged, archive_day, brought_in
from chalicelib.transactions.expired_claims import apply_to_found, claims_of, expired_claims_of
from chalicelib.transactions.idempotency import NO_KEY
from chalicelib.transactions.unit_of_work import Outcome, Planner

LONGEST_CONTRACT_MS: Final = (5 * 365 + 2) * DAY  # five years, with their leap days
REMOVALS: Final = 5  # how often a member may claim once more while being removed
LARGEST_PAGE: Final = 100
GONE_MEANWHILE: Final = frozenset(("not_claimed", "not_holder", "expired", "not_found"))

Held: TypeAlias = Literal["release", "transfer"]


def assign(ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str, *, atomic: bool = False) -> Outcome:
    """Assign available customers to a member."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.assign, actor, to=to, new_id=ctx.backend.new_id)
    return ctx.taking_uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def transfer(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    """Transfer claimed customers to another member."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.transfer, actor, to=to, new_id=ctx.backend.new_id, claim_id=claim_id)
    return ctx.taking_uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def extend(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    by: str | None,
    *,
    claim_id: str | None = None,
    atomic: bool = False,
) -> Outcome:
    """Extend claims by the given duration or, without one, by the policy's."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.extend, actor, by=_extension(actor.home, by), claim_id=claim_id)
    return ctx.uow(actor, planner, atomic=atomic).execute(ids)


def _extension(pool: Pool, by: str | None) -> int | None:
    try:
        return pool.policy.length("extension") if by is None else duration_ms(by)
    except ValueError as error:
        raise Refused(Refusal("invalid_request", errors=(FieldError(str(error), "by"),))) from error


def follow_up(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    note: str | None,
    outcome: str | None,
    *,
    single: bool = True,
    atomic: bool = False,
) -> Outcome:
    """Record contacts. A blank note counts as none, and so does a blank outcome. Raises Refused without both."""
    actor = ctx.actor(ctx.pool(pool_id))
    note, outcome = (None if text is None or is_blank(text) else text for text in (note, outcome))
    if note is None and outcome is None:
        raise Refused(Refusal("invalid_request", errors=(FieldError("nothing_written", "note, outcome"),)))
    planner = partial(claim_transitions.follow_up, actor, note=note, outcome=outcome, single=single)
    return ctx.uow(actor, planner, atomic=atomic).execute(ids)


def win(ctx: RequestContext, pool_id: str, ids: Sequence[str], details: WinDetails, *, atomic: bool = False) -> Outcome:
    """Win claims, or request it (rule 29). A manager wins their own claims at once, in a second transaction."""
    actor = ctx.actor(ctx.pool(pool_id))
    if details.ends_at is not None and details.ends_at > ctx.now + LONGEST_CONTRACT_MS:
        raise Refused(Refusal("invalid_request", errors=(FieldError("too_late", "ends_at", (5,)),)))
    planner = partial(claim_transitions.win, actor, details=details)
    outcome = ctx.uow(actor, planner, atomic=atomic).attempt(dict(enumerate(ids)))
    managed = [index for index, result in outcome.results.items() if result.refused_as(rules.BY_MANAGER)]
    again = dict(enumerate(ids)) if atomic and managed else {index: ids[index] for index in managed}
    for index in again:
        del outcome.results[index]
    uow = ctx.uow(actor, partial(planner, as_manager=True), atomic=atomic)
    return uow.finish(uow.attempt(again, outcome=outcome))


def approve_win(ctx: RequestContext, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    """Approve requested wins."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.approve_win, actor)
    return ctx.uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def decline_win(ctx: RequestContext, pool_id: str, customer: str, reason: str) -> Outcome:
    """Decline a requested win."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.decline_win, actor, reason=reason)
    return ctx.uow(actor, planner, managed=True).execute([customer])


def pin(ctx: RequestContext, pool_id: str, ids: Sequence[str], until: int, *, atomic: bool = False) -> Outcome:
    """Pin claims. If the pin limit is reached, the caller's pins that have ended are removed first."""
    actor = ctx.actor(ctx.pool(pool_id))
    if not ctx.now < until <= keys.NO_DEADLINE:
        raise Refused(Refusal("invalid_request", errors=(FieldError("future", "until"),)))
    return ctx.pinning_uow(actor, partial(claim_transitions.pin, actor, until=until), atomic=atomic).execute(ids)


def unpin(ctx: RequestContext, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    """End the pins of claims."""
    actor = ctx.actor(ctx.pool(pool_id))
    return ctx.uow(actor, partial(claim_transitions.unpin, actor), atomic=atomic).execute(ids)


def restore(ctx: RequestContext, pool_id: str, customer: str) -> Outcome:
    actor = ctx.actor(ctx.pool(pool_id))
    return ctx.uow(actor, partial(claim_transitions.restore, actor), managed=True).execute([customer])


def convert(ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str | None, *, atomic: bool = False) -> Outcome:
    """Make customers private: to their holders, or to the named member."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.convert, actor, to=to)
    return ctx.uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def deposit(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], into: str | None, *, atomic: bool = False
) -> Outcome:
    """Deposit customers into the same pool or, with `into`, into another pool of the tenant."""
    pool, target = ctx.pool(pool_id), ctx.pool(into or pool_id)
    actor, there = ctx.actor(pool), replace(ctx.actor(target), if_match=None)
    planner = partial(claim_transitions.deposit, actor, into=there)
    target_pool = target if target.id != pool.id else None
    return ctx.uow(actor, planner, target_pool=target_pool, atomic=atomic).execute(ids)


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
            if holding and held is None and not _return_expired(ctx, pool, user):
                raise
    raise Refused(Refusal("member_has_claims"))


def _return_expired(ctx: RequestContext, pool: Pool, user: str) -> bool:
    """Return the member's expired claims to the pool. Return whether there were any."""
    found = expired_claims_of(ctx.backend.table, pool, user, ctx.now)
    table, new_id = ctx.backend.table, ctx.backend.new_id
    return apply_to_found(table, new_id, pool, ctx.now, found, system_transitions.expire).moved > 0


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
    _return_expired(ctx, pool, user)
    if held == "transfer" and to not in (None, user):
        _require_room_for_all(ctx, pool, user, to)
    actor = replace(ctx.actor(pool), if_match=None)
    if held == "transfer" and to is not None:
        plan: Planner = partial(claim_transitions.transfer, actor, to=to, new_id=ctx.backend.new_id, open_only=False)
    else:
        plan = partial(transitions.release, actor, claim_id=None, reason=MEMBER_REMOVED)
    # The index is eventually consistent: it may list customers that others hold by now.
    planner = partial(claim_transitions.from_holder, plan, user)
    uow = replace(ctx.taking_uow(actor, planner, managed=True), idempotency=NO_KEY)
    for page in claims_of(ctx.backend.table, pool, user, limit=LARGEST_PAGE):
        results = uow.execute([keys.id_from_pk(key.pk) for key in page.keys]).results
        refusals = [each.refusal for _, each in sorted(results.items()) if each.refusal is not None]
        if refusals and refusals[0].reason not in GONE_MEANWHILE:
            raise Refused(refusals[0])


def _require_room_for_all(ctx: RequestContext, pool: Pool, user: str, recipient_user: str) -> None:
    """Raise Refused if the recipient has no room for all customers, so that a refused removal has moved none.

    This is only a check in advance: each transfer still has the limit as its condition.
    """
    _return_expired(ctx, pool, recipient_user)
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
