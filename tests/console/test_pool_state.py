"""The state of a pool in the console, and the list of pools: paused, closed, opened, created, deleted, swept."""

from __future__ import annotations

from tests.console.pages import Browser, Console, Team, create_field_sales, open_section


def test_an_admin_pauses_resumes_and_closes_the_pool(browser: Browser, team: Team) -> None:
    root = open_section(browser, "state", user="root")

    for verb, status in (("pause", "Paused"), ("resume", "Open"), ("close", "Closed"), ("open", "Open")):
        root.button(f"pools.{verb}").click()
        root.button(f"pools.{verb}", root.dialog).click()
        root.page.locator(".badge").get_by_text(status, exact=True).wait_for()

    assert team.call("mona", "GET").json["status"] == "open"


def test_a_sweep_is_previewed_and_run(browser: Browser, team: Team) -> None:
    team.change_policy(claim_ttl="PT1S")
    team.customers("Acme")
    team.call("alice", "POST", "/customers/c1/claim")
    browser.open_console("alice", tab="mine").button("verb.claim_again_name", name="Acme").wait_for()
    open_section(browser, "state").page.get_by_text("1 claim is overdue").wait_for()

    root = open_section(browser, "state", user="root")
    root.button("sweep.look").click()
    root.page.get_by_text("Overdue", exact=True).wait_for()
    assert team.customer("c1")["state"] == "claimed"
    root.button("sweep.now").click()
    root.page.locator("dl div").filter(has_text="Returned").get_by_text("1").wait_for()

    assert team.customer("c1")["state"] == "available"


def test_an_admin_creates_a_pool_like_this_one_and_deletes_it(browser: Browser, team: Team) -> None:
    team.change_policy(holding_limit=7)
    root = open_section(browser, "state", user="root")

    create_field_sales(root)
    made = team.call("root", "GET", "/v1/pools/field").json
    root.tab("state")
    for verb in ("close", "delete"):
        root.button(f"pools.{verb}").click()
        root.button(f"pools.{verb}", root.dialog).click()
        root.dialog.wait_for(state="detached")
    root.notice("Field sales is deleted.")

    assert (made["name"], made["policy"]["holding_limit"]) == ("Field sales", 7)
    assert [each["id"] for each in team.call("root", "GET", "/v1/pools").json["items"]] == ["p"]


def test_an_admin_without_a_pool_creates_the_first_one(browser: Browser, team: Team) -> None:
    team.tenant += "-empty"
    root = Console(browser.page(), "en")
    root.page.goto(f"{team.url}/console#token={team.token('root')}")

    root.button("pools.create").click()
    root.dialog.get_by_label("Name").fill("Sales")
    root.dialog.get_by_label("Id").fill("sales")
    root.button("pools.create", root.dialog).click()
    root.view("members").wait_for()

    assert [each["id"] for each in team.call("root", "GET", "/v1/pools").json["items"]] == ["sales"]
