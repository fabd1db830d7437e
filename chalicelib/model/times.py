"""Time conversions: epoch milliseconds inside, RFC 3339 and ISO 8601 in requests and responses.

Nothing here reads a clock: the current time is always an argument.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 86_400 * SECOND

# Years and months are left out: they have no fixed length, and a deadline must be one number.
_DURATION = re.compile(r"P(?:([0-9]+)W|(?:([0-9]+)D)?(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?)")
DURATION_PATTERN: Final = f"^(?!P$){_DURATION.pattern}$"
_UNITS = (7 * DAY, DAY, HOUR, MINUTE, SECOND)
_LONGEST: Final = 100 * 366 * DAY
LAST: Final = 253_402_300_799_999  # the last millisecond of 9999
_FIRST_DAY, _LAST_DAY = "0001-01-03", "9999-12-29"  # with a day beside them in any zone
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def rfc3339(ms: int) -> str:
    """Return RFC 3339: 1764547200123 → `2025-12-01T00:00:00.123Z`. Cached: a response has each time about twice."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"  # strftime does not pad years before 1000


def epoch_ms(moment: datetime) -> int:
    """Return epoch milliseconds of an aware datetime, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=1024)
def duration_ms(text: str) -> int:
    """Return a duration such as `P30D` in milliseconds. Raises ValueError with a key of `validation.SENTENCES`."""
    match = _DURATION.fullmatch(text)
    if match is None or len(text) > 32 or text == "P":
        raise ValueError("duration")
    total = sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True))
    if not 0 < total <= _LONGEST:
        raise ValueError("duration_length")
    return total


def duration_text(minutes: int) -> str:
    """Return minutes as an ISO 8601 duration: 1500 → `P1DT1H`."""
    days, rest = divmod(minutes, DAY // MINUTE)
    hours, rest = divmod(rest, HOUR // MINUTE)
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (rest, "M")) if count)
    if not days and not clock:
        return "PT0M"
    return "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone of that name. Raises ValueError with a key of `validation.SENTENCES`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("time_zone") from error


@lru_cache(maxsize=1)
def _listed_zones() -> frozenset[str]:
    """Return the time zones that tzdata lists, without `Factory`, which stands for an unset clock."""
    from importlib.resources import files  # needed only when a policy is written

    listed = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(listed) - {"Factory"}


def listed_zone(name: str) -> ZoneInfo:
    """Return the IANA time zone of that name if tzdata lists it. Raises ValueError otherwise.

    A system's zone folder has more: `localtime`, `posixrules` and `right/...` differ between machines.
    """
    if name not in _listed_zones():
        raise ValueError("time_zone")
    return zone(name)


def local_day(ms: int, tz: ZoneInfo) -> str:
    """Return the calendar day of `ms` in that zone: `2026-11-23`."""
    return datetime.fromtimestamp(ms / 1000, tz).date().isoformat()


def start_of(day: str, tz: ZoneInfo) -> int:
    """Return when that day begins, in epoch milliseconds."""
    return midnight_after((date.fromisoformat(day) - timedelta(days=1)).isoformat(), tz)


def moments_of(since: str, to: str, tz: ZoneInfo) -> tuple[int, int]:
    """Return the first and the last millisecond of the days from `since` to `to`, in that zone."""
    first, last = (min(max(day, _FIRST_DAY), _LAST_DAY) for day in (since, to))
    return start_of(first, tz), midnight_after(last, tz) - 1


def first_midnight(ms: int, tz: ZoneInfo) -> int:
    """Return the first start of a day in that zone at or after `ms`."""
    day = local_day(ms, tz)
    begun = start_of(day, tz)
    return begun if begun >= ms else midnight_after(day, tz)


def midnight_after(day: str, tz: ZoneInfo) -> int:
    """Return when that day ends. The date is advanced before the zone is applied: days may have 23 or 25 hours."""
    tomorrow = date.fromisoformat(day) + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=tz)
    return int(midnight.timestamp() * 1000)
