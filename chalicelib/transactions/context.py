"""What one request is made with: who asks, when, on which table, and the pool whose policy rules it.

The policy is kept in memory for a few seconds, because a check on one pool item in every claim would make that item a
hot spot. So a change of policy reaches every process within `POLICY_MS`, well inside the ten seconds promised.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from chalicelib.domain.rules import Rule, first_broken
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.sharded_query import RunJobs, run_in_order
from chalicelib.dynamodb.table import Action, Patience, StoreUnavailable, Table
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Customer, Pool
from chalicelib.transactions import serializers
from chalicelib.transactions.contention import CandidatePool
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.idempotency import WHOLE, IdempotencyRecord, Result, known_answers, named
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.serializers import Facts
from chalicelib.transactions.unit_of_work import Outcome, UnitOfWork

POOL_CACHE_MS: Final = 5_000


class Caller(Struct, frozen=True):
    """Who is asking, as the verified token says. Pool roles are stored, not in the token."""

    tenant: str
    user: str
    admin: bool


class Backend:
    """What a process keeps between requests. `mint` makes ids; `choose` draws so many of a range at random;
    `abreast` does jobs that do not wait for each other."""

    def __init__(
        self,
        table: Table,
        new_id: Callable[[], str],
        sample: Callable[[range, int], list[int]],
        run_jobs: RunJobs = run_in_order,
    ) -> None:
        self.table, self.new_id, self.sample, self.run_jobs = table, new_id, sample, run_jobs
        self.customer_cache = CustomerCache()
        self.candidate_pools: defaultdict[tuple[str, str], CandidatePool] = defaultdict(
            CandidatePool
        )  # of claim-next, by tenant and pool
        self.pools: dict[tuple[str, str], tuple[int, Pool]] = {}

    def patient(self, patience: Patience) -> Backend:
        """The same for one request, or one part of a long one, whose calls to DynamoDB share that patience."""
        backend = copy.copy(self)
        backend.table = self.table.patient(patience)
        return backend


class RequestContext(Struct, frozen=True):
    """One request. `now` is its moment: every deadline and rule in it sees the same one. `mark` is in its events."""

    backend: Backend
    caller: Caller
    now: int
    if_match: int | None = None
    idempotency: IdempotencyRecord | None = None
    request_marker: str = ""

    def pool(self, pool_id: str) -> Pool:
        """The pool, if it is open at most a few seconds old. Raises Refused where the tenant has no such pool."""
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
        return self.keep(items.pool_record(self.caller.tenant, stored))

    def keep(self, pool: Pool) -> Pool:
        self.backend.pools[pool.tenant, pool.id] = (self.now, pool)
        return pool

    def forget(self, pool_id: str) -> None:
        """The pool has changed: this process shall see it at once."""
        self.backend.pools.pop((self.caller.tenant, pool_id), None)

    def by_admin(self) -> None:
        """Raises Refused unless an admin of the tenant is asking."""
        if not self.caller.admin:
            raise Refused(Refusal("not_admin"))

    def actor(self, pool: Pool) -> Actor:
        return Actor(pool, self.caller.user, self.now, self.if_match, self.request_marker, self.caller.admin)

    def uow(
        self,
        pool: Pool,
        *,
        manager: bool = False,
        make_room: Callable[[str], bool] = lambda user: False,
        target_pool: Pool | None = None,
        log: ImportLog | None = None,
    ) -> UnitOfWork:
        """Where moves are settled. `manager` says that only a manager can have made the moves, who sees what is masked.
        Where that is not known, the role is read before something is masked."""

        def facts(customer: Customer) -> Facts:
            there = target_pool if target_pool is not None and customer.pool == target_pool.id else pool
            return serializers.facts(customer, there.policy)

        table, customer_cache, actor = self.backend.table, self.backend.customer_cache, self.actor(pool)
        return UnitOfWork(table, customer_cache, actor, facts, make_room, self.idempotency, target_pool, log, manager)

    def manages(self, pool: Pool, found: Mapping[Key, Item] | None = None) -> bool:
        """Whether the caller manages that pool, by their member item among those found, or as it is now."""
        return self.unmet(pool, self.actor(pool).manager_rules(), found) is None

    def unmet(self, pool: Pool, asked: Sequence[Rule], found: Mapping[Key, Item] | None = None) -> Refusal | None:
        """The first of those rules about the caller that does not hold, for what no write asks about."""
        key = self.actor(pool).member_key
        if not asked:
            return None
        stored = self.backend.table.get([key]) if found is None else found
        return first_broken(asked, {key: stored.get(key, {})})

    def shown(self, pool: Pool, customer: Customer, manager: bool) -> dict[str, Any]:
        """A customer of that pool, as the caller may see it."""
        clock = self.actor(pool).clock(customer)
        return serializers.customer(customer, pool.policy, clock, self.caller.user, lambda: manager)

    def import_log(self, pool_id: str) -> ImportLog:
        """Where an import into that pool notes what it does."""
        return ImportLog(self.caller.tenant, pool_id, self.now, self.backend.new_id(), self.idempotency)

    def answered(self, ids: Sequence[str]) -> Outcome | None:
        """What an earlier attempt with this Idempotency-Key answered to all of those ids, if it came to its end: no
        more is asked then, since by now there may be no such pool."""
        answers = known_answers(self.idempotency)
        if len(answers) < len(ids):
            return None
        return Outcome({at: named(answers[at], given) for at, given in enumerate(ids)})

    def commit(
        self, actions: Sequence[Action], asked: Sequence[Rule], body: dict[str, Any], position: int = WHOLE
    ) -> dict[str, Any]:
        """One transaction, with its answer at that position. Raises Refused with the first rule broken."""
        answer = {position: Result("", body=body)}
        parts = [] if self.idempotency is None else [self.idempotency.part(answer)]
        refusing = self.backend.table.write([*actions, *parts])
        if refusing is None:
            if self.idempotency is not None:
                self.idempotency.wrote(answer)
            return body
        if self.idempotency is not None and self.idempotency.key in refusing:
            self.idempotency.absorb(refusing[self.idempotency.key])
            return self.idempotency.answers[position].body or {}
        refusal = first_broken(asked, refusing)
        raise StoreUnavailable if refusal is None else Refused(refusal)

    def finish(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of a request of several steps, kept under its Idempotency-Key; the first one, if there was one."""
        if self.idempotency is None:
            return body
        return self.idempotency.close(self.backend.table, {WHOLE: Result("", body=body)})[WHOLE].body or {}
