"""Suppression, the limits and territories of several members, and the log with its filters."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.pages import Browser, Console, Team, open_section

# Suppression


def test_a_manager_suppresses_a_held_customer_after_a_question_and_ends_it(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/customers/c1/claim")
    mona = open_section(browser, "customers")
    mona.page.get_by_label("State").select_option("claimed")
    mona.open_customer("Acme")

    mona.button("verb.suppress_name", mona.dialog, name="Acme").click()
    mona.dialog.get_by_text("alice holds it: the claim ends.").wait_for()
    mona.button("verb.suppress", mona.dialog).click()
    mona.notice("Acme: Suppressed: nobody can claim it.")
    assert team.customer("c1")["suppressed_at"] and team.customer("c1")["holder"] is None
    mona.page.keyboard.press("Escape")
    mona.page.get_by_label("State").select_option("suppressed")
    expect(mona.listed).to_have_text(["Acme"])
    mona.button("verb.unsuppress_name", name="Acme").click()
    mona.button("verb.unsuppress", mona.dialog).click()
    mona.notice("Acme: May be contacted and claimed again.")

    assert team.customer("c1")["suppressed_at"] is None


def test_members_do_not_suppress_and_see_no_suppressed_customer_in_the_pool(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("mona", "POST", "/customers/c1/suppress", {})
    alice = browser.open_console("alice")

    alice.open_customer("Globex")

    expect(alice.button("verb.suppress_name", name="Globex")).to_have_count(0)
    alice.page.keyboard.press("Escape")
    expect(alice.listed).to_have_text(["Globex"])


def test_a_holder_pins_a_customer_until_a_day(browser: Browser, team: Team) -> None:
    team.change_policy(pin_limit=2, max_pin="P90D")
    team.customers("Acme")
    claimed = team.call("alice", "POST", "/customers/c1/claim").json
    alice = browser.open_console("alice", tab="mine")
    alice.open_customer("Acme")

    alice.button("verb.pin_name", alice.dialog, name="Acme").click()
    alice.dialog.get_by_label("Until the end of").fill(claimed["expires_at"][:10])
    alice.button("verb.pin", alice.dialog).click()
    alice.notice("Acme: Pinned.")

    assert team.customer("c1")["pinned_until"].startswith(claimed["expires_at"][:10])


# Limits and territories


def test_limits_and_territories_of_several_members_are_edited_together(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "members")

    mona.button("team.limits").click()
    mona.page.get_by_label("Holding of alice").fill("3")
    mona.page.get_by_label("Private of bob").fill("9")
    mona.page.get_by_label("Field of the territory of bob").select_option("city")
    mona.page.get_by_label("Values of the territory of bob").fill("Lyon, 上海")
    mona.button("team.limits_save").click()
    mona.notice("2 members are saved.")
    expect(mona.page.get_by_role("row").filter(has_text="bob")).to_contain_text("Lyon, 上海")

    alice, bob = (team.call("mona", "GET", f"/members/{user}").json for user in ("alice", "bob"))
    assert (alice["holding_limit"], alice["takes"]) == (3, None)
    assert (bob["private_limit"], bob["takes"]) == (9, {"city": ["Lyon", "上海"]})


def test_a_limit_that_is_refused_keeps_what_was_typed_and_names_the_reason(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "members")

    mona.button("team.limits").click()
    mona.page.get_by_label("Holding of alice").fill("-1")
    mona.page.get_by_label("Holding of bob").fill("4")
    mona.button("team.limits_save").click()
    mona.page.get_by_role("row").filter(has_text="alice").get_by_role("alert").wait_for()

    mona.notice("1 member is saved.")
    expect(mona.page.get_by_label("Holding of alice")).to_have_value("-1")
    assert team.call("mona", "GET", "/members/bob").json["holding_limit"] == 4


def test_whoever_has_opened_the_console_has_signed_in(browser: Browser, team: Team) -> None:
    alice = Console(browser.page(), "en")
    with alice.page.expect_response("**/v1/me"):
        alice.page.goto(f"{team.url}/console#token={team.token('alice')}")

    mona = open_section(browser, "members")

    expect(mona.page.get_by_role("row").filter(has_text="bob")).to_contain_text("Never signed in")
    expect(mona.page.get_by_role("row").filter(has_text="alice")).not_to_contain_text("Never signed in")


# The log


def test_the_log_is_filtered_by_day_kind_and_person_the_latest_first(browser: Browser, team: Team) -> None:
    team.change_policy(holding_limit=5)
    team.change_policy(holding_limit=6)
    mona = open_section(browser, "log")
    rows = mona.page.get_by_role("table").get_by_role("row")

    mona.page.get_by_label("What").select_option("policy")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("mona")
    expect(rows.nth(1)).to_contain_text("6")
    mona.page.get_by_label("What").select_option("members")
    mona.page.get_by_label("Who").select_option("root")
    expect(rows).to_have_count(4)
    mona.page.get_by_label("To").fill("2026-01-01")
    mona.page.get_by_label("From").fill("2026-01-01")

    mona.page.get_by_text("Nothing was changed in this time").wait_for()
