"""Forecast an import: the result that each row would have now, without any write.

The rows go through the planners of the import, and their rules are evaluated on the stored items. So a forecast is the
result of an import at that moment; a write in between may change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import import_transitions, suppression, unique_values
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.domain.rules import MALFORMED_RECORD, Quota, first_broken
from chalicelib.domain.transitions import Actor, Transition, Write
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Pool
from chalicelib.model.responses import RowOutcome
from chalicelib.model.selections import ImportKey
from chalicelib.services.imports import Forecast, Forecasts, all_keys, checked_key, keyed_rows, lookup
from chalicelib.services.pools import require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import is_counted
from chalicelib.transactions.expired_claims import expired_claims_of
from chalicelib.transactions.idempotency import Result


def forecast(
    ctx: RequestContext, pool: Pool, key: ImportKey, rows: Sequence[Row | Result], on_duplicate: OnDuplicate
) -> Forecasts:
    """Return the forecast of each row, and the room of each named holder. Raises Refused unless the caller manages."""
    require_manager(ctx, pool)
    checked_key(ctx, pool, key)
    actor = ctx.actor(pool)
    keyed, failed = keyed_rows(actor, key, rows)
    found = lookup(ctx, actor, keyed)
    failed |= found.failed
    planner = partial(
        import_transitions.import_target,
        actor,
        targets=found.targets,
        on_duplicate=on_duplicate,
        new_id=ctx.backend.new_id,
    )
    planned = {at: planner(each, found.known.get(each)) for at, each in found.ids.items()}
    failed |= _repeated(found.ids)
    rooms = _rooms(ctx, actor, [each.holder for each in rows if isinstance(each, Row) and each.holder is not None])
    stored = dict(ctx.backend.table.get(list(_needed(planned.values()))))
    results = []
    for at, row in enumerate(rows):
        each = _failed(failed[at]) if at in failed else _result(found.ids[at], planned[at], stored, rooms)
        if each.refusal is None:
            _apply(planned[at], stored)
        results.append(replace(each, id=_shown_id(each, row), keys=_opaque(actor, row)))
    return Forecasts(results, {room.user: room.left for room in rooms.values()})


def _repeated(ids: Mapping[int, str]) -> dict[int, Result]:
    """Return the refusals of rows about the customer of an earlier row."""
    seen = set[str]()
    repeated = {}
    for at, customer in ids.items():
        if customer in seen:
            repeated[at] = Result(customer, refusal=Refusal("duplicate_in_request"))
        seen.add(customer)
    return repeated


def _needed(planned: Iterable[Transition | Refusal]) -> set[Key]:
    """Return the keys of the items that the rules are about."""
    return {rule.key for each in planned if isinstance(each, Transition) for rule in each.rules}


def _failed(result: Result) -> Forecast:
    return Forecast(result.id, refusal=result.refusal)


def _result(
    customer: str, planned: Transition | Refusal, stored: Mapping[Key, Item], rooms: Mapping[str, _Room]
) -> Forecast:
    """Return the forecast of one row. Its customer takes the room of its holder."""
    if isinstance(planned, Refusal):
        return Forecast(customer, refusal=planned)
    refusal = first_broken(planned.rules, {rule.key: stored.get(rule.key, {}) for rule in planned.rules})
    use = planned.quota_use if isinstance(planned, Write) else None
    if refusal is None and use is not None:
        refusal = rooms[use.recipient].take()
    if refusal is not None:
        return Forecast(customer, refusal=refusal)
    return Forecast(customer, _outcome(planned), None if use is None else use.recipient)


def _apply(planned: Transition | Refusal, stored: dict[Key, Item]) -> None:
    """Change the items that the rules of later rows are about: values of unique fields, and the contacts that a
    suppressed customer gets and loses."""
    if not isinstance(planned, Write):
        return
    for key in unique_values.released(planned):
        stored.pop(key, None)
    stored |= unique_values.items_of(planned)
    added, removed = suppression.digests(planned)
    for each in removed:
        left = {name: content for name, content in stored.get(each.key, {}).items() if name != each.source}
        stored |= {each.key: left} if keys.named_in_suppression(left) else {each.key: {}}
    for each in added:
        stored[each.key] = items.build_item(each.key, {each.source: 1}) | stored.get(each.key, {})


def _outcome(planned: Transition) -> RowOutcome:
    if not isinstance(planned, Write):
        return "unchanged"
    return "created" if planned.before is None else "updated"


def _shown_id(forecast: Forecast, row: Row | Result) -> str:
    """Return the id, without one that this request has only generated."""
    generated = isinstance(row, Row) and row.generated_id and forecast.id == row.id
    return "" if generated else forecast.id


def _opaque(actor: Actor, row: Row | Result) -> tuple[str, ...]:
    """Return values that are equal for rows with an equal id or contact. They reveal no key of the table."""
    if isinstance(row, Result):
        return ()
    names = [] if row.generated_id else [f"id#{row.id}"]
    scope = keys.prefix(actor.tenant, actor.pool)
    return tuple(actor.secret.digest(f"{scope}#{each}") for each in (*names, *all_keys(actor, row)))


# Holders


class _Room(Struct):
    """The room of one holder: `left` before the import, and how many rows of this request have `taken` some."""

    user: str
    quota: Quota
    member: Item
    left: int | None
    taken: int = 0

    def take(self) -> Refusal | None:
        """Take one. Return the refusal if there is no room."""
        if not is_counted(self.member):
            return Refusal(MALFORMED_RECORD)
        if self.left is not None and self.taken >= self.left:
            return self.quota.refusals(self.member, self.taken)[0]
        self.taken += 1
        return None


def _rooms(ctx: RequestContext, actor: Actor, holders: Iterable[str]) -> dict[str, _Room]:
    """Return the room of each holder. Claims that have expired do not count: an import returns them (rule 6)."""
    wanted = {user: keys.member_key(actor.tenant, actor.pool, user) for user in holders}
    found = ctx.backend.table.get(list(wanted.values()))
    rooms = {}
    for user, key in wanted.items():
        member = found.get(key, {})
        if not member or not is_counted(member):
            rooms[user] = _Room(user, Quota(key, actor.policy, actor.now, 1, daily=False), member, 0)
            continue
        quota = Quota(key, actor.policy, actor.now, 1, daily=False, home=actor.home)
        _, left = quota.left(member)
        if left is not None and items.deserialize(member["held"]):  # a file may name the holder in other requests
            expired = len(expired_claims_of(ctx.backend.table, actor.home, user, actor.now))
            member = member | {"held": items.serialize(max(items.deserialize(member["held"]) - expired, 0))}
            _, left = quota.left(member)
        rooms[user] = _Room(user, quota, member, left)
    return rooms
