"""Statistics in the console: by period, by day, by member and by a field; for a member their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.pages import Browser, Console, Team


def tile(console: Console, name: str) -> Any:
    """Return the number of that name."""
    term = console.page.get_by_role("term").get_by_text(name, exact=True)
    return console.page.locator(".tile").filter(has=term).get_by_role("definition")


def test_statistics_are_drawn_and_listed_as_numbers(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2"]})
    team.call("alice", "POST", "/customers/c1/release")

    mona = browser.open_console("mona", tab="statistics")
    charts = mona.page.get_by_role("img")
    expect(charts).to_have_count(3)
    expect(charts.nth(1).locator("rect.one")).to_have_count(1)
    expect(charts.nth(1).locator("rect.two")).to_have_count(1)
    mona.page.get_by_text("In numbers").last.click()

    last = " ".join(["mona", "2", *["0"] * 7, "–", "–"])
    expect(mona.page.get_by_role("row").last).to_have_text(last, use_inner_text=True)
    expect(tile(mona, "Available now")).to_have_text("1")
    expect(tile(mona, "Claimed now")).to_have_text("1")


@pytest.mark.parametrize("days", ["7", "90"])
def test_statistics_of_another_period_are_drawn_by_day(browser: Browser, team: Team, days: str) -> None:
    mona = browser.open_console("mona", tab="statistics")

    mona.page.get_by_label("Period").select_option(days)

    expect(mona.page.get_by_role("img", name="Claims begun").locator("g")).to_have_count(int(days))


def test_the_way_from_entered_to_won_has_a_number_for_each_step(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex", "Initech", "Umbrella")
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2"]})
    team.call("mona", "POST", "/customers/c3/assign", {"to": "bob"})
    team.call("alice", "POST", "/customers/c1/follow-up", {"note": "called"})
    team.call("mona", "POST", "/customers/c1/win", {"amount": "1200.50"})

    mona = browser.open_console("mona", tab="statistics")
    mona.page.get_by_role("img", name="From entered to won").wait_for()
    mona.page.get_by_text("In numbers").first.click()
    steps = mona.page.get_by_role("region", name="In numbers").first.get_by_role("cell")

    expect(mona.page.get_by_role("rowheader")).to_contain_text(["Entered", "Claimed or assigned", "Followed up", "Won"])
    expect(steps).to_have_text(["4", "3", "1", "1"])
    expect(tile(mona, "Amount won")).to_have_text("1,200.5")
    expect(tile(mona, "Half followed up within")).to_have_text("1 min")


def test_a_month_is_chosen_by_its_name_and_survives_a_reload(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    this_month = datetime.now(UTC).strftime("%Y-%m")
    mona = browser.open_console("mona", tab="statistics")

    mona.page.get_by_label("Period").select_option(this_month)
    expect(tile(mona, "Entered")).to_have_text("1")
    mona.page.get_by_label("Period").select_option(index=5)
    expect(tile(mona, "Entered")).to_have_text("0")
    mona.page.reload()

    expect(tile(mona, "Entered")).to_have_text("0")
    assert mona.page.get_by_label("Period").input_value() < this_month


def test_statistics_by_a_field_list_its_values(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex", "Initech")
    for customer in ("c1", "c2"):
        team.call("mona", "PATCH", f"/customers/{customer}", {"fields": {"city": "Lyon"}})
    team.call("alice", "POST", "/customers/c1/claim")
    mona = browser.open_console("mona", tab="statistics")

    mona.page.get_by_label("Broken down by").select_option("city")
    rows = mona.page.get_by_role("region", name="By City").get_by_role("row")
    expect(rows).to_have_count(3)

    listed = {row.split("\t")[0]: row.split("\t")[1:4] for row in rows.all_inner_texts()[1:]}
    assert listed == {"Lyon": ["2", "1", "1"], "None": ["1", "1", "0"]}


def test_members_see_their_own_statistics(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex", "Initech")
    team.call("alice", "POST", "/customers/c1/claim")
    team.call("bob", "POST", "/claim", {"customer_ids": ["c2", "c3"]})

    alice = browser.open_console("alice", tab="statistics")

    alice.page.get_by_text("These are your own numbers.").wait_for()
    expect(tile(alice, "Claimed")).to_have_text("1")
