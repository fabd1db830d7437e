"""Provide the context of a request: the caller, the time, the table, and the pool with its policy.

Pools are cached in memory for a few seconds, because a check of the pool item in every claim would make it a hot item.
So a change of policy reaches every process within `POOL_CACHE_MS`, well inside the promised ten seconds.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from chalicelib.domain import rendering
from chalicelib.domain.rules import Rule, first_broken
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.sharded_query import RunJobs, run_in_order
from chalicelib.dynamodb.table import Action, Patience, StoreUnavailable, Table
from chalicelib.model import pool_responses, responses, users
from chalicelib.model.contact_keys import KeySecret
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.model.responses import Body
from chalicelib.model.text import IDENTIFIER
from chalicelib.transactions.contention import CandidatePool
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.expired_claims import PinningUnitOfWork, TakingUnitOfWork
from chalicelib.transactions.idempotency import NO_KEY, WHOLE, IdempotencyRecord, Result, named
from chalicelib.transactions.import_log import ImportLog, Source
from chalicelib.transactions.territory_cache import TerritoryCache
from chalicelib.transactions.unit_of_work import Outcome, Planner, UnitOfWork
from chalicelib.transactions.user_cache import UserCache

POOL_CACHE_MS: Final = 5_000
Caller: TypeAlias = users.Caller


class Backend:
    """The state of a process between requests.

    `new_id` returns a new id. `sample` draws a number of random values from a range. `secret` is for the keys of
    contacts. `run_jobs` runs independent jobs.
    """

    def __init__(
        self,
        table: Table,
        new_id: Callable[[], str],
        sample: Callable[[range, int], list[int]],
        secret: KeySecret,
        run_jobs: RunJobs = run_in_order,
    ) -> None:
        self.table, self.new_id, self.sample, self.run_jobs = table, new_id, sample, run_jobs
        self.secret = secret
        self.customer_cache = CustomerCache()
        self.user_cache = UserCache()
        self.territories = TerritoryCache()
        self.candidate_pools: defaultdict[tuple[str, str], CandidatePool] = defaultdict(
            CandidatePool
        )  # of claim-next, by tenant and pool
        self.pools: dict[tuple[str, str], tuple[int, Pool]] = {}
        self.totals: dict[tuple[str, str], tuple[int, pool_responses.Totals]] = {}  # when read, by tenant and pool

    def patient(self, patience: Patience) -> Backend:
        """Return a copy for one request, or a part of a long one, whose DynamoDB calls share a time limit."""
        backend = copy.copy(self)
        backend.table = self.table.patient(patience)
        return backend


class RequestContext(Struct, frozen=True):
    """One request. All rules and deadlines in it use the same `now`. Its events carry `request_marker`."""

    backend: Backend
    caller: Caller
    now: int
    if_match: int | None = None
    idempotency: IdempotencyRecord = NO_KEY
    request_marker: str = ""

    def pool(self, pool_id: str) -> Pool:
        """Return the pool; an open one may be cached for a few seconds. Raises Refused if it does not exist."""
        seen_at, pool = self.backend.pools.get((self.caller.tenant, pool_id), (0, None))
        if pool is None or pool.status != "open" or not 0 <= self.now - seen_at < POOL_CACHE_MS:
            pool = self.pool_now(pool_id)
        return pool

    def pool_already_read(self, pool_id: str) -> Pool | None:
        """Return the pool that was read at the moment of this request, whatever its status. None if none was."""
        read_at, pool = self.backend.pools.get((self.caller.tenant, pool_id), (0, None))
        return pool if read_at == self.now else None

    def pool_now(self, pool_id: str) -> Pool:
        key = keys.pool_key(self.caller.tenant, pool_id)
        stored = self.backend.table.get([key]).get(key) if IDENTIFIER.fullmatch(pool_id) else None
        if stored is None:
            raise Refused(Refusal("not_found"))
        return self.keep(pool_items.pool_record(self.caller.tenant, stored))

    def keep(self, pool: Pool) -> Pool:
        self.backend.pools[pool.tenant, pool.id] = (self.now, pool)
        return pool

    def forget(self, pool_id: str) -> None:
        """Evict a pool that has changed, and its totals, so that this process reads them again."""
        self.backend.pools.pop((self.caller.tenant, pool_id), None)
        self.backend.totals.pop((self.caller.tenant, pool_id), None)

    def by_admin(self) -> None:
        """Require an admin of the tenant. Raises Refused."""
        if not self.caller.admin:
            raise Refused(Refusal("not_admin"))

    def actor(self, pool: Pool) -> Actor:
        caller, secret = self.caller, self.backend.secret
        return Actor(pool, caller.user, self.now, self.if_match, self.request_marker, caller.admin, secret)

    def uow(
        self,
        actor: Actor,
        planner: Planner,
        *,
        target_pool: Pool | None = None,
        log: ImportLog | None = None,
        managed: bool = False,
        atomic: bool = False,
    ) -> UnitOfWork:
        """Return a unit of work of this request."""
        table, customer_cache = self.backend.table, self.backend.customer_cache
        return UnitOfWork(
            table, customer_cache, actor, planner, self.idempotency, target_pool, log, managed, atomic,
            self.backend.territories,
        )  # fmt: skip

    def taking_uow(
        self,
        actor: Actor,
        planner: Planner,
        *,
        log: ImportLog | None = None,
        managed: bool = False,
        atomic: bool = False,
    ) -> TakingUnitOfWork:
        """Return a unit of work whose customers are taken by a member, under their limits."""
        table, customer_cache, new_id = self.backend.table, self.backend.customer_cache, self.backend.new_id
        return TakingUnitOfWork(
            table, customer_cache, actor, planner, self.idempotency, log=log, managed=managed, atomic=atomic,
            territories=self.backend.territories, new_id=new_id,
        )  # fmt: skip

    def pinning_uow(self, actor: Actor, planner: Planner, *, atomic: bool = False) -> PinningUnitOfWork:
        """Return a unit of work in which the caller pins their own claims, under their limit."""
        table, customer_cache, new_id = self.backend.table, self.backend.customer_cache, self.backend.new_id
        return PinningUnitOfWork(table, customer_cache, actor, planner, self.idempotency, atomic=atomic, new_id=new_id)

    def manages(self, pool: Pool, found: Mapping[Key, Item] | None = None) -> bool:
        """Return whether the caller manages the pool, by the member item in `found` or by a read."""
        return self.unmet(pool, self.actor(pool).manager_rules(), found) is None

    def unmet(self, pool: Pool, required: Sequence[Rule], found: Mapping[Key, Item] | None = None) -> Refusal | None:
        """Return the refusal of the first rule about the caller that fails. Only for requests without a write."""
        key = self.actor(pool).member_key
        if not required:
            return None
        stored = self.backend.table.get([key]) if found is None else found
        return first_broken(required, {key: stored.get(key, {})})

    def shown(self, pool: Pool, customer: Customer, manager: bool) -> responses.Customer:
        """Return the body of a customer, masked for the caller."""
        clock = self.actor(pool).clock(customer)
        return rendering.customer(customer, pool, clock, self.caller.user, lambda: manager)

    def list_item(self, pool: Pool, customer: Customer, manager: bool) -> responses.Customer:
        """Return a customer as a list shows it, masked for the caller."""
        clock = self.actor(pool).clock(customer)
        return rendering.list_item(customer, pool, clock, self.caller.user, manager)

    def import_log(self, pool_id: str, source: Source | None = None) -> ImportLog:
        """Return the log that a request of an import into the pool writes."""
        caller, new_id = self.caller, self.backend.new_id()
        return ImportLog(caller.tenant, pool_id, caller.user, self.now, new_id, self.idempotency, source)

    def answered(self, ids: Sequence[str]) -> Outcome | None:
        """Return the stored outcome if an earlier attempt with this Idempotency-Key has a result for every id.

        Then nothing else is checked: the pool may no longer exist.
        """
        answers = self.idempotency.answers
        if len(answers) < len(ids):
            return None
        return Outcome({at: named(answers[at], given) for at, given in enumerate(ids)})

    def commit(self, actions: Sequence[Action], required: Sequence[Rule], body: Body, position: int = WHOLE) -> Body:
        """Write one transaction and store its answer at `position`. Raises Refused for the first broken rule."""
        answer = {position: Result("", body=body)}
        failed_items = self.backend.table.write([*actions, *self.idempotency.parts(answer)])
        if failed_items is None:
            self.idempotency.committed(answer)
            return body
        if self.idempotency.merge_stored(failed_items):
            return self.idempotency.answers[position].body or {}
        refusal = first_broken(required, failed_items)
        raise StoreUnavailable if refusal is None else Refused(refusal)

    def finish(self, body: Body) -> Body:
        """Store the answer of a request of several steps. Return the stored one if there is one already."""
        return self.idempotency.close(self.backend.table, {WHOLE: Result("", body=body)})[WHOLE].body or {}
