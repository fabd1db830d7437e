"""Create and read pools; add, change and read their members.

A member's item also carries the counters that claims change, so putting a member touches only role and limit.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace
from pynamodb.expressions.operand import Value

from chalicelib.domain import field_rewrites, rendering, rules, search_entries
from chalicelib.domain.rules import Rule
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.conditions import all_of, unchanged
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ, Action, Check, Put, SetAttributes, Table, Throttled, Update
from chalicelib.model import pool_responses, territories
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.field_definitions import Field
from chalicelib.model.model import Identifier, Member, Pool, Role
from chalicelib.model.policy import Policy
from chalicelib.model.pool_responses import PoolPage, Totals
from chalicelib.model.responses import Body
from chalicelib.model.territories import Territory
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.validation import FieldError
from chalicelib.observability import exception_summary
from chalicelib.services import totals
from chalicelib.services.pagination import CursorCodec
from chalicelib.transactions import change_log
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import activity_unchanged, archived_counts, take_day

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger("customer-pool")
MAX_WRITES: Final = 50  # attempts while others change the same record; only a defect uses up all
AT_WORK: Final = "request_in_progress"  # the member's counters have changed since they were read


def create_pool(ctx: RequestContext, pool_id: str, name: str, policy: Policy, fields: tuple[Field, ...] = ()) -> Body:
    """Create an open pool. Only an admin of the tenant may."""
    ctx.by_admin()
    pool = Pool(ctx.caller.tenant, pool_id, name, "open", policy, 1, ctx.now, ctx.now, fields=fields)
    key = keys.pool_key(pool.tenant, pool.id)
    free = Rule("pool_exists", key, rules.pk.does_not_exist())
    tenant = keys.tenant_key(pool.tenant)
    known_to_schedule = SetAttributes(tenant, {"known": items.serialize(1)})
    empty = Totals(available=0, claimed=0, private=0, set_aside=0)
    created = pool_items.pool_item(pool) | pool_items.check_now(pool.tenant, pool.id, ctx.now)
    writes: list[Action] = [Put(key, created, free.condition), known_to_schedule]
    body = ctx.commit(writes, [free], rendering.pool(pool, empty))
    ctx.forget(pool.id)
    return body


def updated_pool(known: Pool, changed: Pool, now: int) -> tuple[Pool, SetAttributes, Rule]:
    """Return the changed pool at its next version, its write, and the rule of the write: `known` is unchanged.

    The write also schedules a check of the pool now: any change may set a deadline sooner, or leave work.
    """
    after = replace(changed, version=known.version + 1, updated_at=now)
    if search_entries.rules_of(known) != search_entries.rules_of(changed):
        after = replace(after, unindexed_since=now)
    if changing := field_rewrites.changing(known, changed):
        after = replace(after, fields_since=now, fields_changing=tuple(sorted({*known.fields_changing, *changing})))
    key = keys.pool_key(known.tenant, known.id)
    same = rules.matches_if_match(key, known.version)
    changes, removed = items.attribute_changes(pool_items.pool_item(known), pool_items.pool_item(after))
    changes |= pool_items.check_now(known.tenant, known.id, now)
    return after, SetAttributes(key, changes, removed, same.condition), same


def require_ready(pool: Pool, fields: Iterable[str]) -> None:
    """Raise Refused while a change of one of these fields is in progress (rule 35). The caller is a member already."""
    errors = tuple(FieldError("changing", f"fields.{each}") for each in fields if each in pool.fields_changing)
    if errors:
        raise Refused(Refusal("request_in_progress", errors=errors))


def get_pool(ctx: RequestContext, pool_id: str) -> pool_responses.Pool:
    """Return the pool. Only a manager sees which customers stopped a change of its fields."""
    pool = ctx.pool_now(pool_id)
    only_members(ctx, pool)
    shown = rendering.pool(pool, totals.of_pool(ctx, pool))
    return rendering.with_fields_problem(shown, pool) if pool.twins and ctx.manages(pool) else shown


def list_pools(ctx: RequestContext, limit: int, cursor: str | None) -> PoolPage:
    """Return the pools that the caller is a member of; for an admin, all pools of the tenant.

    A member's page holds their pools among the next MAX_KEYS_PER_READ pools of the tenant. It may be short, even empty,
    although the tenant has more.
    """
    tenant, admin = ctx.caller.tenant, ctx.caller.admin
    codec = CursorCodec(ctx.backend.secret, keys.pool_key(tenant, "").pk)
    last = codec.read(cursor, Identifier)
    after = None if last is None else items.build_item(keys.pool_key(tenant, last), {})
    page = ctx.backend.table.page(keys.pool_key(tenant, "").pk, limit if admin else MAX_KEYS_PER_READ, after=after)
    found = [(key.sk, stored) for key, stored in zip(page.keys, page.items, strict=True)]
    pools = sound("pool", found, lambda stored: pool_items.pool_record(tenant, stored))
    if not admin:
        wanted_keys = {pool.id: keys.member_key(tenant, pool.id, ctx.caller.user) for pool in pools}
        theirs = ctx.backend.table.get(list(wanted_keys.values()))
        pools = [pool for pool in pools if wanted_keys[pool.id] in theirs]
    shown, left = pools[:limit], pools[limit:]
    next_cursor = None
    if left or page.last is not None:
        next_cursor = codec.write(shown[-1].id if left else page.keys[-1].sk)
    counted = totals.of_pools(ctx, shown)
    bodies = sound("pool", ((pool.id, pool) for pool in shown), lambda pool: rendering.pool(pool, counted[pool.id]))
    return PoolPage(bodies, next_cursor)


class Membership(Struct, frozen=True):
    """A user's membership of a pool, as stored."""

    tenant: str
    pool_id: str
    pool_item: Item
    member_item: Item

    @property
    def pool(self) -> Pool:
        """Return the pool. Raises one of MALFORMED."""
        return pool_items.pool_record(self.tenant, self.pool_item)

    @property
    def member(self) -> Member:
        """Return the member. Raises one of MALFORMED."""
        return pool_items.member_record(self.tenant, self.pool_id, self.member_item)


def memberships_of(table: Table, tenant: str, user: str) -> list[Membership]:
    """Return the memberships of a user, by pool id. Two reads per hundred pools of the tenant."""
    pools: dict[Key, tuple[str, Item]] = {}
    for page in table.pages(keys.pool_key(tenant, "").pk):
        for key, stored in zip(page.keys, page.items, strict=True):
            pools[keys.member_key(tenant, key.sk, user)] = key.sk, stored
    found = table.get(list(pools))
    return [Membership(tenant, *pools[key], found[key]) for key in pools if key in found]


def memberships(ctx: RequestContext) -> list[tuple[Pool, Member]]:
    """Return the caller's pools, by id, with their member records. A malformed one is logged and left out."""
    own = memberships_of(ctx.backend.table, ctx.caller.tenant, ctx.caller.user)
    return sound("member or pool", ((each.pool_id, each) for each in own), lambda each: (each.pool, each.member))


def sound(kind: str, records: Iterable[tuple[str, T]], read: Callable[[T], R]) -> list[R]:
    """Return the result of `read` for each record. A malformed one is logged and left out."""
    found = []
    for name, record in records:
        try:
            found.append(read(record))
        except MALFORMED as error:
            log.error("malformed %s %s: %s", kind, name, exception_summary(error))
    return found


def only_members(ctx: RequestContext, pool: Pool, found: Mapping[Key, Item] | None = None) -> None:
    """Raise Refused unless the caller may read the pool. Reads the member item if `found` is not given."""
    refusal = ctx.unmet(pool, ctx.actor(pool).member_rules(), found)
    if refusal is not None:
        raise Refused(refusal)


def get_member(ctx: RequestContext, pool_id: str, user: str) -> pool_responses.Member:
    """Return a member with their counters; `me` is the caller. Only managers may read other members."""
    pool = ctx.pool(pool_id)
    wanted = ctx.caller.user if user == "me" else user
    if IDENTIFIER.fullmatch(wanted) is None:
        raise Refused(Refusal("not_found"))
    own, other = (keys.member_key(pool.tenant, pool.id, each) for each in (ctx.caller.user, wanted))
    found = ctx.backend.table.get([own, other])
    if own != other:
        require_manager(ctx, pool, found)
    if other not in found:
        raise Refused(Refusal("not_a_member" if own == other else "not_found"))
    return rendering.member(pool_items.member_record(pool.tenant, pool.id, found[other]), pool, ctx.now)


def roster_page(
    ctx: RequestContext,
    pool: Pool,
    roster: str,
    key_of: Callable[[str, str, str], Key],
    limit: int,
    cursor: str | None,
) -> tuple[list[tuple[str, Item]], str | None]:
    """Return the ids and items of one page of a roster, as stored now, and the next cursor. Only managers may."""
    codec = CursorCodec(ctx.backend.secret, roster)
    last = codec.read(cursor, Identifier)
    after = None if last is None else key_of(pool.tenant, pool.id, last)
    page = ctx.backend.table.page(roster, limit, index=ROSTER, after=items.index_position(ROSTER, roster, after))
    found = ctx.backend.table.get([ctx.actor(pool).member_key, *page.keys])
    require_manager(ctx, pool, found)
    next_cursor = None if page.last is None else codec.write(keys.id_from_pk(page.keys[-1].pk))
    return [(keys.id_from_pk(key.pk), found[key]) for key in page.keys if key in found], next_cursor


def require_manager(ctx: RequestContext, pool: Pool, found: Mapping[Key, Item] | None = None) -> None:
    """Raise Refused unless the caller manages the pool. For operations without a write that checks it."""
    actor = ctx.actor(pool)
    refusal = ctx.unmet(pool, [*actor.member_rules(), *actor.manager_rules()], found)
    if refusal is not None:
        raise Refused(refusal)


class MemberSettings(Struct, frozen=True):
    """The role of a member, the limits that override those of the pool, and the territory.

    UNSET leaves a setting as it is.
    """

    role: Role | UnsetType = UNSET
    own_limit: int | UnsetType | None = UNSET
    own_private_limit: int | UnsetType | None = UNSET
    takes: Territory | UnsetType | None = UNSET

    @property
    def given(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not UNSET}


def put_member(ctx: RequestContext, pool_id: str, user: str, settings: MemberSettings, *, adds: bool = True) -> Body:
    """Add a member or manager, or change their role and limits. Their claims stay. Without `adds`, only change.

    The counters in the response are those at the time of the write. A member who was removed earlier in the day gets
    the counts of that day back (rule 5).

    An admin may put anyone. A manager may put members, but neither promote to manager nor demote one.
    """
    pool = ctx.pool_now(pool_id) if isinstance(settings.takes, Territory) else ctx.pool(pool_id)
    if IDENTIFIER.fullmatch(user) is None or user == "me":
        raise Refused(Refusal("not_found"))
    key = keys.member_key(pool.tenant, pool.id, user)
    permitted = _may_put(ctx, pool, user, settings)
    permitted += [] if adds else [Rule("not_found", key, rules.pk.exists())]
    _check_territory(ctx, pool, settings)
    row = keys.day_key(key, pool.day(ctx.now))
    for _ in range(MAX_WRITES):
        found = ctx.backend.table.get([key, row])
        stored, today = found.get(key), found.get(row)
        try:
            known = None if stored is None else pool_items.member_record(pool.tenant, pool.id, stored)
            member = _as_put(ctx, pool, user, settings, known, archived_counts(today))
        except MALFORMED as error:
            log.error("malformed member %s: %s", user, exception_summary(error))
            raise Refused(Refusal(rules.MALFORMED_RECORD)) from error
        as_read = _as_read(key, stored) if stored is not None else []
        try:
            of_day = [take_day(row, today)] if known is None else []
            extra = [*of_day, *change_log.of_member(ctx, pool, known, member), *naming_counts(pool, known, member)]
            return _put_member(ctx, pool, member, permitted, as_read, extra)
        except Refused as refused:
            changed = refused.refusal.reason == "version_conflict" and ctx.if_match is None
            if not changed and refused.refusal.reason != AT_WORK:
                raise
    raise Throttled


def _may_put(ctx: RequestContext, pool: Pool, user: str, settings: MemberSettings) -> list[Rule]:
    """Return the rules under which the caller may put the member. Raises Refused if the caller never may."""
    if ctx.caller.admin:
        return []
    if settings.role == "manager" or user == ctx.caller.user:
        require_manager(ctx, pool)
        raise Refused(Refusal("not_admin"))
    actor = ctx.actor(pool)
    target = keys.member_key(pool.tenant, pool.id, user)
    no_manager = Rule("not_admin", target, rules.role != "manager")
    return [*actor.member_rules(), *actor.manager_rules(), no_manager]


def _check_territory(ctx: RequestContext, pool: Pool, settings: MemberSettings) -> None:
    """Raise Refused for a territory by a field that the pool does not filter by; first, if the caller is no manager."""
    error = territories.problem(settings.takes, pool.definitions) if isinstance(settings.takes, Territory) else None
    if error is not None:
        if not ctx.caller.admin:
            require_manager(ctx, pool)
        raise Refused(Refusal("field_invalid", errors=(error,)))


def naming_counts(pool: Pool, before: Member | None, after: Member | None) -> list[Action]:
    """Return the write that counts which fields the territories of the pool name (rule 48), if that changes."""
    counts: Counter[str] = Counter()
    for member, sign in ((before, -1), (after, 1)):
        if member is not None and member.takes is not None:
            counts[member.takes.field] += sign
    added = [rules.naming(field).add(count) for field, count in counts.items() if count]
    return [Update(keys.territories_key(pool.tenant, pool.id), added)] if added else []


def _as_put(
    ctx: RequestContext, pool: Pool, user: str, settings: MemberSettings, known: Member | None, did: dict[str, int]
) -> Member:
    """Return the member one version after the required one; a new member gets the counts of today in `did`."""
    known = known or Member(pool.tenant, pool.id, user, "member", day=pool.day(ctx.now), did=did, version=0)
    version = known.version if ctx.if_match is None else ctx.if_match
    return replace(known, **settings.given, version=version + 1)


def _as_read(key: Key, stored: Item) -> list[Rule]:
    """Return the rule that the response depends on: counters, and settings that the request may leave as they are."""
    still = [unchanged(stored, ["version", "held"]), activity_unchanged(stored)]
    return [Rule(AT_WORK, key, all_of(still))]


def _put_member(
    ctx: RequestContext, pool: Pool, member: Member, by_whom: list[Rule], as_counted: list[Rule], extra: list[Action]
) -> Body:
    """Write the member, and the `extra` items under their conditions."""
    key = keys.member_key(member.tenant, member.pool, member.user)
    expected = member.version - 1
    same = rules.version == expected if expected else rules.pk.does_not_exist()
    # The cached pool may be deleted: no member may be left for a later pool with the same id.
    there = Rule("not_found", keys.pool_key(member.tenant, member.pool), rules.pk.exists())
    new = [rules.user_stays(keys.user_key(member.tenant, member.user))] if member.version == 1 else []
    required = [there, *by_whom, *new, Rule("version_conflict", key, same), *as_counted]
    on_target = all_of([rule.condition for rule in required if rule.key == key])
    writes: list[Action] = [Check(rule.key, rule.condition) for rule in (there, *_one_a_key(by_whom, key), *new)]
    if member.version == 1:
        writes.append(Put(key, pool_items.member_item(member), on_target))
    else:
        writes.append(Update(key, _settings(member), on_target))
    required += [Rule(AT_WORK, each.key, each.condition) for each in extra if each.condition is not None]
    return ctx.commit([*writes, *extra], required, rendering.member(member, pool, ctx.now))


def _one_a_key(by_whom: list[Rule], target: Key) -> list[Rule]:
    """Return only the strictest rule about the caller: a manager is also a member."""
    return [rule for rule in by_whom if rule.key != target][-1:]


def _settings(member: Member) -> list[Any]:
    """Return updates of role, limits and territory only, since claims may change the counters concurrently."""
    limits = [(rules.own_limit, member.own_limit), (rules.own_private_limit, member.own_private_limit)]
    limits_and_takes = [*limits, (rules.takes, None if member.takes is None else member.takes.text)]
    own = [name.remove() if value is None else name.set(value) for name, value in limits_and_takes]
    room = rules.room.set(Value(member.own_limit or 0) - rules.held)
    private_room = rules.private_room.set(Value(member.own_private_limit or 0) - rules.private_count)
    return [rules.role.set(member.role), rules.version.set(member.version), room, private_room, *own]
