"""Claim-next: find the best available customers for the caller, and claim them.

Indexes are eventually consistent and cached customers may be stale, so a search only finds candidates; the ordinary
claim decides under its conditions. A search is bounded, however many customers at the head the caller may not claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial
from typing import Final

from msgspec import Struct
from pynamodb.expressions.condition import Condition

from chalicelib.domain import masking, rules, transitions
from chalicelib.domain.rules import Quota, first_broken
from chalicelib.domain.transitions import Transition
from chalicelib.dynamodb import cards, items, keys, sharded_query
from chalicelib.dynamodb.conditions import all_of
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, PLACE, PRIORITY_STEP, RANK_LIMIT
from chalicelib.dynamodb.table import Check, Throttled, between
from chalicelib.model import times
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.field_filters import FieldFilter, InvalidFilter, any_of
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import fold_name
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import only_members, require_manager, require_ready
from chalicelib.transactions.contention import MIN_SPREAD, Candidate
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.counters import is_counted
from chalicelib.transactions.idempotency import NEXT_CURSOR, WHOLE, IdempotencyRecord, Result
from chalicelib.transactions.unit_of_work import Outcome, Planner, UnitOfWork

MAX_READS: Final = 12  # each twice as wide as the one before: about a thousand customers, then it gives up
MAX_WIDTH: Final = 200
MAX_EXPIRED: Final = 100  # looked at together: their index holds whole customers
LIMITS: Final = frozenset(("daily_limit", "holding_limit"))
ABOUT_CALLER: Final = LIMITS | {"not_a_member", "user_left", "pool_not_open"}
ROWS_LOOKED_AT: Final = (100, 200, 400, 400)  # by the reads of a search for certain values
ROWS_UNDER_CONTENTION: Final = 400  # by each of them
ROWS_OF_A_TERRITORY: Final = 200  # under contention without filters: other territories do not compete
NOT_WANTED: Final = "not_wanted"  # by the filter
OWN_MEETINGS: Final = 2  # rounds lost to other calls of the same caller before a search counts as contended
ALREADY_CLAIMED: Final = "already_claimed"
TERRITORY: Final = "territory"
ENDED_BY_OTHERS: Final = frozenset(
    (ALREADY_CLAIMED, "set_aside")
)  # which an old copy does not show; the rest ends by itself


class Wanted(Struct, frozen=True):
    """How many customers a caller wants, with which values of fields, and where an earlier search stopped."""

    count: int
    filters: Mapping[str, Sequence[str]] = {}
    cursor: str | None = None


def claim_next(ctx: RequestContext, pool_id: str, wanted: Wanted) -> tuple[Outcome, str | None]:
    """Claim the best available customers: highest priority, then longest waiting; up to `count`, maybe none.

    Return a cursor if the search stopped although more customers may fit the filters. Raises Refused only when a rule
    about the caller allows none at all.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    filters = _filters(ctx, pool, wanted.filters)
    codec = CursorCodec(ctx.backend.secret, keys.place_available(pool.tenant, pool.id), str(filters))
    territory = partial(ctx.backend.territories.territory_of, actor.member_key)
    planner = partial(transitions.claim, actor, new_id=ctx.backend.new_id, by_id=False, territory=territory)
    uow = ctx.taking_uow(actor, partial(_planned, planner))
    search = _Search(ctx, pool, uow, wanted.count, filters, _start(codec, wanted.cursor))
    refusal = search.run() if pool.status == "open" else Refusal("pool_not_open")
    stopped = None if search.stopped_at is None else codec.write(search.stopped_at)
    body = None if stopped is None else {NEXT_CURSOR: stopped}
    end = Result("", body=body, refusal=None if search.taken else refusal)
    end = uow.idempotency.close(uow.table, {WHOLE: end})[WHOLE]
    if end.refusal is not None:
        raise Refused(end.refusal)
    next_cursor = end.body.get(NEXT_CURSOR) if isinstance(end.body, dict) else None
    return Outcome(search.taken | taken_before(uow.idempotency)), next_cursor


def _planned(planner: Planner, customer_id: str, customer: Customer | None) -> Transition | Refusal:
    """Return the transition, or the refusal if the customer is outside the caller's cached territory.

    So the attempt from which a process learns a territory is not repeated for a customer outside it.
    """
    planned = planner(customer_id, customer)
    if customer is None or isinstance(planned, Refusal):
        return planned
    refusal = first_broken(planned.rules, {planned.key: items.customer_item(customer)})
    return refusal if refusal is not None and refusal.reason == TERRITORY else planned


def _filters(ctx: RequestContext, pool: Pool, wanted: Mapping[str, Sequence[str]]) -> tuple[FieldFilter, ...]:
    """Return the filters. Raises Refused; also for a masked field, if the caller is no manager (rule 24)."""
    try:
        filters = tuple(any_of(key, values, pool.definitions) for key, values in sorted(wanted.items()))
    except InvalidFilter as invalid:
        only_members(ctx, pool)
        raise Refused(Refusal("invalid_request", errors=(invalid.error,))) from invalid
    mask = masking.of(pool)
    if mask is not None and any(fold_name(each.field.key) in mask.fields for each in filters):
        require_manager(ctx, pool)
    if not ctx.idempotency.answers and any(each.field.key in pool.fields_changing for each in filters):
        only_members(ctx, pool)
        require_ready(pool, (each.field.key for each in filters))
    return filters


def _start(codec: CursorCodec, cursor: str | None) -> int | None:
    """Return the rank at which the search continues. Raises Refused for one that DynamoDB does not compare."""
    start = codec.read(cursor, int)
    if start is not None and abs(start) >= RANK_LIMIT:
        raise Refused(Refusal("invalid_cursor"))
    return start


def taken_before(idempotency: IdempotencyRecord) -> dict[int, Result]:
    """Return the results of customers taken by attempts with this Idempotency-Key, by position."""
    return {at: result for at, result in idempotency.answers.items() if result.facts is not None}


class _Search:
    """The search of one caller. `passed` are the candidates that were tried or that the caller may not claim.
    `exhausted` are the lists without other candidates.

    A search with filters starts at the rank `start`. `stopped_at` is the rank at which it stopped, if not at the end.
    """

    def __init__(
        self,
        ctx: RequestContext,
        pool: Pool,
        uow: UnitOfWork,
        count: int,
        filters: tuple[FieldFilter, ...] = (),
        start: int | None = None,
    ) -> None:
        self.ctx, self.pool, self.uow, self.count = ctx, pool, uow, count
        self.filters, self.start = filters, start
        self.stopped_at: int | None = None
        self.taken = taken_before(uow.idempotency)
        self.passed: set[str] = set()
        self.exhausted: set[str] = set()
        self.width, self.position = count, 0
        self.found: list[Candidate] = []  # by a search for certain values, the best first
        self.reads = 0
        self.ends: dict[str, Item | None] = {}  # by list: where the last read stopped, None at its end
        self.lost, self.met_own = False, 0
        self.candidate_pool = ctx.backend.candidate_pools[pool.tenant, pool.id]

    @property
    def wanted(self) -> int:
        return self.count - len(self.taken)

    @property
    def narrowed(self) -> bool:
        """Whether the search is for customers of certain values: by its filters, or by the caller's territory.

        A territory that is not cached is read by the first claim, and the search continues with it.
        """
        return bool(self.filters) or self.ctx.backend.territories.territory_of(self.uow.actor.member_key) is not None

    def run(self) -> Refusal | None:
        """Run the search. Return the refusal about the caller that stopped it, if any.

        If DynamoDB throttles the search after it has taken customers, it ends with these.
        """
        try:
            return self._search()
        except Throttled:
            if not self.taken:
                raise
            return None

    def _search(self) -> Refusal | None:
        for _ in range(MAX_READS):
            if self.wanted <= 0 or self.uow.idempotency.is_finished:
                break
            seen = self._matching() if self.narrowed else self._candidates()
            if not seen:
                break
            stopping = self._claim(self._chosen(seen))
            self.candidate_pool.learn(self.lost, self.ctx.now)
            if stopping is not None:
                return stopping
        self.stopped_at = self._rank_reached() if self.wanted > 0 and not self.uow.idempotency.is_finished else None
        return None if self.taken else self._caller_refusal()

    # Candidates

    def _candidates(self) -> list[Candidate]:
        """Return the next candidates: the head of the list or, under contention, some from further down.

        Concurrent callers are spread over a head about as long as the number that they take at once.
        """
        now, count = self.ctx.now, max(self.wanted, self.width)
        reach, passed = self.candidate_pool.reach(now), self.passed.__contains__
        taken = self.candidate_pool.take(count, now, passed) if reach else []
        if len(taken) >= self.wanted:
            return taken
        head = self._head(count + max(reach, MIN_SPREAD))
        best, others = ([], head) if reach else (head[:count], head[count:])
        drawn = self.ctx.backend.sample(range(len(others)), len(others))
        self.candidate_pool.remember([others[at] for at in drawn], now)
        return best or self.candidate_pool.take(count, now, passed)

    def _matching(self) -> list[Candidate]:
        """Return the next candidates whose values fit by the rows of the list, under contention in random order.

        Only those that may be claimed are read: the rows of the others cost a fortieth of that.
        """
        left = self._left()
        while self._needs_more(left):
            self._read_more()
            left = self._left()
        if self.candidate_pool.reach(self.ctx.now):
            left = [left[at] for at in self.ctx.backend.sample(range(len(left)), len(left))]
        return left[: max(self.wanted, self.width)]

    def _needs_more(self, left: Sequence[Candidate]) -> bool:
        """Return whether to read more rows. After a first collision, those that all callers have read are too few."""
        if self.reads >= len(ROWS_LOOKED_AT) or not self._goes_on():
            return False
        collided = self.lost and self.reads == 1
        return len(left) < self.wanted or collided

    def _goes_on(self) -> bool:
        """Return whether there are rows that were not looked at."""
        return not self.reads or any(end is not None for end in self.ends.values())

    def _left(self) -> list[Candidate]:
        return [each for each in self.found if each.id not in self.passed]

    def _read_more(self) -> None:
        """Look at the next rows of each list, and at the first read also at claims that have expired."""
        where = self._where()
        lists = sharded_query.partitions_of(keys.place_available, self.pool)
        rows = ROWS_LOOKED_AT[self.reads]
        if self.candidate_pool.reach(self.ctx.now):
            rows = ROWS_UNDER_CONTENTION if self.filters else ROWS_OF_A_TERRITORY
        each_rows = -(-rows // len(lists))
        jobs = [partial(self._row_page, one, each_rows, where) for one in lists if self.ends.get(one, one) is not None]
        found = [candidate for page in self.ctx.backend.run_jobs(jobs) for candidate in page]
        if not self.reads and self.candidate_pool.may_have_expired(self.ctx.now):
            found += self._expired(MAX_EXPIRED, where)
        self.reads += 1
        self.found = sorted({*self.found, *found})

    def _row_page(self, partition: str, rows: int, where: Condition | None) -> list[Candidate]:
        """Return the candidates among the next rows of one list."""
        page = self.ctx.backend.table.query(
            partition, index=PLACE, between=self._from_start(), after=self.ends.get(partition), limit=rows, where=where
        )
        self.ends[partition] = page.last
        return [_candidate(PLACE, item) for item in page.items]

    def _from_start(self) -> Condition | None:
        """Return the key condition of a search that continues at a cursor."""
        return None if self.start is None else between(PLACE, low=self.start)

    def _where(self) -> Condition | None:
        """Return the condition that a row fits the filters and the caller's territory.

        While the definition of the field of the territory changes, the rows do not decide.
        """
        definitions, territories = self.pool.definitions, self.ctx.backend.territories
        territory = territories.territory_of(self.uow.actor.member_key)
        conditions = [cards.matching(self.filters, definitions)]
        if territory is not None and territory.field not in self.pool.fields_changing:
            conditions.append(cards.in_territory(territory, definitions))
        required = [each for each in conditions if each is not None]
        return all_of(required) if required else None

    def _rank_reached(self) -> int | None:
        """Return the rank at which a search for certain values stopped; None if it has tried all."""
        ranks = [items.sort_value(end[INDEX_RANGE[PLACE]]) for end in self.ends.values() if end is not None]
        return min([*ranks, *(each.rank for each in self._left())], default=None)

    def _head(self, length: int) -> list[Candidate]:
        """Return the best `length` candidates that were not passed; fewer at the end of the lists.

        An expired claim is free for everyone: its customer ranks by its priority and its deadline, as it will after the
        sweep. So is an expired private customer, where the policy has them expire. If very many have expired, only
        those that have waited longest are considered.
        """
        available = sharded_query.partitions_of(keys.place_available, self.pool)
        head = self._spread(PLACE, available, length, self._from_start())
        if self.candidate_pool.may_have_expired(self.ctx.now):
            expired = self._expired(min(length, MAX_EXPIRED))
            if not expired:
                self.candidate_pool.none_expired(self.ctx.now)
            head = sorted({*head, *expired})
        return head[:length]

    def _expired(self, length: int, where: Condition | None = None) -> list[Candidate]:
        """Return up to `length` customers whose claims have expired, and as many whose ownership has."""
        due, until = sharded_query.partitions_of(keys.due_in, self.pool), between(DUE, high=self.ctx.now)
        expired = self._spread(DUE, due, length, until, where)
        if self.pool.policy.private_ttl is not None:
            private = keys.private_in(self.pool.tenant, self.pool.id)
            expired = [*expired, *self._listed(DUE, private, length, until, where)]
        return expired

    def _spread(
        self,
        index: str,
        partitions: Sequence[str],
        length: int,
        part: Condition | None = None,
        where: Condition | None = None,
    ) -> list[Candidate]:
        """Return the best `length` candidates of a list. Each shard gives enough, even if it holds all of the best."""
        if len(partitions) == 1:
            return self._listed(index, partitions[0], length, part, where)
        # Many callers at once: each begins at a random shard, where it meets fewer others.
        if self.candidate_pool.reach(self.ctx.now):
            (at,) = self.ctx.backend.sample(range(len(partitions)), 1)
            if head := self._listed(index, partitions[at], length, part, where):
                return head
        each = min(length, max(self.wanted, self.width) + length // len(partitions))
        heads = self.ctx.backend.run_jobs([partial(self._listed, index, one, each, part, where) for one in partitions])
        return sorted(candidate for head in heads for candidate in head)[:length]

    def _listed(
        self,
        index: str,
        partition: str,
        length: int,
        part: Condition | None = None,
        where: Condition | None = None,
    ) -> list[Candidate]:
        """Return the first `length` candidates of one list; none once the list is exhausted."""
        found: list[Candidate] = []
        if partition in self.exhausted:
            return found
        limit = length + len(self.passed)
        for page in self.ctx.backend.table.pages(partition, index=index, between=part, limit=limit, where=where):
            found += [each for item in page.items if (each := _candidate(index, item)).id not in self.passed]
            if len(found) >= length:
                return found[:length]
        self.exhausted.update([] if found else [partition])
        return found

    def _chosen(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return up to `wanted` candidates, without those that the caller may not claim according to the cache."""
        table, customer_cache = self.uow.table, self.uow.customer_cache
        seen = [each.id for each in candidates]
        copied = customer_cache.peek(self.uow.actor, seen)
        malformed: set[str] = set()
        # A cached copy may have an old value of a filtered field.
        get = customer_cache.read if self.narrowed else customer_cache.get_many
        blocked = self._blocked_reasons(get(table, self.uow.actor, seen, malformed))
        blocked |= dict.fromkeys(malformed, rules.MALFORMED_RECORD)
        ahead = self._ahead(seen, blocked)
        maybe_stale = [each for each in ahead if blocked.get(each) in ENDED_BY_OTHERS and each in copied]
        if maybe_stale:  # a cached reason may be outdated: then the customer is better than one that would be claimed
            blocked = {each: blocked[each] for each in blocked if each not in maybe_stale}
            blocked |= self._blocked_reasons(customer_cache.read(table, self.uow.actor, maybe_stale, malformed))
            blocked |= dict.fromkeys(malformed, rules.MALFORMED_RECORD)
        free = [each for each in seen if each not in blocked]
        spare = free[self.wanted :]
        self.passed |= set(seen) - set(spare)
        self.candidate_pool.spare(each for each in candidates if each.id in spare)
        gone = ALREADY_CLAIMED in blocked.values()
        if gone and not free:
            self.candidate_pool.drop()
        self.width = self.count if len(free) >= self.wanted or gone else min(2 * len(seen), MAX_WIDTH)
        self.lost = self._lost([each for each in seen if blocked.get(each) == ALREADY_CLAIMED])
        self.lost = self.lost and not self.candidate_pool.reach(self.ctx.now)
        return free[: self.wanted]

    def _ahead(self, seen: Sequence[str], blocked: Mapping[str, str]) -> Sequence[str]:
        """Return the candidates before the last that would be taken; all, if there are too few."""
        free = [at for at, each in enumerate(seen) if each not in blocked]
        return seen[: free[self.wanted - 1]] if len(free) >= self.wanted else seen

    def _blocked_reasons(self, known: dict[str, Customer | None]) -> dict[str, str]:
        """Return the reason for each cached customer that the caller may not claim, by customer id."""
        blocked = {}
        for customer_id, customer in known.items():
            if customer is not None and not self._is_wanted(customer):
                blocked[customer_id] = NOT_WANTED
                continue
            planned = self.uow.planner(customer_id, customer)
            if isinstance(planned, Refusal) and planned.reason == TERRITORY:
                blocked[customer_id] = TERRITORY
            elif isinstance(planned, Transition):
                item = {} if customer is None else items.customer_item(customer)
                refusal = first_broken(planned.rules, {planned.key: item})
                if refusal is not None:
                    blocked[customer_id] = refusal.reason
        return blocked

    def _is_wanted(self, customer: Customer) -> bool:
        """Return whether the customer fits all filters, by values that any member sees in full."""
        tz, mask = times.zone(self.pool.policy.time_zone or "UTC"), masking.of(self.pool)
        values = ((each, customer.fields.get(each.field.key)) for each in self.filters)
        return all(
            each.fits(value, tz) and (mask is None or mask.field(each.field.key, value) == value)
            for each, value in values
        )

    # Claims

    def _claim(self, chosen: Sequence[str]) -> Refusal | None:
        """Claims those; the refusal about the caller among what came of it, if there is one."""
        if not chosen:
            return None
        first = max([self.position, *(at + 1 for at in self.taken)])
        self.position = first + len(chosen)
        ids = {first + at: each for at, each in enumerate(chosen)}
        outcome = Outcome()
        try:
            results = self.uow.attempt(ids, outcome=outcome, stop_at_stored=True).results
        finally:
            self.taken |= {at: result for at, result in outcome.results.items() if result.facts is not None}
        self.taken |= taken_before(self.uow.idempotency)
        self._reconsider(set(chosen) - {result.id for result in results.values()})
        refused = {result.id: result.refusal for result in results.values() if result.refusal is not None}
        self.lost = self._lost([each for each in refused if refused[each].reason == ALREADY_CLAIMED]) or self.lost
        return self._stopping(refused)

    def _stopping(self, refused: Mapping[str, Refusal]) -> Refusal | None:
        """The refusal that ends the search: a rule about the caller.

        A limit is reached by counting those before it, and they may have been lost to somebody else meanwhile. Then
        there is room for the customers that the limit refused, and they are tried again.
        """
        about_caller = {each: refusal for each, refusal in refused.items() if refusal.reason in ABOUT_CALLER}
        first = next(iter(about_caller.values()), None)
        if first is None or first.reason not in LIMITS or len(about_caller) == len(refused):
            return first
        self._reconsider(about_caller.keys())
        return None

    def _reconsider(self, untried: Set[str]) -> None:
        """Allow these candidates to be chosen again: they were neither claimed nor lost."""
        if untried:
            self.passed -= untried
            self.exhausted.clear()

    def _lost(self, taken: Sequence[str]) -> bool:
        """Return whether other callers claimed these first, or other calls of this caller repeatedly did."""
        actor, customer_cache = self.uow.actor, self.uow.customer_cache.peek(self.uow.actor, taken)
        others = [
            each
            for each in taken
            if each not in customer_cache or not customer_cache[each].held_by(actor.user, actor.now)
        ]
        self.met_own += bool(taken) and not others
        return bool(others) or self.met_own > OWN_MEETINGS

    def _caller_refusal(self) -> Refusal | None:
        """Return the rule that keeps the caller from claiming at all, after their expired claims are returned."""
        refusal = self._refusal_in_cache()
        if refusal is None or refusal.reason != "holding_limit":
            return refusal
        self.uow.make_room(
            self.uow.actor.user, "held"
        )  # a sweep may have been faster: the member is looked at again anyway
        return self._refusal_in_cache()

    def _refusal_in_cache(self) -> Refusal | None:
        actor = self.uow.actor
        quota = Quota(actor.member_key, actor.policy, actor.now, 1, home=actor.home)
        belongs = [rules.member(actor.member_key), rules.stays(actor.member_key)]
        condition = all_of([*(rule.condition for rule in belongs), quota.condition()])
        refusing = self.uow.table.write([Check(actor.member_key, condition)])
        if refusing is None:
            return None
        stored = refusing[actor.member_key]
        if refusal := first_broken(belongs, refusing):
            return refusal
        return next(iter(quota.refusals(stored, 0)), None) if is_counted(stored) else Refusal(rules.MALFORMED_RECORD)


def _candidate(index: str, item: Item) -> Candidate:
    """Return the candidate of an index item, with its rank."""
    priority = items.integer_or_none(item.get("priority")) or 0
    ahead = priority * PRIORITY_STEP if index == DUE else 0
    return Candidate(items.sort_value(item[INDEX_RANGE[index]]) - ahead, keys.id_from_pk(item["pk"]["S"]))
