"""The figures of docs/scale.md are those that the programs in `benchmarks` compute."""

from __future__ import annotations

import pytest

from benchmarks import month, scale
from benchmarks.month import Counted
from tests.support.pages import ROOT, tables

PAGE = "docs/scale.md"


def rows_of(first: str, columns: int) -> list[list[str]]:
    """Return the rows of the table with that first cell and that many columns."""
    (found,) = (rows for rows in tables(PAGE) if rows[0][0] == first and len(rows[0]) == columns)
    return found


@pytest.fixture(scope="module")
def each() -> dict[str, Counted]:
    return month.counted()


def test_the_bill_of_a_month_is_that_of_the_page(each: dict[str, Counted]) -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")

    assert rows_of("50", 11) == month.table(each)
    without, most = month.with_polls(0, each), month.with_polls(month.ALWAYS, each)
    assert f"Without any polling it is {without}; with {month.ALWAYS} polls, one in each minute, {most}." in page
    assert f"polls {month.polls()} times" in page


def test_a_used_console_polls_each_minute_and_an_unused_one_every_five() -> None:
    page = (ROOT / "chalicelib/page/store.js").read_text(encoding="utf-8")

    assumed = {"REFRESH": month.EVERY, "IDLE_REFRESH": month.EVERY_IDLE, "IDLE_AFTER": month.USED_FOR}
    assert all(f"const {name}_MS = {60_000 * minutes:_};" in page for name, minutes in assumed.items())


def test_the_bill_grows_with_every_part_of_the_day(each: dict[str, Counted]) -> None:
    whole = sum(month.month(500, each).values())

    names = [*month.DAILY, "poll"]
    parts = {name: whole - sum(month.month(500, each, {name: 0}).values()) for name in names}

    assert min(parts.values()) > 0
    assert max(parts, key=lambda name: parts[name]) == "page"


def test_a_page_is_read_from_an_index_and_a_poll_for_half_a_unit_a_row(each: dict[str, Counted]) -> None:
    assert (each["page"].calls, each["page"].reads) == (2, 1.5)
    assert (each["poll"].calls, each["poll"].reads) == (2, 11)
    assert each["search"].calls <= 6 and round(each["search"].reads) == 16


def test_idle_pools_cost_what_the_page_states() -> None:
    assert rows_of("100", 5) == month.idle_table()


def test_the_lag_of_the_sweep_is_that_of_the_page() -> None:
    assert rows_of("100,000", 6) == list(scale.lags())


def test_the_price_of_an_idle_stage_is_that_of_the_runbook() -> None:
    assert f"costs about {month.IDLE:.2f} USD a month" in (ROOT / "docs/operations.md").read_text(encoding="utf-8")
