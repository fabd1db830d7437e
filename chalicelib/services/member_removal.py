"""Remove a member from a pool, after their customers are released, deposited or transferred (rules 22 and 33).

The removal requires that the member's counters are zero. Nothing here decides for a customer: each one moves under the
conditions of its own transition. It works in a pool of any status.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import claim_transitions, rules, transitions
from chalicelib.domain.rules import Quota, Rule
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete, Page
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, MEMBER_REMOVED, Pool
from chalicelib.model.responses import Body, RemovedMember
from chalicelib.services.pools import AT_WORK, require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import activity_unchanged, archive_day, brought_in
from chalicelib.transactions.expired_claims import (
    claims_of,
    private_of,
    return_expired_claims,
    return_expired_private,
)
from chalicelib.transactions.idempotency import NO_KEY
from chalicelib.transactions.unit_of_work import Planner

MAX_REMOVALS: Final = 5  # how often a member may get another customer while being removed
LARGEST_PAGE: Final = 100
HAS_CLAIMS: Final = "member_has_claims"
HAS_PRIVATE: Final = "member_has_private"
COUNTED: Final = frozenset((HAS_CLAIMS, HAS_PRIVATE))
GONE_MEANWHILE: Final = frozenset(
    ("not_claimed", "not_holder", "expired", "not_found", "not_private", "already_available")
)

Held: TypeAlias = Literal["release", "transfer"]
Private: TypeAlias = Literal["deposit", "transfer"]


class Disposal(Struct, frozen=True):
    """How to dispose of a leaving member's claims and private customers. `to` is the recipient of a transfer."""

    held: Held | None = None
    private: Private | None = None
    to: str | None = None

    def answers(self, reason: str) -> bool:
        """Return whether a refusal for this reason can be mended by moving customers."""
        return {HAS_CLAIMS: self.held, HAS_PRIVATE: self.private}.get(reason) is not None


def remove_member(ctx: RequestContext, pool_id: str, user: str, disposal: Disposal) -> Body:
    """Remove a member who has no customers, or whose customers are disposed of first."""
    pool = ctx.pool(pool_id)
    if IDENTIFIER.fullmatch(user) is None:
        raise Refused(Refusal("not_found"))
    if disposal.held is not None or disposal.private is not None:
        require_manager(ctx, pool)
        _require_answers(ctx, pool, user, disposal)
    last = Refusal(HAS_CLAIMS)
    for _ in range(MAX_REMOVALS):
        _dispose(ctx, pool, user, disposal)
        try:
            return _remove(ctx, pool, user)
        except Refused as refused:
            last = refused.refusal
            expired = last.reason in COUNTED and _return_expired(ctx, pool, user, private=last.reason == HAS_PRIVATE)
            if last.reason != AT_WORK and not expired and not disposal.answers(last.reason):
                raise
    raise Refused(last)


def _return_expired(ctx: RequestContext, pool: Pool, user: str, *, private: bool = False) -> bool:
    """Return to the pool what the member holds, or owns, past its deadline. Return whether there was anything."""
    give_back = return_expired_private if private else return_expired_claims
    return give_back(ctx.backend.table, ctx.backend.new_id, pool, user, ctx.now)


def _require_answers(ctx: RequestContext, pool: Pool, user: str, disposal: Disposal) -> None:
    """Raise Refused before any customer moves, if the version in If-Match is another one or an answer is missing.

    This is only a check in advance: the removal has the same conditions.
    """
    leaver = keys.member_key(pool.tenant, pool.id, user)
    if disposal.held is None:
        _return_expired(ctx, pool, user)
    if disposal.private is None:
        _return_expired(ctx, pool, user, private=True)
    required = [
        *_version_rules(ctx, leaver),
        *([] if disposal.held is not None else [_holds_nothing(leaver)]),
        *([] if disposal.private is not None else [_owns_nothing(leaver)]),
    ]
    stored = ctx.backend.table.get([leaver]) if required else {}
    refusal = rules.first_broken(required, stored)
    if refusal is not None:
        raise Refused(refusal)


def _version_rules(ctx: RequestContext, leaver: Key) -> list[Rule]:
    return [] if ctx.if_match is None else [rules.unchanged_since(leaver, ctx.if_match)]


def _holds_nothing(leaver: Key) -> Rule:
    return Rule(HAS_CLAIMS, leaver, rules.held == 0, used="held")


def _owns_nothing(leaver: Key) -> Rule:
    return Rule(HAS_PRIVATE, leaver, rules.private_count == 0, used="private")


# Their customers


def _dispose(ctx: RequestContext, pool: Pool, user: str, disposal: Disposal) -> None:
    actor, table = replace(ctx.actor(pool), if_match=None), ctx.backend.table
    give: Planner = partial(
        claim_transitions.transfer, actor, to=disposal.to or "", new_id=ctx.backend.new_id, open_only=False
    )
    if disposal.held is not None:
        _return_expired(ctx, pool, user)
        _require_room_for_all(ctx, pool, user, disposal.to if disposal.held == "transfer" else None)
    deposit = partial(claim_transitions.deposit, actor, into=actor, open_only=False)
    if disposal.private is not None:
        to = disposal.to if disposal.private == "transfer" else None
        _return_expired(ctx, pool, user, private=True)
        if pool.status != "open":  # the service returns nothing private there
            _move_all(ctx, pool, user, private_of(table, pool, user, until=ctx.now, limit=LARGEST_PAGE), deposit)
        _require_room_for_all(ctx, pool, user, to, private=True)
    if disposal.held is not None:
        release = partial(transitions.release, actor, claim_id=None, reason=MEMBER_REMOVED)
        plan = give if disposal.held == "transfer" else release
        _move_all(ctx, pool, user, claims_of(table, pool, user, limit=LARGEST_PAGE), plan)
    if disposal.private is not None:
        plan = give if disposal.private == "transfer" else deposit
        _move_all(ctx, pool, user, private_of(table, pool, user, limit=LARGEST_PAGE), plan)


def _move_all(ctx: RequestContext, pool: Pool, user: str, pages: Iterator[Page], plan: Planner) -> None:
    """Move each customer that is still the member's: an index is eventually consistent. Raises the first refusal."""
    actor = replace(ctx.actor(pool), if_match=None)
    planner = partial(claim_transitions.from_holder, plan, user)
    uow = replace(ctx.taking_uow(actor, planner, managed=True), idempotency=NO_KEY)
    for page in pages:
        results = uow.execute([keys.id_from_pk(key.pk) for key in page.keys]).results
        refusals = [each.refusal for _, each in sorted(results.items()) if each.refusal is not None]
        if refusals and refusals[0].reason not in GONE_MEANWHILE:
            raise Refused(refusals[0])


def _require_room_for_all(ctx: RequestContext, pool: Pool, user: str, to: str | None, *, private: bool = False) -> None:
    """Raise Refused if the recipient has no room for all customers, so that a refused removal has moved none.

    This is only a check in advance: each transfer still has the limit as its condition.
    """
    if to in (None, user):
        return
    assert to is not None
    _return_expired(ctx, pool, to, private=private)
    leaver, recipient = (keys.member_key(pool.tenant, pool.id, each) for each in (user, to))
    found = ctx.backend.table.get([leaver, recipient])
    if len(found) < 2:
        return
    wanted = items.deserialize(found[leaver]["private" if private else "held"])
    quota = Quota(recipient, pool.policy, ctx.now, wanted, daily=False, private=private)
    _, headroom = quota.left(found[recipient])
    if headroom is not None and headroom < wanted:
        raise Refused(quota.refusals(found[recipient], headroom)[0])


# The member


def _remove(ctx: RequestContext, pool: Pool, user: str) -> Body:
    """Remove the member. Archive their counts of the day, and add the customers they added to the pool's row."""
    caller, leaver = ctx.actor(pool), keys.member_key(pool.tenant, pool.id, user)
    stored = ctx.backend.table.get([leaver]).get(leaver)
    required = [
        *caller.member_rules(),
        *caller.manager_rules(),
        rules.exists(leaver),
        *_version_rules(ctx, leaver),
        _holds_nothing(leaver),
        _owns_nothing(leaver),
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
