"""Remove a member from a pool, after their customers are released, deposited or transferred (rules 22 and 33).

The removal requires that the member's counters are zero. It works in a pool of any status.
"""

from __future__ import annotations

from typing import Final

from chalicelib.domain import rules
from chalicelib.domain.rules import Quota, Rule
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.conditions import all_of, unchanged
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import MEMBER_REMOVED, Pool
from chalicelib.model.pool_responses import RemovedMember
from chalicelib.model.responses import Body
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.users import Disposal
from chalicelib.services.disposal import Moves, Refusals
from chalicelib.services.pools import AT_WORK, naming_counts, require_manager
from chalicelib.transactions import change_log
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import activity_unchanged, archive_day, brought_in
from chalicelib.transactions.expired_claims import expired_private_rules, return_expired_claims, return_expired_private

MAX_REMOVALS: Final = 5  # how often a member may get another customer while being removed
HAS_CLAIMS: Final = "member_has_claims"
HAS_PRIVATE: Final = "member_has_private"
COUNTED: Final = frozenset((HAS_CLAIMS, HAS_PRIVATE))


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
    return [] if ctx.if_match is None else [rules.matches_if_match(leaver, ctx.if_match)]


def _holds_nothing(leaver: Key) -> Rule:
    return Rule(HAS_CLAIMS, leaver, rules.held == 0, used="held")


def _owns_nothing(leaver: Key) -> Rule:
    return Rule(HAS_PRIVATE, leaver, rules.private_count == 0, used="private")


# Their customers


def _dispose(ctx: RequestContext, pool: Pool, user: str, disposal: Disposal) -> None:
    moves = Moves(ctx, pool, user, MEMBER_REMOVED)
    if disposal.held is not None:
        moves.return_expired()
        _require_recipient(ctx, pool, user, disposal.to if disposal.held == "transfer" else None)
    if disposal.private is not None:
        to = disposal.to if disposal.private == "transfer" else None
        moves.return_expired_private(_raise_first)
        _require_recipient(ctx, pool, user, to, private=True)
    give = moves.give(disposal.to or "")
    if disposal.held is not None:
        moves.move_all(moves.claims(), give if disposal.held == "transfer" else moves.release(), _raise_first)
    if disposal.private is not None:
        moves.move_all(moves.private(), give if disposal.private == "transfer" else moves.deposit(), _raise_first)


def _raise_first(refusals: Refusals) -> None:
    raise Refused(next(iter(refusals.values())))


def _require_recipient(ctx: RequestContext, pool: Pool, user: str, to: str | None, *, private: bool = False) -> None:
    """Raise Refused if the recipient may not get all customers, so that a refused removal has moved none.

    This is only a check in advance: each transfer still has the membership and the limit as conditions.
    """
    if to is None:
        return
    _return_expired(ctx, pool, to, private=private)
    leaver, recipient = (keys.member_key(pool.tenant, pool.id, each) for each in (user, to))
    found = ctx.backend.table.get([leaver, recipient])
    wanted = items.deserialize(found[leaver]["private" if private else "held"]) if leaver in found else 0
    if wanted == 0:
        return
    refusal = rules.first_broken(rules.recipient(recipient), {recipient: found.get(recipient, {})})
    if refusal is not None:
        raise Refused(refusal)
    expired = expired_private_rules(ctx.backend.table, pool, to, ctx.now) if private else []
    quota = Quota(recipient, pool.policy, ctx.now, wanted, daily=False, private=private, uncounted=len(expired))
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
        member = pool_items.member_record(pool.tenant, pool.id, stored)
        required.append(Rule(AT_WORK, leaver, activity_unchanged(stored) & unchanged(stored, ["takes"])))
        writes.append(archive_day(keys.day_key(leaver, member.day), member.did))
        writes.append(brought_in(keys.pool_counts_key(pool.tenant, pool.id), member.pooled, member.aside))
        writes += change_log.of_member(ctx, pool, member, None)
        writes += naming_counts(pool, member, None)
    writes.append(Delete(leaver, all_of([rule.condition for rule in required if rule.key == leaver])))
    return ctx.commit(writes, required, RemovedMember(pool.id, user))
