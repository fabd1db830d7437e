"""The time to the first follow-up: rounded up for its counter, added over days, read as percentiles."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from chalicelib.model.first_follow_ups import counter_of, counts_by_minutes, minutes_of, percentile
from chalicelib.model.times import DAY, HOUR, MINUTE, SECOND, duration_ms, duration_text


@pytest.mark.parametrize(
    ("elapsed", "minutes"),
    [
        (-SECOND, 0), (0, 0), (1, 1), (MINUTE, 1), (MINUTE + 1, 2), (HOUR, 60), (HOUR + 1, 65), (2 * HOUR, 120),
        (8 * HOUR, 480), (8 * HOUR + 1, 495), (DAY, 1_440), (DAY + 1, 1_500), (7 * DAY, 10_080),
        (7 * DAY + 1, 11_520), (400 * DAY, 576_000), (4_000 * DAY, 576_000),
    ],
)  # fmt: skip
def test_a_time_is_rounded_up_to_its_step(elapsed: int, minutes: int) -> None:
    assert minutes_of(counter_of(elapsed)) == minutes


def test_other_counters_have_no_time() -> None:
    assert [minutes_of(name) for name in ("followed_up", "f", "f1x", "won_cents", "f1234567")] == [None] * 5
    assert counts_by_minutes({"won": 3, "f60": 2, "f5": 1}) == {5: 1, 60: 2}


@given(st.lists(st.integers(0, 400 * 1_440), min_size=1, max_size=40), st.sampled_from([50, 90]))
def test_a_percentile_is_the_least_time_within_which_that_share_is(times: list[int], percent: int) -> None:
    counts = {minutes: times.count(minutes) for minutes in sorted(set(times))}

    found = percentile(counts, percent)

    assert found is not None and sum(each <= found for each in times) * 100 >= percent * len(times)
    assert sum(each < found for each in times) * 100 < percent * len(times)


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 50) is None


@given(st.integers(1, 600_000))
def test_minutes_are_written_as_a_duration(minutes: int) -> None:
    assert duration_ms(duration_text(minutes)) == minutes * MINUTE
    assert (duration_text(0), duration_text(1_500), duration_text(2_880)) == ("PT0M", "P1DT1H", "P2D")
