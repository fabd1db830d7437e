"""A member in the console: signing in, claiming, releasing, and refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.pages import Browser, Team

# Signing in


def test_a_token_in_the_url_signs_in_and_is_removed_from_the_url(browser: Browser, team: Team) -> None:
    team.customers("Acme")

    console = browser.open_console("alice")

    expect(console.listed).to_have_text(["Acme"])
    expect(console.page).to_have_url(f"{team.url}/console#/p/pool")
    assert console.page.evaluate("history.length") <= 3


def test_a_pasted_token_signs_in_and_other_text_is_rejected(browser: Browser, team: Team) -> None:
    page = browser.page()
    page.goto(f"{team.url}/console")

    page.get_by_label("Access token").fill("not a token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not a token.")
    page.get_by_label("Access token").fill(team.token("alice"))
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("link", name="Pool", exact=True).wait_for()


def test_a_second_tab_is_signed_in_and_signing_out_ends_both(browser: Browser, team: Team) -> None:
    console = browser.open_console("alice")
    console.page.reload()
    console.view("pool").wait_for()
    another = console.page.context.new_page()

    another.goto(f"{team.url}/console")
    another.get_by_role("link", name="Pool", exact=True).wait_for()
    console.button("sign_out").click()
    another.get_by_label("Access token").wait_for()

    kept = "JSON.stringify([sessionStorage, localStorage]) + document.cookie"
    assert team.token("alice")[:20] not in console.page.evaluate(kept)


def test_a_rejected_token_ends_the_session(browser: Browser, team: Team) -> None:
    page = browser.page()

    page.goto(f"{team.url}/console#token={team.token('alice')[:-9]}AAAAAAAAA")

    page.get_by_text("Your session has ended. Please sign in again.").wait_for()


# Claiming


def test_a_claim_is_shown_to_its_holder_and_the_next_claimer_sees_the_holder(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice, bob = browser.open_console("alice"), browser.open_console("bob")

    alice.button("verb.claim_name", name="Acme").click()
    alice.notice("Acme: Yours now.")
    bob.button("verb.claim_name", name="Acme").click()
    bob.row("Acme").get_by_text("Somebody else has claimed this customer.").wait_for()

    expect(bob.row("Acme").get_by_text("Holder: alice")).to_be_visible()
    expect(bob.button("verb.claim_name", name="Acme"), "the row is as the customer is now").to_have_count(0)
    expect(bob.button("verb.claim_name", name="Globex"), "and no dead end").to_be_enabled()
    assert team.customer("c1")["holder"] == "alice"


def test_a_refusal_is_chinese_for_a_reader_of_chinese(browser: Browser, team: Team) -> None:
    team.customers("北辰科技")
    bob = browser.open_console("bob", "zh")
    team.call("alice", "POST", "/customers/c1/claim")

    bob.button("verb.claim_name", name="北辰科技").click()

    bob.row("北辰科技").get_by_text("该客户已被他人领取。").wait_for()


def test_a_batch_of_claims_shows_each_result(browser: Browser, team: Team) -> None:
    team.change_policy(holding_limit=2)
    team.customers("Acme", "Globex", "Initech", "Umbrella")
    alice = browser.open_console("alice")
    team.call("bob", "POST", "/customers/c2/claim")

    alice.select("Acme", "Globex", "Initech", "Umbrella")
    alice.button("verb.ticked", verb="Claim").click()

    lines = [
        "✓ Acme Yours now",
        "✕ Globex Somebody else has claimed",
        "✓ Initech Yours now",
        "✕ Umbrella The holding limit",
    ]
    expect(alice.results).to_contain_text(lines, use_inner_text=True)
    alice.row("Umbrella").get_by_text("(2 of 2)").wait_for()
    alice.page.locator("#me").get_by_text("2 of 2").wait_for()


def test_claim_next_claims_a_customer_without_a_search(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex", "Initech")
    alice = browser.open_console("alice")

    alice.page.get_by_label("How many").fill("2")
    alice.button("pool.claim_next").click()

    expect(alice.results).to_have_count(2)
    assert sorted(team.customer(f"c{n}")["holder"] or "" for n in (1, 2, 3)) == ["", "alice", "alice"]


@pytest.mark.parametrize("text", ["glo", "OBE", "+1 202 555 0102"])
def test_a_customer_is_found_by_any_part_of_the_name_or_by_phone(browser: Browser, team: Team, text: str) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")

    alice.page.get_by_role("searchbox").fill(text)
    alice.button("pool.find").click()

    expect(alice.listed).to_have_text(["Globex"])


def test_in_a_paused_pool_nothing_offers_to_claim(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    team.call("root", "POST", "/pause")

    alice = browser.open_console("alice")

    expect(alice.listed).to_have_text(["Acme"])
    expect(alice.page.get_by_text(alice.text("banner.paused"))).to_be_visible()
    expect(alice.page.get_by_role("button", name="Claim")).to_have_count(0)


# Held customers


def claim_for_alice(team: Team, *names: str) -> None:
    team.customers(*names)
    ids = [f"c{number}" for number in range(1, len(names) + 1)]
    assert team.call("alice", "POST", "/claim", {"customer_ids": ids}).json["summary"]["failed"] == 0


def test_a_batch_release_releases_held_customers_and_names_a_reclaimed_one(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme", "Globex", "Initech")
    alice = browser.open_console("alice", tab="mine")
    team.call("mona", "POST", "/customers/c3/release")

    alice.select("Acme", "Globex", "Initech")
    alice.button("verb.ticked", verb="Release").click()
    alice.button("verb.release", alice.dialog).click()

    expect(alice.results).to_have_count(3)
    for line in ("✓ Acme Released", "✓ Globex Released", "✕ Initech Nobody holds this customer any more."):
        mark, name, text = line.split(" ", 2)
        expect(alice.results.filter(has_text=name).filter(has_text=mark)).to_contain_text(text)
    expect(alice.listed).to_have_text(["Initech"])
    assert {team.customer(each)["state"] for each in ("c1", "c2")} == {"available"}


def test_a_deadline_counts_down(browser: Browser, team: Team) -> None:
    team.change_policy(claim_ttl="PT1H")
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")

    countdown = alice.row("Acme").locator("time")
    expect(countdown).to_have_text(re.compile(r"^5\d min "))
    first = countdown.inner_text()

    expect(countdown).not_to_have_text(first)


def test_a_required_reason_is_requested_and_shown_in_the_history(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    team.change_policy(reason_required=True)
    alice = browser.open_console("alice", tab="mine")

    alice.button("verb.release_name", name="Acme").click()
    expect(alice.dialog.get_by_label("Reason (required)")).to_have_attribute("required", "")
    alice.dialog.get_by_label("Reason (required)").fill("wrong region")
    alice.button("verb.release", alice.dialog).click()
    alice.dialog.wait_for(state="detached")

    assert team.call("mona", "GET", "/customers/c1/history").json["items"][-1]["reason"] == "wrong region"
    expect(alice.listed).to_have_count(0)


def test_extending_following_up_and_winning(browser: Browser, team: Team) -> None:
    team.change_policy(members_may_extend=True, extension="P2D", max_extensions=1, win="holder")
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")

    alice.button("follow_up.name", name="Acme").click()
    alice.page.get_by_label("Note", exact=True).fill("called")
    alice.button("follow_up.save").click()
    alice.notice("Acme: Follow-up recorded.")
    for key in ("verb.extend", "verb.win"):
        alice.button(f"{key}_name", name="Acme").click()
        alice.button(key, alice.dialog).click()
        alice.dialog.wait_for(state="detached")

    events = [each["type"] for each in team.call("mona", "GET", "/customers/c1/history").json["items"]]
    assert events == ["created", "claimed", "followed_up", "extended", "won"]
    alice.row("Acme").get_by_text("Won", exact=True).wait_for()


def test_a_win_that_needs_an_approval_is_shown_as_requested(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")

    alice.button("verb.win_name", name="Acme").click()
    alice.button("verb.win", alice.dialog).click()

    alice.row("Acme").get_by_text(alice.text("verb.win_requested")).wait_for()
    assert team.customer("c1")["state"] == "claimed"


def test_a_customer_changed_by_another_user_updates_its_row(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")
    team.call("mona", "POST", "/customers/c1/release")

    alice.button("verb.win_name", name="Acme").click()
    alice.button("verb.win", alice.dialog).click()

    alice.row("Acme").get_by_text("Nobody holds this customer any more.").wait_for()
    expect(alice.row("Acme").get_by_text("Available", exact=True)).to_be_visible()


def test_the_history_shows_each_event_with_its_actor(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")

    alice.open_customer("Acme")

    alice.dialog.get_by_text("alice claimed the customer").wait_for()
    expect(alice.dialog.get_by_text("mona created the customer")).to_be_visible()


def test_a_reason_the_reader_may_not_see_is_shown_as_hidden(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    assert team.call("alice", "POST", "/customers/c1/release", {"reason": "wrong region"}).status == 200
    bob = browser.open_console("bob")

    bob.open_customer("Acme")

    bob.dialog.get_by_text("Hidden", exact=True).wait_for()
    expect(bob.dialog).not_to_contain_text("wrong region")


def test_an_event_of_a_later_version_is_shown_by_its_type(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")

    def of_a_later_version(route: Any) -> None:
        body = route.fetch().json()
        body["items"][-1] |= {"type": "weighed", "reason": "80 kg"}
        route.fulfill(json=body)

    alice.page.route("**/history*", of_a_later_version)
    alice.open_customer("Acme")

    expect(alice.dialog.locator(".history")).to_contain_text("alice: weighed")
    expect(alice.dialog.locator(".notes")).to_contain_text("80 kg")


def test_eligibility_lists_every_reason_against_a_claim(browser: Browser, team: Team) -> None:
    team.change_policy(cooldown="P1D", holding_limit=0)
    team.customers("Acme")
    alice = browser.open_console("alice")

    alice.open_customer("Acme")

    alice.dialog.get_by_text("The holding limit is reached. (0 of 0)").wait_for()


# The network


def test_a_change_without_a_response_is_retried_with_the_same_key(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")
    keys: list[str] = []

    def lose_first_response(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # the service has handled it; its response is lost
            route.abort()
        else:
            route.continue_()

    alice.page.route("**/claim", lose_first_response)
    alice.button("verb.claim_name", name="Acme").click()

    alice.notice("Acme: Yours now.")
    assert len(keys) == 2 and len(set(keys)) == 1
    assert team.customer("c1")["version"] == 2
