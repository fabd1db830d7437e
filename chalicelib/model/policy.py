"""The policy of a pool: its settings, their validation, and the deadlines that they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from chalicelib.model import times
from chalicelib.model.normalization import known_region
from chalicelib.model.text import LONGEST_FIELD_NAME, check_field_name
from chalicelib.model.validation import FieldError

WinMode: TypeAlias = Literal["approval", "holder", "manager"]
Readers: TypeAlias = Literal["holder", "pool"]
OwnersPool: TypeAlias = Literal["pool"]
Bypass: TypeAlias = Literal[
    "max_hold_without_cooldown", "win_holder_without_private_limit", "pin_limit_without_max_pin",
    "follow_up_restarts_clock_without_max_hold",
]  # fmt: skip
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Duration: TypeAlias = Annotated[  # `Policy.problems` validates it and reports errors
    str, Meta(extra_json_schema={"pattern": times.DURATION_PATTERN, "maxLength": 32, "examples": ["P30D", "PT15M"]})
]

Region: TypeAlias = Annotated[  # validated there too
    str, Meta(extra_json_schema={"pattern": "^[A-Z]{2}$", "examples": ["CN"]})
]


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of one pool. Durations are ISO 8601 text as the manager wrote them; null switches a setting off."""

    holding_limit: Count | None = None
    daily_claim_limit: Count | None = None
    claim_ttl: Duration | None = None
    idle_ttl: Duration | None = None
    cooldown: Duration | None = None
    embargo: Duration | None = None
    max_extensions: Count | None = None
    extension: Duration | None = None
    max_hold: Duration | None = None
    members_may_extend: bool | None = None
    follow_up_restarts_clock: bool | None = None
    pin_limit: Count | None = None
    max_pin: Duration | None = None
    max_returns: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    reason_required: bool | None = None
    masked_fields: (
        Annotated[tuple[Annotated[str, Meta(max_length=LONGEST_FIELD_NAME)], ...], Meta(max_length=32)] | None
    ) = ()
    notes_visible_to: Readers | None = None
    reminders: Annotated[tuple[Duration, ...], Meta(max_length=8)] | None = ()
    time_zone: str | None = None
    phone_region: Region | None = None
    strict_fields: bool | None = None
    win: WinMode | None = None
    private_limit: Count | None = None
    private_ttl: Duration | None = None
    private_visible_to: OwnersPool | None = None
    win_review: Duration | None = None
    sweep_breaker: Annotated[float, Meta(gt=0, le=1)] | None = None

    DURATIONS: ClassVar[tuple[str, ...]] = (
        "claim_ttl", "idle_ttl", "cooldown", "embargo", "extension", "max_hold", "max_pin", "win_review",
        "private_ttl",
    )  # fmt: skip

    def problems(self) -> list[FieldError]:
        """Return the validation errors beyond the types; an empty list if the policy is valid."""
        found = []
        checks: list[tuple[str, Callable[[str], object], str | None]]
        checks = [(name, times.duration_ms, text) for name, text in self._durations()]
        checks += [("time_zone", times.listed_zone, self.time_zone), ("phone_region", known_region, self.phone_region)]
        checks += [("masked_fields", check_field_name, name) for name in self.masked_fields or ()]
        for name, check, text in checks:
            try:
                if text is not None:
                    check(text)
            except ValueError as error:
                found.append(FieldError(str(error), name))
        return found

    @property
    def notes_readers(self) -> Readers:
        """Return the readers, besides managers, of text that people wrote: the effective value."""
        return self.notes_visible_to or "holder"

    @property
    def win_mode(self) -> WinMode:
        """Return how a claim is won: the effective value."""
        return self.win or "approval"

    @property
    def review(self) -> str:
        """Return how long an open win request delays the deadline: the effective value."""
        return self.win_review or "P7D"

    @property
    def region(self) -> str:
        """Return the region whose phone numbers need no country code: the effective value."""
        return self.phone_region or "CN"

    @property
    def warnings(self) -> list[Bypass]:
        """Return which settings leave a way around a limit open (rule 17)."""
        opened: dict[Bypass, bool] = {
            "max_hold_without_cooldown": self.max_hold is not None and self.cooldown is None,
            "win_holder_without_private_limit": self.win_mode == "holder" and self.private_limit is None,
            "pin_limit_without_max_pin": bool(self.pin_limit) and self.max_pin is None,
            "follow_up_restarts_clock_without_max_hold": bool(self.follow_up_restarts_clock) and self.max_hold is None,
        }
        return [bypass for bypass, is_open in opened.items() if is_open]

    def check_stored(self) -> None:
        """Raise ValueError for an invalid stored duration or time zone. Cheaper than `problems`."""
        for _, text in self._durations():
            times.duration_ms(text)
        times.zone(self.time_zone or "UTC")

    def _durations(self) -> list[tuple[str, str]]:
        """Return each duration with the name of its setting."""
        single = [(name, text) for name in self.DURATIONS if (text := getattr(self, name)) is not None]
        return single + [("reminders", text) for text in self.reminders or ()]

    def length(self, setting: str) -> int | None:
        """Return the duration of a setting in milliseconds, or None if it is off."""
        text = getattr(self, setting)
        return None if text is None else times.duration_ms(text)

    def day(self, now: int) -> str:
        """Return the local day on which a claim made `now` counts."""
        return times.local_day(now, times.zone(self.time_zone or "UTC"))

    def day_ends(self, now: int, counted: str) -> int:
        """Return when the local day ends, or the `counted` day if that is later: clocks or zones may differ."""
        return times.midnight_after(max(self.day(now), counted), times.zone(self.time_zone or "UTC"))

    def deadline(self, claimed_at: int, active_at: int, held_since: int) -> int | None:
        """Return when a claim expires, or None. The only formula of a deadline (rule 13)."""
        ttl_starts = active_at if self.follow_up_restarts_clock else claimed_at
        clocks = (("claim_ttl", ttl_starts), ("idle_ttl", active_at), ("max_hold", held_since))
        ends = [start + length for setting, start in clocks if (length := self.length(setting)) is not None]
        return min(ends, default=None)

    def private_deadline(self, active_at: int) -> int | None:
        """Return when a private customer returns to the pool, or None (rule 31)."""
        length = self.length("private_ttl")
        return None if length is None else active_at + length
