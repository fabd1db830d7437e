"""A whole day in the console: of a representative at a desk and on a phone, of a manager, and of an admin."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.pages import DESKTOP, PHONE, Browser, Team, create_field_sales, open_section
from tests.console.test_managers import choose
from tests.support.import_files import sheet_of


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_day_of_a_representative(browser: Browser, team: Team, size: tuple[int, int]) -> None:
    team.change_policy(reason_required=True, claim_ttl="PT20H")
    team.customers("Acme", "Globex", "Initech", "Umbrella")
    team.call("mona", "PATCH", "/customers/c3", {"fields": {"city": "Lyon"}})
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2"]})
    alice = browser.open_console("alice", size=size, tab="today")

    expect(alice.row("Acme").locator("a[href^='tel:']"), "one tap calls").to_have_count(1)
    alice.button("follow_up.name", name="Acme").click()
    alice.page.get_by_label("Note", exact=True).fill("wants an offer")
    alice.button("follow_up.save").click()
    alice.notice("Acme")
    alice.tab("pool")
    alice.button_named("City").click()
    alice.dialog.get_by_label("City").fill("Lyon")
    alice.button("filter.apply", alice.dialog).click()
    alice.button("verb.claim_name", name="Initech").click()
    alice.notice("Initech: Yours now.")
    alice.tab("mine")
    alice.select("Globex", "Initech")
    alice.button("verb.ticked", verb="Release").click()
    alice.dialog.get_by_label("Reason (required)").fill("no budget")
    alice.button("verb.release", alice.dialog).click()
    expect(alice.results).to_have_count(2)
    alice.button("verb.win_name", name="Acme").click()
    alice.dialog.get_by_label("Amount (optional)").fill("1200.50")
    alice.button("verb.win", alice.dialog).click()
    alice.notice("Acme: Requested")

    states = {each: team.customer(each)["holder"] for each in ("c1", "c2", "c3", "c4")}
    assert states == {"c1": "alice", "c2": None, "c3": None, "c4": None}
    assert team.customer("c1")["win_requested_at"] and team.customer("c1")["amount"] == "1200.50"


def leads_with_bad_rows(folder: Path) -> Path:
    """Write a workbook with 30 good rows and 20 without a name."""
    rows = [[f"Lead {number:02}" if number < 30 else "", f"+1 202 555 {1000 + number}"] for number in range(50)]
    (folder / "leads.xlsx").write_bytes(sheet_of(["name", "phone"], *rows))
    return folder / "leads.xlsx"


def test_a_day_of_a_manager(browser: Browser, team: Team, tmp_path: Path) -> None:
    names = [f"Customer {number:02}" for number in range(60)]
    rows = [{"name": name, "fields": {"city": "Lyon" if at < 50 else "Porto"}} for at, name in enumerate(names)]
    team.call("mona", "POST", "/import", {"rows": rows, "key": "auto", "on_duplicate": "skip"})
    team.customers("Acme")
    team.call("alice", "POST", "/customers/c1/claim")
    team.call("alice", "POST", "/customers/c1/win")
    mona = open_section(browser, "today")

    mona.button("verb.approve_name", name="Acme").click()
    mona.notice("Acme: Won.")
    mona.tab("customers")
    mona.button_named("City").click()
    mona.dialog.get_by_label("City").fill("Lyon")
    mona.button("filter.apply", mona.dialog).click()
    mona.button("filters.remove", field="City").wait_for()
    mona.wait_until_loaded()
    mona.page.get_by_label("Select all", exact=True).check()
    mona.button("verb.ticked", verb="Assign").click()
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("verb.assign", mona.dialog).click()
    mona.page.get_by_role("heading", name="50").wait_for()
    mona.tab("members")
    mona.button("members.remove_name", name="alice").click()
    mona.dialog.get_by_label("What becomes of 1 private customer of theirs").select_option("transfer")
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("members.remove", mona.dialog).click()
    mona.notice("alice was removed from the pool.")
    mona.tab("import")
    choose(mona, leads_with_bad_rows(tmp_path))
    mona.button("import.try").click()
    mona.page.get_by_text("Would be created: 30, updated: 0, unchanged: 0, refused: 20.").wait_for()
    mona.button("import.go", mona.page.locator(".imported")).click()
    mona.page.get_by_text("Created: 30, updated: 0, unchanged: 0, refused: 20.").wait_for()
    expect(mona.page.locator(".imported tbody tr")).to_have_count(20)
    mona.button("import.undo_name", file="leads.xlsx").click()
    mona.button("import.undo", mona.dialog).click()
    mona.dialog.wait_for(state="detached")
    mona.tab("rules")
    mona.page.get_by_label("Holding limit").fill("60")
    mona.button("rules.try").click()
    mona.page.get_by_text("This would change: Holding limit.").wait_for()
    mona.tab("fields")
    mona.button("fields.add").click()
    mona.dialog.get_by_label("Key").fill("segment")
    mona.dialog.get_by_label("Name in Chinese").fill("客户分层")
    mona.dialog.get_by_label("Name in English").fill("Segment")
    mona.button("save", mona.dialog).click()
    mona.notice("The fields have changed.")

    pool = team.call("mona", "GET").json
    bob = team.call("mona", "GET", "/members/bob").json
    assert (bob["held"], bob["private"]) == (50, 1)
    assert (pool["policy"]["holding_limit"], pool["fields"][-1]["key"]) == (None, "segment")
    assert pool["totals"]["available"] == 10, "nothing is left of the import"


def test_a_day_of_an_admin(browser: Browser, team: Team) -> None:
    root = open_section(browser, "state", user="root")

    create_field_sales(root)
    root.button("members.add").click()
    root.dialog.get_by_label("User").fill("mona")
    root.dialog.get_by_label("Role").select_option("manager")
    root.button("save", root.dialog).click()
    root.notice("mona is saved.")
    root.tab("log")
    root.page.get_by_role("cell", name="Member mona").wait_for()

    assert team.call("mona", "GET", "/v1/pools/field/members/mona").json["role"] == "manager"
