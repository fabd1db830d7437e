"""Count the customers that entered a pool in a period, by their value of a field.

Managers count the pool, members the customers that they hold or own. A request looks at MAX_LOOKED_AT customers at
most, those that entered last. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import ENTERED, PLACE
from chalicelib.dynamodb.table import between
from chalicelib.model import times
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.field_definitions import Field
from chalicelib.model.field_filters import InvalidFilter, filterable, texts_of
from chalicelib.model.model import Customer, Member, Pool, in_cents
from chalicelib.model.reports import ValueCounts, amount_of
from chalicelib.model.validation import FieldError
from chalicelib.transactions.context import RequestContext

MAX_LOOKED_AT: Final = 1_000
MAX_VALUES: Final = 1_000
PAGE: Final = 250


def field_of(pool: Pool, key: str) -> Field:
    """Return the field of that key with `filter`. Raises Refused for another one."""
    try:
        return filterable(key, pool.definitions)
    except InvalidFilter as invalid:
        errors = (FieldError("no_breakdown", "by", invalid.error.values),)
        raise Refused(Refusal("invalid_request", errors=errors)) from invalid


def count(
    ctx: RequestContext, pool: Pool, field: Field, since: str, to: str, own: Member | None
) -> tuple[list[ValueCounts], bool]:
    """Return the counts by value, the most frequent first, and whether there are more customers or values.

    With a member, only their own customers are counted.
    """
    zone, actor = times.zone(pool.policy.time_zone or "UTC"), ctx.actor(pool)
    low, high = times.moments_of(since, to, zone)
    ids = _entered(ctx, pool, low, high) if own is None else _owned(ctx, own)
    read = ctx.backend.customer_cache.read(ctx.backend.table, actor, ids[:MAX_LOOKED_AT], malformed=set())
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for customer in read.values():
        if customer is None or not low <= customer.entered_at <= high:
            continue
        if own is None or customer.belongs_to(own.user, actor.clock(customer)):
            texts: Sequence[str | None] = texts_of(field, customer.fields.get(field.key), zone) or (None,)
            for text in texts:
                counts[text].update(_counts(customer))
    in_order = sorted(counts.items(), key=lambda each: (-each[1]["entered"], each[0] is None, each[0] or ""))
    return _rows(in_order[:MAX_VALUES]), len(ids) > MAX_LOOKED_AT or len(in_order) > MAX_VALUES


def _entered(ctx: RequestContext, pool: Pool, low: int, high: int) -> list[str]:
    """Return the ids of the customers that entered in the period, the latest first, and one more than are counted."""
    ids: list[str] = []
    roster = keys.customer_roster(pool.tenant, pool.id)
    for page in ctx.backend.table.pages(roster, index=ENTERED, between=between(ENTERED, low, high), limit=PAGE):
        ids += [keys.id_from_pk(key.pk) for key in page.keys]
        if len(ids) > MAX_LOOKED_AT:
            break
    return ids


def _owned(ctx: RequestContext, member: Member) -> list[str]:
    partition = keys.place_of_holder(member.tenant, member.pool, member.user)
    page = ctx.backend.table.query(partition, index=PLACE, limit=MAX_LOOKED_AT + 1)
    return [keys.id_from_pk(key.pk) for key in page.keys]


def _counts(customer: Customer) -> Counter[str]:
    state: str = customer.state if customer.set_aside_at is None else "set_aside"
    state = state if customer.suppressed_at is None else "suppressed"
    cents = 0 if customer.amount is None or customer.won_at is None else in_cents(customer.amount)
    return Counter({"entered": 1, state: 1, "won": int(customer.won_at is not None), "cents": cents})


def _rows(counts: Iterable[tuple[str | None, Counter[str]]]) -> list[ValueCounts]:
    return [
        ValueCounts(
            value=value,
            entered=each["entered"],
            available=each["available"],
            claimed=each["claimed"],
            private=each["private"],
            set_aside=each["set_aside"],
            won=each["won"],
            amount=amount_of(each["cents"]),
        )
        for value, each in counts
    ]
