"""Mistaken input: the console understands it, or shows the error in the reader's language."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.pages import Browser, Team, open_section
from tests.console.test_members import claim_for_alice


@pytest.mark.parametrize("text", ["4711234", "n@vers"])
def test_a_part_of_a_number_or_an_address_is_searched_in_names(browser: Browser, team: Team, text: str) -> None:
    team.customers("Acme", "Globex 4711234", "Cn@vers")
    alice = browser.open_console("alice")

    alice.page.get_by_role("searchbox").fill(text)
    alice.button("pool.find").click()

    expect(alice.listed).to_have_count(1)
    assert text in alice.names()[0]


def test_a_search_for_nothing_visible_lists_everything(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")

    alice.page.get_by_role("searchbox").fill("\u200b")
    alice.button("pool.find").click()
    alice.page.wait_for_function("location.hash.includes('q=')")
    alice.wait_until_loaded()

    expect(alice.listed).to_have_count(2)


def test_a_kept_address_with_a_filter_that_the_pool_has_no_more_lists_customers(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")

    alice.page.evaluate("location.hash = '#/p/pool?f.region=North'")

    alice.page.wait_for_function("location.hash.includes('region')")
    expect(alice.listed).to_have_text(["Acme"])


@pytest.mark.parametrize(("language", "start"), [("en", "Note / Outcome: "), ("zh", "跟进内容 / 跟进结果：")])
def test_an_empty_follow_up_is_refused_by_the_names_of_its_fields(
    browser: Browser, team: Team, language: str, start: str
) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", language, tab="mine")

    alice.button("follow_up.name", name="Acme").click()
    alice.button("follow_up.save").click()

    expect(alice.page.get_by_role("alert").filter(has_text=start)).to_have_count(1)


def test_a_new_field_with_the_key_of_another_one_replaces_nothing(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "fields")

    mona.button("fields.add").click()
    mona.dialog.get_by_label("Key").fill("city")
    mona.dialog.get_by_label("Name in Chinese").fill("城区")
    mona.dialog.get_by_label("Name in English").fill("District")
    mona.button("save", mona.dialog).click()

    mona.dialog.get_by_text("The field City has this key already.").wait_for()
    [city] = [each for each in team.call("mona", "GET").json["fields"] if each["key"] == "city"]
    assert (city["label"]["en"], city["filter"]) == ("City", True)


def test_a_manager_who_is_added_again_stays_a_manager(browser: Browser, team: Team) -> None:
    root = open_section(browser, "members", user="root")

    root.button("members.add").click()
    root.dialog.get_by_label("User", exact=True).fill("mona")
    root.button("save", root.dialog).click()

    root.dialog.get_by_text("mona is already a member.").wait_for()
    assert team.call("root", "GET", "/members/mona").json["role"] == "manager"


def test_the_id_of_another_pool_is_named_as_the_reason(browser: Browser, team: Team) -> None:
    root = open_section(browser, "state", user="root")

    root.button("pools.create").click()
    root.dialog.get_by_label("Name").fill("Second")
    root.dialog.get_by_label("Id").fill("p")
    root.button("pools.create", root.dialog).click()

    root.dialog.get_by_text("Another pool has this id already.").wait_for()


def test_a_trial_for_new_claims_lists_no_customer(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    mona = open_section(browser, "rules")

    mona.page.get_by_label("A claim lasts").fill("3")
    mona.button("rules.try").click()

    mona.page.get_by_text("Claims that are running keep their deadlines.").wait_for()
    expect(mona.page.locator(".trial").get_by_role("row")).to_have_count(0)
