"""Managers and admins in the console: assignments, imports, members, decisions and fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.pages import Browser, Console, Team, open_section

# By role


def test_members_see_no_manager_views_and_admins_see_only_their_own(browser: Browser) -> None:
    managed = ["Customers", "Team", "Import", "Rules", "Fields", "Pool state", "Statistics", "Log"]

    alice, mona = browser.open_console("alice"), browser.open_console("mona")
    root = browser.open_console("root", tab="statistics")

    expect(alice.views).to_have_text(["Today", "Pool", "Mine", "Statistics"])
    expect(mona.views).to_have_text(["Today", "Pool", "Mine", *managed])
    expect(root.views).to_have_text(["Today", *managed])


# Assigning and taking back


def test_selected_customers_are_assigned_up_to_the_limit(browser: Browser, team: Team) -> None:
    team.change_policy(holding_limit=1)
    team.customers("Acme", "Globex")
    mona = open_section(browser, "customers")

    mona.select("Acme", "Globex")
    mona.button("verb.ticked", verb="Assign").click()
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("verb.assign", mona.dialog).click()

    lines = ["✓ Acme Assigned to bob.", "✕ Globex The holding limit is reached. (1 of 1)"]
    expect(mona.results).to_have_text(lines, use_inner_text=True)
    assert team.customer("c1")["holder"] == "bob"


def test_a_claimed_customer_is_transferred_and_taken_back(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2"]})
    mona = open_section(browser, "customers")
    mona.page.get_by_label("State").select_option("claimed")
    mona.wait_until_loaded()

    mona.button("verb.transfer_name", name="Acme").click()
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("verb.transfer", mona.dialog).click()
    mona.notice("Acme: Transferred to bob.")
    mona.button("verb.take_back_name", name="Globex").click()
    mona.button("verb.take_back", mona.dialog).click()
    mona.notice("Globex: Taken back to the pool.")

    assert (team.customer("c1")["holder"], team.customer("c2")["state"]) == ("bob", "available")


def test_a_manager_restores_a_customer_that_was_set_aside(browser: Browser, team: Team) -> None:
    team.change_policy(max_returns=1)
    team.customers("Acme")
    team.call("alice", "POST", "/customers/c1/claim")
    team.call("alice", "POST", "/customers/c1/release")
    mona = open_section(browser, "customers")

    mona.page.get_by_label("State").select_option("set_aside")
    mona.button("verb.restore_name", name="Acme").click()
    mona.notice("Acme: May be claimed again.")

    assert team.customer("c1")["set_aside_at"] is None


# Importing

FILE = """名称,手机号,城市,优先级,备注
"北辰科技, 有限公司",13800000001,北京,3,"说""好"" "
Acme,13800000002,上海,,
,13800000003,深圳,,
Twice,13800000002,广州,,
Urgent,13800000005,成都,very,
"""


def choose(console: Console, file: Path) -> None:
    """Choose a file and wait until the service has read its first rows."""
    console.page.get_by_label(console.text("import.file")).set_input_files(file)
    console.page.get_by_role("heading", name=console.text("import.columns")).wait_for()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_file_is_imported_and_each_failed_row_is_shown_with_its_reason(
    browser: Browser, team: Team, tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "leads.csv").write_bytes(FILE.encode(encoding))
    mona = open_section(browser, "import", language="zh")

    choose(mona, tmp_path / "leads.csv")
    mona.button("import.go").click()
    mona.page.get_by_text("新建 3 个，更新 0 个，不变 0 个，失败 2 行。").wait_for()

    expect(mona.page.locator(".imported tbody tr")).to_have_count(2)
    failed = [row.split("\t") for row in mona.page.locator(".imported tbody tr").all_inner_texts()]
    assert [line for line, _, _ in sorted(failed)] == ["4", "5"]
    assert all(why for *_, why in failed)
    entered = {each["name"]: each for each in team.call("mona", "GET", "/customers").json["items"]}
    assert entered.keys() == {"北辰科技, 有限公司", "Acme", "Urgent"}
    assert entered["北辰科技, 有限公司"]["priority"] == 3


def test_a_trial_of_an_import_counts_and_writes_nothing(browser: Browser, team: Team, tmp_path: Path) -> None:
    team.customers("Acme")
    rows = ["Acme again,+1-202-555-0101", *(f"Row {n},+1202555{n:04}" for n in range(1000, 1150)), "Twin,+12025551003"]
    (tmp_path / "many.csv").write_text("name,phone\n" + "\n".join(rows) + "\n")
    mona = open_section(browser, "import")

    choose(mona, tmp_path / "many.csv")
    mona.button("import.try").click()

    mona.page.get_by_text("Would be created: 150, updated: 0, unchanged: 1, refused: 1.").wait_for()
    assert [each["id"] for each in team.call("mona", "GET", "/customers").json["items"]] == ["c1"]


def test_a_column_is_given_another_meaning_or_left_out(browser: Browser, team: Team, tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text("Firm,Where,Secret\nAcme,Berlin,x\n")
    mona = open_section(browser, "import")
    choose(mona, tmp_path / "leads.csv")

    mona.page.get_by_label("What Firm becomes").select_option("name")
    mona.page.get_by_label("What Where becomes").select_option("city")
    mona.page.get_by_label("What Secret becomes").select_option("")
    mona.page.get_by_role("cell", name="Berlin").nth(1).wait_for()
    mona.button("import.go").click()
    mona.page.get_by_text("Created: 1,").wait_for()

    (entered,) = team.call("mona", "GET", "/customers").json["items"]
    assert entered["name"] == "Acme"
    assert team.customer(entered["id"])["fields"] == {"city": "Berlin"}


def test_a_file_is_imported_into_the_pool_for_which_it_was_chosen(browser: Browser, team: Team, tmp_path: Path) -> None:
    team.call("root", "POST", "/v1/pools", {"id": "q", "name": "Other", "policy": {}})
    team.call("root", "PUT", "/v1/pools/q/members/mona", {"role": "manager"})
    (tmp_path / "leads.csv").write_text("name\nAcme\n")
    mona = open_section(browser, "import")
    choose(mona, tmp_path / "leads.csv")

    mona.page.locator("#pool-choice").select_option("q")
    mona.page.get_by_text("Nothing has been imported").wait_for()
    expect(mona.button("import.go")).to_have_count(0)
    mona.page.locator("#pool-choice").select_option("p")
    mona.button("import.go").click()
    mona.page.get_by_text("Created: 1,").wait_for()

    assert [each["name"] for each in team.call("mona", "GET", "/customers").json["items"]] == ["Acme"]
    assert team.call("mona", "GET", "/v1/pools/q/customers").json["items"] == []


def test_an_import_of_many_requests_is_listed_as_one_and_undone(browser: Browser, team: Team, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("name,phone\n" + "".join(f"Row {n},+1202555{n:04}\n" for n in range(230)))
    mona = open_section(browser, "import")
    choose(mona, tmp_path / "many.csv")
    mona.button("import.go").click()
    mona.page.get_by_text("Created: 230,").wait_for()

    mona.button("import.undo_name", file="many.csv").click()
    mona.button("import.undo", mona.dialog).click()
    mona.page.get_by_text("Undone: 230. Left as they are: 0.").wait_for()

    assert team.call("mona", "GET", "/customers").json["items"] == []


def test_rejected_rows_are_downloaded_corrected_and_imported_again(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("name,phone\nAcme,+12025550101\n,+12025550102\n")
    mona = open_section(browser, "import")
    choose(mona, tmp_path / "bad.csv")
    mona.button("import.go").click()
    with mona.page.expect_download() as downloading:
        mona.button("import.download").click()
    text = Path(downloading.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines()[0] == '"poolctl_line","poolctl_error","name","phone"'

    (tmp_path / "good.csv").write_text(text.replace(',"",', ',"Globex",'))
    choose(mona, tmp_path / "good.csv")
    mona.button("import.go").click()
    mona.page.get_by_text("Created: 1,").wait_for()

    customers = team.call("mona", "GET", "/customers").json["items"]
    assert {each["name"] for each in customers} == {"Acme", "Globex"}
    assert all(team.customer(each["id"])["fields"].keys() == {"phone"} for each in customers)


# Members


def test_a_member_is_added_limited_and_removed_with_what_they_hold(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    mona = open_section(browser, "members")

    mona.button("members.add").click()
    mona.dialog.get_by_label("User", exact=True).fill("carol")
    mona.dialog.get_by_label("Holding limit of their own").fill("3")
    mona.button("save", mona.dialog).click()
    mona.page.get_by_role("row").filter(has_text="carol").get_by_text("0 of 3").wait_for()
    team.call("carol", "POST", "/customers/c1/claim")
    mona.tab("members")
    mona.page.get_by_role("row").filter(has_text="carol").get_by_text("1 of 3").wait_for()
    mona.button("members.remove_name", name="carol").click()
    mona.dialog.get_by_label("What becomes of 1 customer that they hold").select_option("transfer")
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("members.remove", mona.dialog).click()
    mona.page.get_by_text("carol was removed from the pool.").wait_for()

    assert team.customer("c1")["holder"] == "bob"
    assert [each["user_id"] for each in team.call("mona", "GET", "/members").json["items"]] == ["alice", "bob", "mona"]


def test_a_removed_member_hands_over_claimed_and_private_customers(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2"]})
    team.call("mona", "POST", "/customers/c2/convert")
    mona = open_section(browser, "members")

    mona.button("members.remove_name", name="alice").click()
    mona.dialog.get_by_label("What becomes of 1 customer that they hold").select_option("release")
    mona.dialog.get_by_label("What becomes of 1 private customer of theirs").select_option("transfer")
    mona.dialog.get_by_label("Recipient").select_option("bob")
    mona.button("members.remove", mona.dialog).click()
    mona.page.get_by_text("alice was removed from the pool.").wait_for()

    assert team.customer("c1")["state"] == "available"
    assert (team.customer("c2")["state"], team.customer("c2")["holder"]) == ("private", "bob")


def test_a_click_on_what_a_member_holds_lists_it(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/customers/c1/claim")
    mona = open_section(browser, "members")

    mona.page.get_by_role("row").filter(has_text="alice").get_by_role("link").first.click()

    expect(mona.listed).to_have_text(["Acme"])


def test_an_admin_hands_over_a_user_who_leaves_the_company(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    team.call("alice", "POST", "/customers/c1/claim")
    root = open_section(browser, "members", user="root")

    root.button("team.leave").click()
    root.dialog.get_by_label("User", exact=True).fill("alice")
    root.dialog.get_by_label("Customers that they hold").select_option("transfer")
    root.dialog.get_by_label("Recipient").fill("bob")
    root.button("team.leave_do", root.dialog).click()
    root.page.locator("#notices").get_by_text("alice").wait_for()

    assert team.customer("c1")["holder"] == "bob"


# Decisions


def test_today_lists_wins_to_approve_customers_set_aside_and_who_holds_most(browser: Browser, team: Team) -> None:
    team.change_policy(max_returns=1)
    team.customers("Acme", "Globex", "Initech")
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2", "c3"]})
    team.call("alice", "POST", "/customers/c1/win", {"amount": "1200"})
    team.call("alice", "POST", "/customers/c2/release")
    mona = open_section(browser, "today")

    mona.button("verb.approve_name", name="Acme").click()
    mona.notice("Acme: Won.")
    mona.button("verb.restore_name", name="Globex").click()
    mona.notice("Globex: May be claimed again.")
    mona.page.get_by_role("link", name="alice").wait_for()

    assert (team.customer("c1")["state"], team.customer("c2")["set_aside_at"]) == ("private", None)


def test_a_declined_win_shows_its_reason_to_the_holder(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    team.call("alice", "POST", "/customers/c1/claim")
    team.call("alice", "POST", "/customers/c1/win")
    mona = open_section(browser, "customers")
    mona.page.get_by_label("State").select_option("win_requested")

    mona.button("verb.decline_name", name="Acme").click()
    mona.dialog.get_by_label("Reason (required)").fill("no contract yet")
    mona.button("verb.decline", mona.dialog).click()
    mona.notice("Acme: The win was declined.")

    alice = browser.open_console("alice", tab="mine")
    alice.open_customer("Acme")
    alice.dialog.get_by_text("no contract yet").wait_for()


# Fields and the log


def test_a_field_is_defined_filtered_by_and_logged(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "fields")

    mona.button("fields.add").click()
    mona.dialog.get_by_label("Key").fill("region")
    mona.dialog.get_by_label("Name in Chinese").fill("大区")
    mona.dialog.get_by_label("Name in English").fill("Region")
    mona.dialog.get_by_label("Type").select_option("choice")
    mona.dialog.get_by_label("Choices", exact=True).fill("North\nSouth")
    mona.dialog.get_by_label("List", exact=True).check()
    mona.button("save", mona.dialog).click()
    mona.notice("The fields have changed.")

    region = next(each for each in team.call("mona", "GET").json["fields"] if each["key"] == "region")
    assert (region["type"], region["options"], region["list"]) == ("choice", ["North", "South"], True)
    mona.tab("log")
    mona.page.get_by_role("cell", name="Fields").first.wait_for()
