"""The console while it loads, and the keyboard focus after each change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.pages import Browser, Console, Team, open_section
from tests.console.test_managers import FILE, choose
from tests.console.test_members import claim_for_alice
from tests.console.traffic import hold_until_released


def console_with_routes(
    browser: Browser, team: Team, user: str, language: str = "en", *routes: tuple[str, Callable[..., Any]]
) -> Console:
    """Return the console of this user; its requests go through these routes."""
    console = Console(browser.page(language), language)
    for pattern, handler in routes:
        console.page.route(pattern, handler)
    console.page.goto(f"{team.url}/console#token={team.token(user)}")
    return console


# Loading


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_no_pool_message_is_hidden_while_pools_load(browser: Browser, team: Team, language: str) -> None:
    held_routes: list[Any] = []
    console = console_with_routes(browser, team, "alice", language, ("**/v1/pools?*", hold_until_released(held_routes)))

    console.page.get_by_text(console.text("list.reading")).wait_for()
    expect(console.page.get_by_text(console.text("no_pool"))).to_have_count(0)
    while not held_routes:
        console.page.wait_for_timeout(20)
    held_routes[0].continue_()

    console.view("mine").wait_for()


def test_the_no_pool_message_appears_once_the_pools_have_loaded(browser: Browser, team: Team) -> None:
    console = console_with_routes(browser, team, "stranger")

    console.page.get_by_text(console.text("no_pool")).wait_for()


def test_a_failure_to_load_pools_shows_an_error_with_a_retry(browser: Browser, team: Team) -> None:
    unreachable = [True]
    console = console_with_routes(
        browser, team, "alice", "en",
        ("**/v1/pools?*", lambda route: route.abort() if unreachable[0] else route.continue_()),
    )  # fmt: skip

    console.page.get_by_text(console.text("refusal.unreachable")).wait_for()
    expect(console.page.get_by_text(console.text("no_pool"))).to_have_count(0)
    unreachable.clear()
    unreachable.append(False)
    console.button("again").click()

    console.view("mine").wait_for()


# The focus


def test_a_busy_button_keeps_the_focus_and_ignores_a_second_press(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")
    held_routes: list[Any] = []
    alice.page.route("**/c1/claim", hold_until_released(held_routes))

    press = alice.button("verb.claim_name", name="Acme")
    press.press("Enter")
    expect(press).to_have_attribute("aria-disabled", "true")
    expect(press).to_be_focused()
    press.press("Enter")
    while not held_routes:
        alice.page.wait_for_timeout(20)
    held_routes[0].continue_()
    alice.notice("Acme: Yours now.")

    expect(alice.button("verb.claim_name", name="Globex"), "that of the next row").to_be_focused()
    assert len(held_routes) == 1


def test_the_focus_moves_to_the_next_row_when_a_row_leaves_the_list(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme", "Globex", "Initech")
    alice = browser.open_console("alice", tab="mine")
    first, second = alice.names()[:2]

    alice.button("verb.release_name", name=first).press("Enter")
    alice.button("verb.release", alice.dialog).press("Enter")
    alice.dialog.wait_for(state="detached")

    expect(alice.button("verb.release_name", name=second)).to_be_focused()


def test_a_changed_row_keeps_the_focus_on_the_pressed_button(browser: Browser, team: Team) -> None:
    team.change_policy(members_may_extend=True, extension="P2D")
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")

    alice.button("verb.extend_name", name="Acme").press("Enter")
    alice.button("verb.extend", alice.dialog).press("Enter")
    alice.dialog.wait_for(state="detached")

    expect(alice.button("verb.extend_name", name="Acme")).to_be_focused()


def test_closing_batch_results_keeps_the_focus_on_the_page(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")
    alice.select("Acme")
    alice.button("verb.ticked", verb="Claim").press("Enter")
    alice.page.locator(".results").wait_for()

    alice.button("dismiss").press("Enter")

    expect(alice.page.locator("body")).not_to_be_focused()


def test_changing_or_removing_a_member_keeps_the_focus(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "members")

    mona.button("members.edit_name", name="alice").press("Enter")
    mona.button("save", mona.dialog).press("Enter")
    mona.dialog.wait_for(state="detached")
    expect(mona.button("members.edit_name", name="alice")).to_be_focused()
    mona.button("members.remove_name", name="alice").press("Enter")
    mona.button("members.remove", mona.dialog).press("Enter")
    mona.dialog.wait_for(state="detached")

    expect(mona.button("members.remove_name", name="bob")).to_be_focused()


# Expired and won


def test_an_expired_row_offers_only_to_claim_again(browser: Browser, team: Team) -> None:
    team.change_policy(claim_ttl="PT3S")
    claim_for_alice(team, "Acme", "Globex")
    team.change_policy(claim_ttl="P7D")
    alice = browser.open_console("alice", tab="mine")

    alice.button("verb.claim_again_name", name="Acme").wait_for()
    buttons = alice.row("Acme").locator(".buttons").get_by_role("button")
    expect(buttons, "also when it expired while the page was open").to_have_text(["Claim again"])
    expect(alice.row("Acme").get_by_role("checkbox")).to_have_count(0)
    alice.button("verb.claim_again_name", name="Acme").press("Enter")
    alice.notice("Acme: Yours now.")

    expect(alice.button("verb.release_name", name="Acme")).to_be_visible()
    expect(alice.page.locator("body")).not_to_be_focused()
    assert team.customer("c1")["holder"] == "alice"


def test_an_expired_row_in_a_manager_list_offers_only_to_assign(browser: Browser, team: Team) -> None:
    team.change_policy(claim_ttl="PT1S")
    claim_for_alice(team, "Acme")
    mona = open_section(browser, "customers")
    mona.page.get_by_label("State").select_option("claimed")
    mona.row("Acme").get_by_text("Expired, free to claim").wait_for()

    expect(mona.row("Acme").locator(".buttons").get_by_role("button")).to_have_text(["Assign"])
    mona.button("verb.assign_name", name="Acme").click()
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("verb.assign", mona.dialog).click()
    mona.notice("Acme: Assigned to bob.")

    assert team.customer("c1")["holder"] == "bob"


def test_an_expired_private_customer_offers_only_to_claim_it(browser: Browser, team: Team) -> None:
    team.change_policy(private_ttl="PT3S")
    claim_for_alice(team, "Acme")
    team.call("mona", "POST", "/customers/c1/convert")
    alice = browser.open_console("alice", tab="mine")

    alice.button("verb.claim_again_name", name="Acme").wait_for()
    expect(alice.row("Acme").locator(".badge")).to_have_text(["Expired, free to claim"])
    expect(alice.row("Acme").locator(".buttons").get_by_role("button")).to_have_text(["Claim again"])
    alice.button("verb.claim_again_name", name="Acme").click()
    alice.notice("Acme: Yours now.")

    expect(alice.button("verb.release_name", name="Acme")).to_be_visible()
    assert team.customer("c1")["state"] == "claimed"


def test_only_converted_customers_are_labeled_won(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme", "Globex")
    team.call("mona", "POST", "/customers/c1/win")
    team.call("mona", "POST", "/customers/c2/convert")

    alice = browser.open_console("alice", "zh", tab="mine")

    expect(alice.row("Acme").locator(".badge")).to_have_text(["普通客户", "已赢单"])
    expect(alice.row("Globex").locator(".badge")).to_have_text(["普通客户"])


# Texts


def test_rejected_import_rows_show_the_reason_in_the_readers_language(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    (tmp_path / "leads.csv").write_text(FILE)
    mona = open_section(browser, "import", language="zh")
    choose(mona, tmp_path / "leads.csv")
    mona.button("import.go").click()
    mona.page.get_by_text("失败 2 行。").wait_for()

    expect(mona.page.locator(".imported tbody tr")).to_have_count(2)
    failed = {row.split("\t")[2] for row in mona.page.locator(".imported tbody tr").all_inner_texts()}
    with mona.page.expect_download() as downloading:
        mona.button("import.download").click()
    written = Path(downloading.value.path()).read_text(encoding="utf-8-sig")

    assert failed == {"缺少客户名称。", "重复：前面的行已有相同的 phone。"}
    assert all(f'"{why}"' in written for why in failed)


def test_a_refusal_shows_its_end_time_in_the_sentence_of_its_reason(browser: Browser, team: Team) -> None:
    team.change_policy(cooldown="P1D")
    claim_for_alice(team, "Acme", "Globex")
    team.call("alice", "POST", "/customers/c1/release")
    alice = browser.open_console("alice", "zh")

    alice.button("verb.claim_name", name="Acme").click()

    alice.row("Acme").get_by_text("起可再次领取。").wait_for()
    expect(alice.page.get_by_text("截至")).to_have_count(0)
