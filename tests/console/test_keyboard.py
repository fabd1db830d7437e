"""The screens of managers and admins by the keyboard alone."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.pages import Browser, Team, open_section


def test_rules_are_tried_and_applied_by_keyboard(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "rules")

    mona.reach("Holding limit")
    mona.page.keyboard.type("7")
    mona.press("Try")
    expect(mona.page.get_by_text("This would change: Holding limit.")).to_be_visible()
    mona.press("Apply")
    mona.notice("The rules have changed.")

    assert team.call("mona", "GET").json["policy"]["holding_limit"] == 7
    expect(mona.button("rules.apply")).to_be_focused()


def test_a_pool_is_paused_and_swept_by_keyboard(browser: Browser, team: Team) -> None:
    root = open_section(browser, "state", user="root")

    root.press("Pause the pool")
    root.dialog.wait_for()
    root.press("Pause the pool")
    expect(root.page.locator(".badge").get_by_text("Paused", exact=True)).to_be_visible()
    root.press("Preview")
    expect(root.page.get_by_text("Overdue", exact=True)).to_be_visible()

    assert team.call("root", "GET").json["status"] == "paused"


def test_a_period_of_statistics_is_chosen_and_its_numbers_opened_by_keyboard(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    mona = open_section(browser, "statistics")

    mona.reach("Period")
    mona.page.keyboard.press("ArrowDown")
    expect(mona.page.get_by_label("Period")).to_have_value("90")
    mona.wait_until_loaded()
    mona.press("In numbers")

    expect(mona.page.get_by_role("rowheader", name="Entered", exact=True)).to_be_visible()


def test_a_field_is_defined_by_keyboard(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "fields")

    mona.press("Add a field")
    expect(mona.dialog.get_by_label("Key")).to_be_focused()
    for label, text in (("Key", "segment"), ("Name in Chinese", "客户分层"), ("Name in English", "Segment")):
        mona.reach(label)
        mona.page.keyboard.insert_text(text)
    mona.page.keyboard.press("Control+Enter")
    mona.notice("The fields have changed.")

    assert team.call("mona", "GET").json["fields"][-1]["key"] == "segment"
    expect(mona.button("fields.add")).to_be_focused()


def test_the_log_is_filtered_by_keyboard(browser: Browser, team: Team) -> None:
    team.change_policy(holding_limit=5)
    mona = open_section(browser, "log")

    mona.reach("What")
    for _ in range(3):
        mona.page.keyboard.press("ArrowDown")

    expect(mona.page.get_by_label("What")).to_have_value("policy")
    expect(mona.page.get_by_role("table").get_by_role("row")).to_have_count(2)
