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
    without = " / ".join(f"{month.without_polling(people, each):,.0f}" for people in month.SIZES)
    assert f"Without the polling of the console it is {without}." in page


def test_the_bill_grows_with_every_part_of_the_day(each: dict[str, Counted]) -> None:
    whole = sum(month.month(500, each).values())

    parts = {name: whole - sum(month.month(500, each, {**month.DAILY, name: 0}).values()) for name in month.DAILY}

    assert min(parts.values()) > 0
    assert max(parts, key=lambda name: parts[name]) == "poll"


def test_a_page_is_read_from_an_index_and_a_poll_from_each_customer_and_its_fields(each: dict[str, Counted]) -> None:
    assert (each["page"].calls, each["page"].reads) == (2, 2)
    assert (each["poll"].calls, each["poll"].reads) == (2, 41)
    assert each["search"].calls <= 6 and round(each["search"].reads) == 21


def test_idle_pools_cost_what_the_page_states() -> None:
    assert rows_of("100", 5) == month.idle_table()


def test_the_lag_of_the_sweep_is_that_of_the_page() -> None:
    assert rows_of("100,000", 6) == list(scale.lags())


def test_the_price_of_an_idle_stage_is_that_of_the_runbook() -> None:
    assert f"costs about {month.IDLE:.2f} USD a month" in (ROOT / "docs/operations.md").read_text(encoding="utf-8")
