"""A day's work in the console: the address, typed text, ended sessions, no network, filters, keys."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.pages import PHONE, Browser, Console, Team
from tests.console.test_links import expired
from tests.console.test_members import claim_for_alice


def expect_hash(console: Console, text: str) -> None:
    """Wait until the address ends with this."""
    console.page.wait_for_function("text => location.hash === text", arg=text)


def note(console: Console) -> Any:
    return console.page.get_by_label("Note", exact=True)


# The address


def test_back_closes_the_customer_and_a_reload_keeps_the_place(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")
    alice.page.get_by_role("searchbox").fill("glo")
    expect(alice.listed).to_have_text(["Globex"])

    alice.open_customer("Globex")
    expect_hash(alice, "#/p/pool?customer=c2&q=glo")
    alice.page.reload()
    alice.dialog.get_by_text("History", exact=True).wait_for()
    alice.page.go_back()
    alice.dialog.wait_for(state="detached")

    expect(alice.listed).to_have_text(["Globex"])
    expect_hash(alice, "#/p/pool?q=glo")


def test_another_view_chosen_right_after_closing_a_customer_is_shown(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")
    alice.open_customer("Acme")

    alice.page.evaluate("""() => {
        document.querySelector("dialog [aria-label=Close]").click();
        document.querySelector("nav a[href*=mine]").click();
    }""")

    expect(alice.view("mine")).to_have_attribute("aria-current", "page")
    expect_hash(alice, "#/p/mine")


def test_the_next_customer_of_the_list_is_one_press_away(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")
    first, second = alice.names()

    alice.open_customer(first)
    alice.button("customer.next").click()

    alice.dialog.get_by_role("heading", name=second).wait_for()
    alice.button("verb.claim_name", alice.dialog, name=second).click()
    alice.notice(f"{second}: Yours now.")


def test_customers_are_filtered_by_a_field_and_claimed_by_that_filter(browser: Browser, team: Team) -> None:
    for number, city in enumerate(("Berlin", "Paris", "Berlin"), 1):
        team.call("mona", "POST", "/customers", {"id": f"c{number}", "name": f"N{number}", "fields": {"city": city}})
    alice = browser.open_console("alice")

    alice.button_named("City").click()
    alice.dialog.get_by_label("City").fill("Berlin")
    alice.button("filter.apply", alice.dialog).click()
    expect(alice.listed).to_have_count(2)
    expect_hash(alice, "#/p/pool?f.city=Berlin")
    alice.page.get_by_label("How many").fill("5")
    alice.button("pool.claim_next_filtered").click()
    expect(alice.results).to_have_count(2)
    alice.button("filters.remove", field="City").click()

    expect(alice.listed).to_have_text(["N2"])


def test_the_keys_move_tick_and_claim(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")
    first, second = alice.names()
    link = alice.row(first).get_by_role("link", name=first, exact=True)

    link.focus()
    alice.page.keyboard.press("x")
    expect(alice.page.get_by_label(f"Select {first}")).to_be_checked()
    alice.page.keyboard.press("j")
    expect(alice.row(second).get_by_role("link", name=second, exact=True)).to_be_focused()
    alice.page.keyboard.press("c")
    alice.notice(f"{second}: Yours now.")
    alice.page.keyboard.press("/")

    expect(alice.page.get_by_role("searchbox")).to_be_focused()


# Typed text


@pytest.mark.parametrize("interruption", ["cancel", "reload"])
def test_a_note_survives_cancelling_and_a_reload(browser: Browser, team: Team, interruption: str) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")
    alice.button("follow_up.name", name="Acme").click()
    note(alice).fill("called twice")

    if interruption == "cancel":
        alice.button("cancel").click()
    else:
        alice.page.reload()
    alice.button("follow_up.name", name="Acme").click()

    expect(note(alice)).to_have_value("called twice")
    alice.button("follow_up.save").click()
    alice.notice("Acme: Follow-up recorded.")
    alice.button("follow_up.name", name="Acme").click()
    expect(note(alice)).to_have_value("")


def test_a_note_is_sent_after_its_writer_has_signed_in_again(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")
    alice.button("follow_up.name", name="Acme").click()
    note(alice).fill("called")
    keys: list[str] = []

    def refuse_once(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fulfill(status=401, json={"code": "unauthenticated"})
        else:
            route.continue_()

    alice.page.route("**/follow-up", refuse_once)
    alice.button("follow_up.save").click()
    alice.dialog.get_by_label("Access token").fill(expired(team.keys, team.token("alice"), -4000))
    alice.button("sign_in.enter", alice.dialog).click()
    alice.notice("Acme: Follow-up recorded.")

    assert len(keys) == 2 and len(set(keys)) == 1
    assert team.call("mona", "GET", "/customers/c1/history").json["items"][-1]["reason"] == "called"


def test_repeated_escape_does_not_close_the_sign_in_over_a_page(browser: Browser, team: Team) -> None:
    alice = browser.open_console("alice")
    alice.page.route("**/v1/**", lambda route: route.fulfill(status=401, json={"code": "unauthenticated"}))
    alice.view("statistics").click()
    alice.dialog.get_by_label("Access token").wait_for()

    for _ in range(4):
        alice.page.keyboard.press("Escape")

    expect(alice.dialog.get_by_label("Access token")).to_be_visible()


def test_another_person_who_signs_in_does_not_send_the_note(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")
    alice.button("follow_up.name", name="Acme").click()
    note(alice).fill("called")
    alice.page.route("**/follow-up", lambda route: route.fulfill(status=401, json={"code": "unauthenticated"}))
    alice.button("follow_up.save").click()
    alice.dialog.get_by_label("Access token").wait_for()
    alice.page.unroute("**/follow-up")

    alice.dialog.get_by_label("Access token").fill(team.token("mona"))
    alice.button("sign_in.enter", alice.dialog).click()
    alice.view("customers").wait_for()

    assert team.call("mona", "GET", "/customers/c1/history").json["items"][-1]["type"] == "claimed"


def test_a_claim_without_a_network_waits_and_is_sent_once(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")

    alice.page.context.set_offline(True)
    alice.button("verb.claim_name", name="Acme").click()
    alice.page.get_by_text(alice.text("offline")).wait_for()
    assert team.customer("c1")["state"] == "available"
    alice.page.context.set_offline(False)
    alice.notice("Acme: Yours now.")

    expect(alice.page.get_by_text(alice.text("offline"))).to_have_count(0)
    assert team.customer("c1")["version"] == 2


# Lists


def test_what_somebody_else_has_changed_is_marked_when_the_window_gets_the_focus(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice")
    team.call("bob", "POST", "/customers/c1/claim")

    alice.page.evaluate("dispatchEvent(new Event('focus'))")

    alice.row("Acme").get_by_text("Changed elsewhere just now").wait_for()
    alice.row("Acme").get_by_text("Holder: bob").wait_for()


def test_fifty_refused_claims_are_read_again_in_few_requests(browser: Browser, team: Team) -> None:
    rows = [{"id": f"c{number}", "name": f"N{number}"} for number in range(50)]
    team.call("mona", "POST", "/import", {"rows": rows})
    alice = browser.open_console("alice")
    team.call("bob", "POST", "/claim", {"customer_ids": [row["id"] for row in rows]})
    sent: list[str] = []
    alice.page.on("request", lambda request: sent.append(request.url))

    alice.page.get_by_label("Select all").check()
    alice.button("verb.ticked", verb="Claim").click()
    expect(alice.results).to_have_count(50)
    alice.page.wait_for_timeout(300)

    assert len([url for url in sent if "/v1/" in url]) <= 4


def test_the_first_customer_of_the_pool_is_in_the_upper_part_of_a_phone(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    alice = browser.open_console("alice", size=PHONE)

    box = alice.row(alice.names()[0]).bounding_box()

    assert box is not None and box["y"] <= 200 and box["height"] <= 90


def test_a_batch_release_takes_one_reason_for_all(browser: Browser, team: Team) -> None:
    team.change_policy(reason_required=True)
    claim_for_alice(team, "Acme", "Globex")
    alice = browser.open_console("alice", tab="mine")

    alice.page.get_by_label("Select all").check()
    alice.button("verb.ticked", verb="Release").click()
    alice.dialog.get_by_label("Reason (required)").fill("wrong region")
    alice.button("verb.release", alice.dialog).click()
    expect(alice.results).to_have_count(2)

    for customer in ("c1", "c2"):
        assert team.call("mona", "GET", f"/customers/{customer}/history").json["items"][-1]["reason"] == "wrong region"


def edit_city_of_acme(console: Console, city: str) -> None:
    console.button("customer.edit_name", name="Acme").click()
    console.dialog.get_by_label("City").fill(city)
    console.button("save", console.dialog).click()
    console.notice("Saved.")


def test_a_value_with_an_asterisk_is_edited_like_any_other(browser: Browser, team: Team) -> None:
    team.call("mona", "POST", "/customers", {"id": "c1", "name": "Acme", "fields": {"city": "Reno *new*"}})
    mona = browser.open_console("mona")
    mona.open_customer("Acme")

    edit_city_of_acme(mona, "Reno")

    assert team.customer("c1")["fields"]["city"] == "Reno"


def test_details_are_edited_beside_the_list(browser: Browser, team: Team) -> None:
    claim_for_alice(team, "Acme")
    alice = browser.open_console("alice", tab="mine")
    alice.open_customer("Acme")

    edit_city_of_acme(alice, "Berlin")

    assert team.customer("c1")["fields"]["city"] == "Berlin"
