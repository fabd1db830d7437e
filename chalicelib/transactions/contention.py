"""What a process remembers of the callers of claim-next: how much they collide, and whom it may try for the next one.

Alone, a caller takes exactly the head of the list, and nothing is remembered. In a crowd everybody reads the same head
and would try for the same few, so each process shuffles a longer one, and goes through it call after call. All of that
is a hint: whether a customer may be had, the claim decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Final, NamedTuple

MIN_SPREAD: Final = 100  # how far down the list callers are spread who have collided once
MAX_SPREAD: Final = 400  # and how far a large crowd
BATCH: Final = 4  # read together in a crowd: what one caller leaves of them, the next may try without reading
MAX_AGE_MS: Final = 2_000  # longer, and others would have taken most of a head
QUIET_MS: Final = 10_000  # without a collision for so long, a crowd has dispersed


class Candidate(NamedTuple):
    """Whom to try. They sort as the list does: by `rank`, which is less the better."""

    rank: int
    id: str


class CandidatePool:
    """Of one pool. Safe to use from many threads: no two are given the same candidate of one head."""

    def __init__(self) -> None:
        self._reach = self._reached = 0
        self._collided_at = self._read_at = self._none_lapsed_at = -QUIET_MS
        self._head: list[Candidate] = []
        self._spare: list[Candidate] = []
        self._lock = Lock()

    def reach(self, now: int) -> int:
        """How far beyond what they want callers are spread; 0 while each has the list to themself."""
        return self._reach if now - self._collided_at < QUIET_MS else 0

    def learn(self, collided: bool, now: int) -> None:
        """Further with each collision, closer with each search without one."""
        reach = self.reach(now)
        with self._lock:
            if not collided:
                self._reach = max(reach - 1, 0)
                return
            self._reach, self._collided_at, self._spare = min(4 * reach + MIN_SPREAD, MAX_SPREAD), now, []
            if self._reach > 2 * self._reached:  # the head is too short for such a crowd
                self._head = []

    # The head of the list

    def remember(self, shuffled: Sequence[Candidate], now: int) -> None:
        """A head that was just read, in the order in which it is to be tried."""
        with self._lock:
            self._head, self._spare = list(shuffled), []
            self._read_at, self._reached = now, max(self._reach, MIN_SPREAD)

    def take(self, count: int, now: int, passed: Callable[[str], bool]) -> list[Candidate]:
        """As many as are left, and nobody else's from now on: first what was spared, then without those passed."""
        with self._lock:
            if now - self._read_at > MAX_AGE_MS:
                self._head, self._spare = [], []
            spare, self._spare = self._spare, []
            more = 0 if len(spare) >= count else max(count, BATCH) - len(spare)
            head = [each for each in self._head if not passed(each.id)]
            self._head = head[more:]
            return [*spare, *head[:more]]

    def spare(self, candidates: Iterable[Candidate]) -> None:
        """Those were free a moment ago and not needed: they are tried first."""
        with self._lock:
            self._spare += candidates

    def drop(self) -> None:
        """The head has grown old: a whole handful of it was gone."""
        with self._lock:
            self._head, self._spare = [], []

    # Lapsed claims

    def may_have_expired(self, now: int) -> bool:
        """Whether a crowd has to look for lapsed claims; whoever is alone always does."""
        return not self.reach(now) or now - self._none_lapsed_at > MAX_AGE_MS

    def none_expired(self, now: int) -> None:
        self._none_lapsed_at = now
