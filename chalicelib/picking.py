"""Claim-next: finds the best customers for whoever asks, and claims them.

The lists are a moment late and copies may be stale, so what is found here is only worth trying: the claim is the
ordinary one, and decides. A search has an end, however many customers at the head are closed to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chalicelib import layout, rules
from chalicelib.claiming import claim_plan, desk_with_room
from chalicelib.context import Call
from chalicelib.journal import WHOLE, Result
from chalicelib.layout import DUE, PLACE
from chalicelib.moves import Move
from chalicelib.records import Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Quota, first_broken
from chalicelib.settling import Desk, attempt
from chalicelib.table import Check, between

LOOKS: Final = 12  # each twice as wide as the one before: about a thousand customers, then it gives up
WIDEST_LOOK: Final = 200
WIDEST_SPREAD: Final = 400  # how far down the list a crowd is spread
OWN_LIMITS: Final = frozenset(("not_a_member", "pool_not_open", "daily_limit", "holding_limit"))
TAKEN: Final = "already_claimed"


def claim_next(call: Call, pool_id: str, count: int) -> dict[str, Any]:
    """Takes the best available customers: highest priority, then longest waiting; up to `count`, maybe none.

    Raises Refused only when a rule about the caller allows none at all.
    """
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool)
    search = _Search(call, pool, desk, count)
    refusal = search.run() if pool.status == "open" else Refusal("pool_not_open")
    items = [result.body for _, result in sorted(search.taken.items()) if result.body is not None]
    end = Result("", refusal=refusal) if refusal is not None and not items else Result("", {"items": items})
    if desk.journal is not None:
        end = desk.journal.close(desk.table, {WHOLE: end})[WHOLE]
    if end.refusal is not None:
        raise Refused(end.refusal)
    return end.body or {}


class _Search:
    """One caller's way down the list. `passed` have been tried, or were closed to the caller."""

    def __init__(self, call: Call, pool: Pool, desk: Desk, count: int) -> None:
        self.call, self.pool, self.desk, self.count = call, pool, desk, count
        self.taken: dict[int, Result] = {} if desk.journal is None else dict(desk.journal.answers)
        self.plan = claim_plan(call, pool, desk.actor)
        self.passed: set[str] = set()
        self.width, self.position = count, 0
        self.lost = False

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
            self._learn()
            if stopping is not None:
                return stopping
        return None if self.taken else self._standing()

    def _over(self) -> bool:
        """An earlier attempt with this Idempotency-Key came to its end."""
        return self.desk.journal is not None and WHOLE in self.desk.journal.answers

    # Whom to try

    def _candidates(self) -> list[str]:
        """The next ids, best first: of those in the pool or, when there are none, of those whose claims have lapsed.

        Alone, exactly the head of the list. Where callers have been colliding, each picks at random from a head that is
        as much longer as the collisions ask for, and that shrinks back as they cease.
        """
        tenant, pool, now = self.pool.tenant, self.pool.id, self.call.now
        reach, count = self._reach(), max(self.wanted, self.width)
        head = self._head(count + reach, layout.place_available(tenant, pool), index=PLACE)
        head = head or self._head(
            count + reach, layout.due_in(tenant, pool), index=DUE, between=between(DUE, high=now)
        )  # fmt: skip
        if not reach:
            return head[:count]
        chosen = set(self.call.backend.choose(range(len(head)), min(count, len(head))))
        return [each for at, each in enumerate(head) if at in chosen]

    def _head(self, length: int, partition: str, **asked: Any) -> list[str]:
        """That many of a list, from its head, without those passed; fewer where it ends."""
        head: list[str] = []
        for page in self.call.backend.table.pages(partition, limit=length + len(self.passed), **asked):
            head += [each for key in page.keys if (each := layout.id_in(key.pk)) not in self.passed]
            if len(head) >= length:
                break
        return head[:length]

    def _chosen(self, seen: Sequence[str]) -> list[str]:
        """As many of the candidates as are wanted, without those whose copies show them closed to the caller."""
        table, copies = self.desk.table, self.desk.copies
        closed = self._closed(copies.look_up(table, self.desk.actor, seen))
        doubtful = [each for each, reason in closed.items() if reason == TAKEN]
        if doubtful and len(seen) - len(closed) < self.wanted:  # or the copy is old, and somebody has released it
            closed = {each: closed[each] for each in closed if each not in doubtful}
            closed |= self._closed(copies.read(table, self.desk.actor, doubtful))
        free = [each for each in seen if each not in closed]
        self.passed |= set(seen) - set(free[self.wanted :])
        self.width = self.count if len(free) >= self.wanted else min(2 * len(seen), WIDEST_LOOK)
        self.lost = TAKEN in closed.values()
        return free[: self.wanted]

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
        self.taken |= {at: result for at, result in results.items() if result.body is not None}
        self.taken |= {} if self.desk.journal is None else self.desk.journal.answers
        refusals = [result.refusal for result in results.values() if result.refusal is not None]
        self.lost = self.lost or any(refusal.reason == TAKEN for refusal in refusals)
        return next((refusal for refusal in refusals if refusal.reason in OWN_LIMITS), None)

    def _reach(self) -> int:
        """How far beyond what it wants this process spreads the callers of this pool."""
        return self.call.backend.crowds.get((self.pool.tenant, self.pool.id), 0)

    def _learn(self) -> None:
        """How crowded the head of the list is: further with each collision, closer with each search without one."""
        reach = min(2 * self._reach() + 4, WIDEST_SPREAD) if self.lost else max(self._reach() - 1, 0)
        self.call.backend.crowds[self.pool.tenant, self.pool.id] = reach

    def _standing(self) -> Refusal | None:
        """Where nothing was taken: whether the caller might claim at all."""
        actor = self.desk.actor
        quota = Quota(actor.member_key, actor.policy, actor.now, 1)
        member = rules.member(actor.member_key)
        refusing = self.desk.table.write([Check(actor.member_key, member.condition & quota.condition())])
        if refusing is None:
            return None
        stored = refusing[actor.member_key]
        return first_broken([member], refusing) or next(iter(quota.refusals(stored, 0)), None)
