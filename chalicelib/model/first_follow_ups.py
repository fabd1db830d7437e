"""The time from the beginning of a claim to its first follow-up: how it is counted, and its percentiles. Pure.

Statistics count the claims of a day by this time, rounded up: to a minute within an hour, to a day after a week. So a
member's day has few counters, and the counts of days and members can be added. The name of a counter has the minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from chalicelib.model.times import DAY, HOUR, MINUTE

_STEPS: Final = ((HOUR, MINUTE), (8 * HOUR, 5 * MINUTE), (DAY, 15 * MINUTE), (7 * DAY, HOUR))  # up to, rounded to
_LONGEST: Final = 400 * DAY
_COUNTER: Final = re.compile(r"f([0-9]{1,6})")


def counter_of(elapsed_ms: int) -> str:
    """Return the name of the counter for this time."""
    elapsed = min(max(elapsed_ms, 0), _LONGEST)
    step = next((step for limit, step in _STEPS if elapsed <= limit), DAY)
    return f"f{-(-elapsed // step) * step // MINUTE}"


def minutes_of(counter: str) -> int | None:
    """Return the time of a counter in minutes; None for a counter of something else."""
    found = _COUNTER.fullmatch(counter)
    return None if found is None else int(found[1])


def counts_by_minutes(counters: Mapping[str, int]) -> dict[int, int]:
    """Return the number of claims by their time in minutes, in ascending order."""
    found = {minutes: counters[name] for name in counters if (minutes := minutes_of(name)) is not None}
    return dict(sorted(found.items()))


def percentile(counts: Mapping[int, int], percent: int) -> int | None:
    """Return the time within which `percent` of the claims were followed up, in minutes; None without any.

    `counts` is in ascending order.
    """
    needed = -(-sum(counts.values()) * percent // 100)
    for minutes, count in counts.items():
        needed -= count
        if needed <= 0:
            return minutes
    return None
