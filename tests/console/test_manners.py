"""How the console behaves while it works: no false alarm while it loads, and the focus where the reader left it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.pages import Console, Door, Team
from tests.console.test_managers import FILE, at
from tests.console.test_members import held


def opened(door: Door, team: Team, user: str, language: str = "en", *routes: tuple[str, Callable[..., Any]]) -> Console:
    """That user's console, whose requests go through those routes."""
    console = Console(door.page(language), language)
    for pattern, handler in routes:
        console.page.route(pattern, handler)
    console.page.goto(f"{team.url}/console#token={team.token(user)}")
    return console


def kept_in(waiting: list[Any]) -> Callable[[Any], None]:
    """A route that waits until the test lets it go on."""

    def keep(route: Any) -> None:
        waiting.append(route)

    return keep


# Loading


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_no_pool_message_is_hidden_while_pools_load(door: Door, team: Team, language: str) -> None:
    waiting: list[Any] = []
    console = opened(door, team, "alice", language, ("**/v1/pools?*", kept_in(waiting)))

    console.page.get_by_text(console.say("list.reading")).wait_for()
    assert console.page.get_by_text(console.say("no_pool")).count() == 0
    while not waiting:
        console.page.wait_for_timeout(20)
    waiting[0].continue_()

    console.page.get_by_role("tab").first.wait_for()


def test_the_no_pool_message_appears_once_the_pools_have_loaded(door: Door, team: Team) -> None:
    console = opened(door, team, "stranger")

    console.page.get_by_text(console.say("no_pool")).wait_for()


def test_a_failure_to_load_pools_shows_an_error_with_a_retry(door: Door, team: Team) -> None:
    broken = [True]
    console = opened(
        door, team, "alice", "en",
        ("**/v1/pools?*", lambda route: route.abort() if broken[0] else route.continue_()),
    )  # fmt: skip

    console.page.get_by_text(console.say("refusal.unreachable")).wait_for()
    assert console.page.get_by_text(console.say("no_pool")).count() == 0
    broken.clear()
    broken.append(False)
    console.button("again").click()

    console.page.get_by_role("tab").first.wait_for()


# The focus


def focused(console: Console) -> str:
    return str(console.page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.textContent"))


def test_a_busy_button_keeps_the_focus_and_ignores_a_second_press(door: Door, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = door.enter("alice")
    waiting: list[Any] = []
    alice.page.route("**/c1/claim", kept_in(waiting))

    press = alice.button("claim_name", name="Acme")
    press.press("Enter")
    expect(press).to_have_attribute("aria-disabled", "true")
    expect(press).to_be_focused()
    press.press("Enter")
    while not waiting:
        alice.page.wait_for_timeout(20)
    waiting[0].continue_()
    alice.row("Acme").get_by_text("Yours now.").wait_for()

    assert len(waiting) == 1
    assert focused(alice) == "BUTTON Acme", "the row that was claimed"


def test_the_focus_moves_to_the_next_row_when_a_row_leaves_the_list(door: Door, team: Team) -> None:
    held(team, "Acme", "Globex", "Initech")
    alice = door.enter("alice", tab="mine")
    first, second = alice.names()[:2]

    alice.button("mine.release_name", name=first).press("Enter")
    alice.button("mine.release", alice.dialog).press("Enter")
    alice.dialog.wait_for(state="detached")

    expect(alice.row(second).get_by_role("button", name=second, exact=True)).to_be_focused()


def test_a_changed_row_keeps_the_focus_on_the_pressed_button(door: Door, team: Team) -> None:
    team.rule(members_may_extend=True, extension="P2D")
    held(team, "Acme")
    alice = door.enter("alice", tab="mine")

    alice.button("mine.extend_name", name="Acme").press("Enter")
    alice.button("mine.extend", alice.dialog).press("Enter")
    alice.dialog.wait_for(state="detached")

    expect(alice.button("mine.extend_name", name="Acme")).to_be_focused()


def test_closing_batch_results_keeps_the_focus_on_the_page(door: Door, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = door.enter("alice")
    alice.tick("Acme")
    alice.button("pool.claim_ticked").press("Enter")
    alice.page.locator(".results").wait_for()

    alice.button("dismiss").press("Enter")

    assert not focused(alice).startswith("BODY")


def test_changing_or_removing_a_member_keeps_the_focus(door: Door, team: Team) -> None:
    mona = at(door, "members")

    mona.button("members.edit_name", name="alice").press("Enter")
    mona.button("save", mona.dialog).press("Enter")
    mona.dialog.wait_for(state="detached")
    expect(mona.button("members.edit_name", name="alice")).to_be_focused()
    mona.button("members.remove_name", name="alice").press("Enter")
    mona.button("members.remove", mona.dialog).press("Enter")
    mona.dialog.wait_for(state="detached")

    expect(mona.button("members.edit_name", name="bob")).to_be_focused()


# Expired and won


def test_an_expired_row_offers_only_to_claim_again(door: Door, team: Team) -> None:
    team.rule(claim_ttl="PT3S")
    held(team, "Acme", "Globex")
    team.rule(claim_ttl="P7D")
    alice = door.enter("alice", tab="mine")

    alice.button("claim_again_name", name="Acme").wait_for()
    buttons = alice.row("Acme").locator(".buttons").get_by_role("button").all_inner_texts()
    assert buttons == ["Claim again", "History"], "also where it expired while it was looked at"
    assert alice.row("Acme").get_by_role("checkbox").count() == 0
    alice.button("claim_again_name", name="Acme").press("Enter")
    alice.row("Acme").get_by_text("Yours now.").wait_for()

    assert alice.button("mine.release_name", name="Acme").is_visible()
    assert team.customer("c1")["holder"] == "alice" and not focused(alice).startswith("BODY")


def test_an_expired_row_in_a_manager_list_offers_only_to_assign(door: Door, team: Team) -> None:
    team.rule(claim_ttl="PT1S")
    held(team, "Acme")
    mona = at(door, "customers")
    mona.page.get_by_label("State").select_option("claimed")
    mona.row("Acme").get_by_text("Expired, free to claim").wait_for()

    assert mona.row("Acme").locator(".buttons").get_by_role("button").all_inner_texts() == ["Assign"]
    mona.button("manage.assign_name", name="Acme").click()
    mona.dialog.get_by_label("To whom").select_option("bob")
    mona.button("manage.assign", mona.dialog).click()
    mona.row("Acme").get_by_text("Assigned to bob.").wait_for()

    assert team.customer("c1")["holder"] == "bob"


def test_only_converted_customers_are_labeled_won(door: Door, team: Team) -> None:
    held(team, "Acme", "Globex")
    team.ask("mona", "POST", "/customers/c1/win")
    team.ask("mona", "POST", "/customers/c2/convert")

    alice = door.enter("alice", "zh", tab="mine")

    assert alice.row("Acme").locator(".badge").all_inner_texts() == ["普通客户", "已赢单"]
    assert alice.row("Globex").locator(".badge").all_inner_texts() == ["普通客户"]


# Words


def test_rejected_import_rows_show_the_reason_in_the_readers_language(door: Door, team: Team, tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(FILE)
    mona = at(door, "import", language="zh")
    mona.page.get_by_label("文件").set_input_files(tmp_path / "leads.csv")
    mona.button("import.go").click()
    mona.page.get_by_text("成功 2 行，失败 3 行。").wait_for()

    failed = [row.split("\t")[2] for row in mona.page.get_by_role("row").all_inner_texts()][1:]
    with mona.page.expect_download() as downloading:
        mona.button("import.download").click()
    written = Path(downloading.value.path()).read_text(encoding="utf-8-sig")

    assert failed == ["名称：不能为空。", "该客户在本次请求中重复出现。", "优先级：必须是整数。"]
    assert all(f'"{why}"' in written for why in failed)


def test_a_refusal_shows_its_end_time_in_the_sentence_of_its_reason(door: Door, team: Team) -> None:
    team.rule(cooldown="P1D")
    held(team, "Acme", "Globex")
    team.ask("alice", "POST", "/customers/c1/release")
    alice = door.enter("alice", "zh")

    alice.button("claim_name", name="Acme").click()

    alice.row("Acme").get_by_text("起可再次领取。").wait_for()
    assert alice.page.get_by_text("截至").count() == 0
