"""Remember, per process, how much the callers of claim-next collide, and which candidates to try next.

A single caller takes exactly the head of the list, and nothing is remembered. Concurrent callers read the same head and
would try the same few customers. So each process shuffles a longer head and uses it for several requests. All of this
is a hint: only the claim decides whether a customer is available.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Final, NamedTuple

MIN_SPREAD: Final = 100  # number of candidates that callers are spread over after one collision
MAX_SPREAD: Final = 400  # and after many
BATCH: Final = 4  # read together under contention: the next caller may try the unused ones without a read
MAX_AGE_MS: Final = 2_000  # an older head has mostly been taken by others
QUIET_MS: Final = 10_000  # contention ends after this time without a collision


class Candidate(NamedTuple):
    """A customer to try. Candidates sort like the list: the lowest `rank` first."""

    rank: int
    id: str


class CandidatePool:
    """The candidates of one pool. Thread-safe: no two threads get the same candidate of one head."""

    def __init__(self) -> None:
        self._reach = self._reached = 0
        self._collided_at = self._read_at = self._none_expired_at = -QUIET_MS
        self._head: list[Candidate] = []
        self._spare: list[Candidate] = []
        self._lock = Lock()

    def reach(self, now: int) -> int:
        """Return how many extra candidates callers are spread over; 0 without contention."""
        return self._reach if now - self._collided_at < QUIET_MS else 0

    def learn(self, collided: bool, now: int) -> None:
        """Spread callers further after a collision, and less after a search without one."""
        reach = self.reach(now)
        with self._lock:
            if not collided:
                self._reach = max(reach - 1, 0)
                return
            self._reach, self._collided_at, self._spare = min(4 * reach + MIN_SPREAD, MAX_SPREAD), now, []
            if self._reach > 2 * self._reached:  # the head is too short for this contention
                self._head = []

    # The head of the list

    def remember(self, shuffled: Sequence[Candidate], now: int) -> None:
        """Store a head that was just read, in the order in which to try it."""
        with self._lock:
            self._head, self._spare = list(shuffled), []
            self._read_at, self._reached = now, max(self._reach, MIN_SPREAD)

    def take(self, count: int, now: int, passed: Callable[[str], bool]) -> list[Candidate]:
        """Remove and return up to `count` candidates: returned ones first, then those not `passed`."""
        with self._lock:
            if now - self._read_at > MAX_AGE_MS:
                self._head, self._spare = [], []
            spare, self._spare = self._spare, []
            more = 0 if len(spare) >= count else max(count, BATCH) - len(spare)
            head = [each for each in self._head if not passed(each.id)]
            self._head = head[more:]
            return [*spare, *head[:more]]

    def spare(self, candidates: Iterable[Candidate]) -> None:
        """Give back unused candidates that were just read as available. They are tried first."""
        with self._lock:
            self._spare += candidates

    def drop(self) -> None:
        """Discard a stale head, after a whole batch of it was taken."""
        with self._lock:
            self._head, self._spare = [], []

    # Expired claims

    def may_have_expired(self, now: int) -> bool:
        """Return whether to look for expired claims. Without contention, always."""
        return not self.reach(now) or now - self._none_expired_at > MAX_AGE_MS

    def none_expired(self, now: int) -> None:
        self._none_expired_at = now
