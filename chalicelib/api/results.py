"""Renders the customers in a response, and checks access to a replayed response.

A result contains facts as of the first response. Name and fields are added as they are now, masked for the caller as of
now: a first response has them at hand, a replay reads them. Nothing here decides or writes.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain import rendering
from chalicelib.domain.rendering import Personal
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model import responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.model.responses import Facts
from chalicelib.model.times import rfc3339
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import Result

Found = Mapping[Key, Item]  # items already read for this response


def still_belongs(ctx: RequestContext, pool_id: str) -> Found:
    """Read the pool and the caller's membership. Raises Refused if the caller may not see the pool.

    An admin of the tenant may see a replay even if the pool has been deleted.
    """
    tenant = ctx.caller.tenant
    key = keys.pool_key(tenant, pool_id)
    found = ctx.backend.table.get([key, keys.member_key(tenant, pool_id, ctx.caller.user)])
    if key not in found:
        if ctx.caller.admin:
            return found
        raise Refused(Refusal("not_found"))
    pool = ctx.keep(items.pool_record(tenant, found[key]))
    refusal = ctx.unmet(pool, ctx.actor(pool).member_rules(), found)
    if refusal is not None:
        raise Refused(refusal)
    return found


def bodies(ctx: RequestContext, results: Mapping[int, Result], found: Found) -> dict[int, responses.Customer]:
    """Return the customer bodies by index. At most two reads for each hundred customers not at hand."""
    return _Renderer(ctx, found).bodies(results)


class _Renderer:
    """One response. Reads each pool and role once, and only if needed."""

    def __init__(self, ctx: RequestContext, found: Found) -> None:
        self.ctx, self.found = ctx, found
        self.pools: dict[str, Pool | None] = {}
        self.roles: dict[str, bool] = {}

    def bodies(self, results: Mapping[int, Result]) -> dict[int, responses.Customer]:
        with_facts = {index: (each, each.facts) for index, each in results.items() if each.facts is not None}
        read = self._read([facts for each, facts in with_facts.values() if each.seen is None])
        shown = {}
        for index, (each, facts) in with_facts.items():
            customer = each.seen or read.get((facts.pool_id, facts.id))
            same = customer is not None and rfc3339(customer.created_at) == facts.created_at
            own = self._personal(customer, each.managed) if customer is not None and same else Personal()
            shown[index] = rendering.with_personal(facts, own)
        return shown

    def _read(self, wanted: list[Facts]) -> dict[tuple[str, str], Customer | None]:
        """Read the customers. Those deleted, or in a pool that the caller may not see, are None or left out."""
        ids: dict[str, list[str]] = {}
        for facts in wanted:
            ids.setdefault(facts.pool_id, []).append(facts.id)
        read: dict[tuple[str, str], Customer | None] = {}
        for pool_id, those in ids.items():
            pool = self._visible_pool(pool_id)
            if pool is not None:
                customer_cache, table = self.ctx.backend.customer_cache, self.ctx.backend.table
                now = customer_cache.read(table, self.ctx.actor(pool), list(dict.fromkeys(those)))
                read |= {(pool_id, each): customer for each, customer in now.items()}
        return read

    def _visible_pool(self, pool_id: str) -> Pool | None:
        """Return the pool, or None where the caller is not a member of it by now. Membership in the pool of the path
        does not suffice for a customer that was moved into another one."""
        if keys.pool_key(self.ctx.caller.tenant, pool_id) not in self.found:
            try:
                self.found = {**self.found, **still_belongs(self.ctx, pool_id)}
            except Refused:
                return None
        return self._pool(pool_id)

    def _personal(self, customer: Customer, managed: bool) -> Personal:
        pool = self._pool(customer.pool)
        if pool is None:
            return Personal()
        clock = self.ctx.actor(pool).clock(customer)
        return rendering.personal(
            customer, pool.policy, clock, self.ctx.caller.user, lambda: managed or self._manages(pool)
        )

    def _pool(self, pool_id: str) -> Pool | None:
        if pool_id not in self.pools:
            try:
                self.pools[pool_id] = self.ctx.pool_already_read(pool_id) or self.ctx.pool(pool_id)
            except Refused:
                self.pools[pool_id] = None
        return self.pools[pool_id]

    def _manages(self, pool: Pool) -> bool:
        if pool.id not in self.roles:
            read = keys.pool_key(pool.tenant, pool.id) in self.found
            self.roles[pool.id] = self.ctx.manages(pool, self.found if read else None)
        return self.roles[pool.id]
