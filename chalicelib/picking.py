"""Claim-next: finds the best customers for whoever asks, and claims them.

The lists are a moment late and copies may be stale, so what is found here is only worth trying: the claim is the
ordinary one, and decides. A search has an end, however many customers at the head are closed to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from pynamodb.expressions.condition import Condition

from chalicelib import layout, places, rules, shards
from chalicelib.claiming import claim_plan, desk_with_room
from chalicelib.context import Call
from chalicelib.crowds import NEAREST, Candidate
from chalicelib.journal import WHOLE, Journal, Result, known_answers
from chalicelib.layout import Item, plain
from chalicelib.moves import Move
from chalicelib.places import DUE, PLACE, PRIORITY_STEP
from chalicelib.records import Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Quota, first_broken
from chalicelib.settling import Desk, Outcome, attempt
from chalicelib.table import Check, between

LOOKS: Final = 12  # each twice as wide as the one before: about a thousand customers, then it gives up
WIDEST_LOOK: Final = 200
MOST_LAPSED: Final = 100  # looked at together: their index holds whole customers
LIMITS: Final = frozenset(("daily_limit", "holding_limit"))
ABOUT_CALLER: Final = LIMITS | {"not_a_member", "pool_not_open"}
OWN_MEETINGS: Final = 2  # so often a search may lose to other calls of its caller before it keeps out of their way
TAKEN: Final = "already_claimed"
ENDED_BY_OTHERS: Final = frozenset((TAKEN, "set_aside"))  # which an old copy does not show; the rest ends by itself


def claim_next(call: Call, pool_id: str, count: int) -> Outcome:
    """Takes the best available customers: highest priority, then longest waiting; up to `count`, maybe none.

    Raises Refused only when a rule about the caller allows none at all.
    """
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool)
    search = _Search(call, pool, desk, count)
    refusal = search.run() if pool.status == "open" else Refusal("pool_not_open")
    end = Result("", refusal=None if search.taken else refusal)
    if desk.journal is not None:
        end = desk.journal.close(desk.table, {WHOLE: end})[WHOLE]
    if end.refusal is not None:
        raise Refused(end.refusal)
    return Outcome(search.taken | taken_before(desk.journal))


def taken_before(journal: Journal | None) -> dict[int, Result]:
    """The customers that attempts with this Idempotency-Key have taken, by position."""
    return {at: result for at, result in known_answers(journal).items() if result.facts is not None}


class _Search:
    """One caller's way down the list. `passed` have been tried, or were closed to the caller; `at_end` are the lists in
    which there are no others."""

    def __init__(self, call: Call, pool: Pool, desk: Desk, count: int) -> None:
        self.call, self.pool, self.desk, self.count = call, pool, desk, count
        self.taken = taken_before(desk.journal)
        self.plan = claim_plan(call, pool, desk.actor, by_id=False)
        self.passed: set[str] = set()
        self.at_end: set[str] = set()
        self.width, self.position = count, 0
        self.lost, self.met_own = False, 0
        self.crowd = call.backend.crowds[pool.tenant, pool.id]

    @property
    def wanted(self) -> int:
        return self.count - len(self.taken)

    def run(self) -> Refusal | None:
        """The refusal about the caller that stopped it, if one did."""
        for _ in range(LOOKS):
            if self.wanted <= 0 or self._over():
                break
            seen = self._candidates()
            if not seen:
                break
            stopping = self._claim(self._chosen(seen))
            self.crowd.learn(self.lost, self.call.now)
            if stopping is not None:
                return stopping
        return None if self.taken else self._standing()

    def _over(self) -> bool:
        """An earlier attempt with this Idempotency-Key came to its end."""
        return self.desk.journal is not None and WHOLE in self.desk.journal.answers

    # Whom to try

    def _candidates(self) -> list[Candidate]:
        """The next to try: exactly the head of the list or, in a crowd, some from further down.

        A crowd is spread over a head that is about as long as what it takes at once, whoever gets which of it.
        """
        now, count = self.call.now, max(self.wanted, self.width)
        reach, passed = self.crowd.reach(now), self.passed.__contains__
        taken = self.crowd.take(count, now, passed) if reach else []
        if len(taken) >= self.wanted:
            return taken
        head = self._head(count + max(reach, NEAREST))
        best, others = ([], head) if reach else (head[:count], head[count:])
        drawn = self.call.backend.choose(range(len(others)), len(others))
        self.crowd.remember([others[at] for at in drawn], now)
        return best or self.crowd.take(count, now, passed)

    def _head(self, length: int) -> list[Candidate]:
        """That many of the best, without those passed; fewer where there are no more.

        A lapsed claim is free for everybody: its customer stands in the list by its priority and since its deadline, as
        it will once it has been swept. Of very many that have lapsed only those who wait longest are looked at.
        """
        head = self._spread(PLACE, shards.of(places.place_available, self.pool), length)
        if self.crowd.may_have_lapsed(self.call.now):
            due, until = shards.of(places.due_in, self.pool), between(DUE, high=self.call.now)
            lapsed = self._spread(DUE, due, min(length, MOST_LAPSED), until)
            if not lapsed:
                self.crowd.none_lapsed(self.call.now)
            head = sorted({*head, *lapsed})
        return head[:length]

    def _spread(
        self, index: str, partitions: Sequence[str], length: int, part: Condition | None = None
    ) -> list[Candidate]:
        """That many of a list, best first; enough of each shard for the best that are wanted, be they all in one."""
        if len(partitions) == 1:
            return self._listed(index, partitions[0], length, part)
        if self.crowd.reach(self.call.now):  # a crowd enters at a shard drawn at random, where it finds fewer others
            (at,) = self.call.backend.choose(range(len(partitions)), 1)
            if head := self._listed(index, partitions[at], length, part):
                return head
        each = min(length, max(self.wanted, self.width) + length // len(partitions))
        heads = self.call.backend.abreast([partial(self._listed, index, one, each, part) for one in partitions])
        return sorted(candidate for head in heads for candidate in head)[:length]

    def _listed(self, index: str, partition: str, length: int, part: Condition | None = None) -> list[Candidate]:
        """That many of one list, from its beginning; and none any more once it has come to its end."""
        found: list[Candidate] = []
        if partition in self.at_end:
            return found
        limit = length + len(self.passed)
        for page in self.call.backend.table.pages(partition, index=index, between=part, limit=limit):
            found += [each for item in page.items if (each := _candidate(index, item)).id not in self.passed]
            if len(found) >= length:
                return found[:length]
        self.at_end.update([] if found else [partition])
        return found

    def _chosen(self, candidates: Sequence[Candidate]) -> list[str]:
        """As many of the candidates as are wanted, without those whose copies show them closed to the caller."""
        table, copies = self.desk.table, self.desk.copies
        seen = [each.id for each in candidates]
        copied = copies.seen(self.desk.actor, seen)
        closed = self._closed(copies.look_up(table, self.desk.actor, seen))
        ahead = self._ahead(seen, closed)
        doubtful = [each for each in ahead if closed.get(each) in ENDED_BY_OTHERS and each in copied]
        if doubtful:  # or the copy is old: it was released, or restored, and is better than one that would be taken
            closed = {each: closed[each] for each in closed if each not in doubtful}
            closed |= self._closed(copies.read(table, self.desk.actor, doubtful))
        free = [each for each in seen if each not in closed]
        spare = free[self.wanted :]
        self.passed |= set(seen) - set(spare)
        self.crowd.spare(each for each in candidates if each.id in spare)
        gone = TAKEN in closed.values()
        if gone and not free:
            self.crowd.drop()
        self.width = self.count if len(free) >= self.wanted or gone else min(2 * len(seen), WIDEST_LOOK)
        self.lost = self._lost([each for each in seen if closed.get(each) == TAKEN])
        self.lost = self.lost and not self.crowd.reach(self.call.now)
        return free[: self.wanted]

    def _ahead(self, seen: Sequence[str], closed: Mapping[str, str]) -> Sequence[str]:
        """Those who stand before the last that would be taken; all, where there are too few to take."""
        free = [at for at, each in enumerate(seen) if each not in closed]
        return seen[: free[self.wanted - 1]] if len(free) >= self.wanted else seen

    def _closed(self, known: dict[str, Customer | None]) -> dict[str, str]:
        """Those that the caller may not claim as they are known, with the reason."""
        closed = {}
        for customer_id, customer in known.items():
            planned = self.plan(customer_id, customer)
            if isinstance(planned, Move):
                item = {} if customer is None else layout.customer_item(customer)
                refusal = first_broken(planned.rules, {planned.key: item})
                if refusal is not None:
                    closed[customer_id] = refusal.reason
        return closed

    # Claiming them

    def _claim(self, chosen: Sequence[str]) -> Refusal | None:
        """Claims those; the refusal about the caller among what came of it, if there is one."""
        if not chosen:
            return None
        first = max([self.position, *(at + 1 for at in self.taken)])
        self.position = first + len(chosen)
        results = attempt(self.desk, {first + at: each for at, each in enumerate(chosen)}, self.plan).results
        self.taken |= {at: result for at, result in results.items() if result.facts is not None}
        self.taken |= taken_before(self.desk.journal)
        refused = {result.id: result.refusal for result in results.values() if result.refusal is not None}
        self.lost = self._lost([each for each in refused if refused[each].reason == TAKEN]) or self.lost
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
        self.passed -= about_caller.keys()
        self.at_end.clear()
        return None

    def _lost(self, taken: Sequence[str]) -> bool:
        """Whether those were taken by a crowd. Another call of the same caller is none, unless it is met repeatedly."""
        actor, copies = self.desk.actor, self.desk.copies.seen(self.desk.actor, taken)
        others = [each for each in taken if each not in copies or not copies[each].held_by(actor.user, actor.now)]
        self.met_own += bool(taken) and not others
        return bool(others) or self.met_own > OWN_MEETINGS

    def _standing(self) -> Refusal | None:
        """Where nothing was taken: whether the caller might claim at all, once their lapsed claims are returned."""
        refusal = self._closed_to_caller()
        if refusal is None or refusal.reason != "holding_limit":
            return refusal
        self.desk.make_room(self.desk.actor.user)  # a sweep may have been faster: the member is looked at again anyway
        return self._closed_to_caller()

    def _closed_to_caller(self) -> Refusal | None:
        actor = self.desk.actor
        quota = Quota(actor.member_key, actor.policy, actor.now, 1, home=actor.home)
        member = rules.member(actor.member_key)
        refusing = self.desk.table.write([Check(actor.member_key, member.condition & quota.condition())])
        if refusing is None:
            return None
        stored = refusing[actor.member_key]
        return first_broken([member], refusing) or next(iter(quota.refusals(stored, 0)), None)


def _candidate(index: str, item: Item) -> Candidate:
    """Where that item of an index stands among those that may be taken."""
    rank = plain(item["rank"]) if index == PLACE else plain(item["due_at"]) - _priority(item) * PRIORITY_STEP
    return Candidate(rank, layout.id_in(item["pk"]["S"]))


def _priority(item: Item) -> int:
    return plain(item["priority"]) if "priority" in item else 0
