"""Files that lose, double or refuse data in other readers: the console imports them like the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.pages import Browser, Console, Team
from tests.http.test_poolctl_import_cases import CASES, LONG

# The texts that the page shows before the import, of files that are read in an unusual way.
SHOWN = {
    "title lines": "Headings in line 3",
    "a column without a heading": "column_1",
    "a sep line": "Separator ;",
    "another encoding": "AdolesCi阯cia",
    "Shift JIS": "9 of 9 characters are rare",
    "a hidden first sheet": "Sheet 客户",
    "a workbook with a long number": "Sheet Sheet1",
}
REFUSED = {
    "an open quotation mark": (
        '客户名称,手机,备注\n甲公司,13800138000,"未闭合\n乙公司,13900139000,正常\n'.encode(),
        "Line 2",
    ),
    "an unknown encoding": ("name,phone\nJürgen Weiß,13800138000\n".encode("cp1252"), "encoding"),
    "a web page": (b"<html><table><tr><td>name</td></tr></table></html>", "web page"),
}


def pools(team: Team, names: list[str], **policy: Any) -> dict[str, str]:
    """Create a pool for each of the names, with mona as its manager. Return their ids by name."""
    ids = {name: f"case{number}" for number, name in enumerate(names)}
    for name, pool in ids.items():
        team.call("root", "POST", "/v1/pools", {"id": pool, "name": name, "policy": policy})
        team.call("root", "PUT", f"/v1/pools/{pool}/members/mona", {"role": "manager"})
    return ids


def choose_file(console: Console, pool: str, content: bytes | str, folder: Path) -> Path:
    """Go to the import of a pool, and choose a new file with this content."""
    console.page.evaluate(f"location.hash = '#/{pool}/import'")
    console.page.get_by_label("Pool", exact=True).locator(f"option[value={pool}]:checked").wait_for(state="attached")
    console.wait_until_loaded()
    file = folder / f"{pool}-{len(list(folder.iterdir()))}.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    console.page.get_by_label(console.text("import.file")).set_input_files(file)
    return file


def imported_by_name(team: Team, pool: str) -> dict[str, Any]:
    """Return the fields of the customers of a pool by their names, complete."""
    listed = team.call("mona", "GET", f"/v1/pools/{pool}/customers?limit=100").json["items"]
    ids = ",".join(each["id"] for each in listed)
    found = team.call("mona", "GET", f"/v1/pools/{pool}/customers?ids={ids}").json["items"] if ids else []
    return {each["name"]: each["fields"] for each in found}


def test_the_console_imports_each_file_without_losing_or_doubling_data(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    ids = pools(team, list(CASES))
    mona = browser.open_console("mona", tab="import")

    shown: set[str] = set()
    for name, (content, expected, _) in CASES.items():
        choose_file(mona, ids[name], content, tmp_path)
        mona.page.get_by_role("heading", name="Columns").wait_for()
        if name in SHOWN:
            expect(mona.page.locator("main")).to_contain_text(SHOWN[name])
            shown.add(name)
        if expected:
            mona.button("import.go").click()
            mona.page.locator(".imported h3").get_by_text("Created:").wait_for()
    made = {name: imported_by_name(team, pool) for name, pool in ids.items()}

    assert made == {name: expected for name, (_, expected, _) in CASES.items()}
    assert shown == SHOWN.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_the_console_refuses_a_file_that_cannot_be_read_correctly(
    browser: Browser, team: Team, tmp_path: Path, name: str
) -> None:
    content, text = REFUSED[name]
    mona = browser.open_console("mona", tab="import")

    choose_file(mona, "p", content, tmp_path)
    mona.page.get_by_text(text).first.wait_for()

    expect(mona.button("import.go")).to_have_count(0)
    assert imported_by_name(team, "p") == {}


def test_a_file_in_another_encoding_is_read_once_it_is_named(browser: Browser, team: Team, tmp_path: Path) -> None:
    mona = browser.open_console("mona", tab="import")

    choose_file(mona, "p", REFUSED["an unknown encoding"][0], tmp_path)
    mona.page.get_by_label(mona.text("import.read_as")).select_option("Windows-1252")
    mona.button("import.go").click()
    mona.page.get_by_text("Created: 1").wait_for()

    assert imported_by_name(team, "p") == {"Jürgen Weiß": {"phone": "13800138000"}}


def test_contacts_under_chinese_headings_are_masked_for_members(browser: Browser, team: Team, tmp_path: Path) -> None:
    team.change_policy(masked_fields=["phone", "wechat", "email"])
    mona = browser.open_console("mona", tab="import")

    choose_file(mona, "p", "公司名称,手机号码,微信号,电子邮件\n甲公司,13800138000,wx_abc,a@example.com\n", tmp_path)
    mona.button("import.go").click()
    mona.page.get_by_text("Created: 1").wait_for()

    (row,) = team.call("alice", "GET", "/customers?state=available").json["items"]
    seen = team.call("alice", "GET", f"/customers/{row['id']}").json["fields"]
    assert (seen["phone"], seen["wechat"]) == ("138****8000", "w****")
    assert seen["email"].startswith("a****")


def test_the_trial_names_the_lines_that_are_too_large(browser: Browser, team: Team, tmp_path: Path) -> None:
    mona = browser.open_console("mona", tab="import")

    choose_file(mona, "p", f"编号,客户名称,备注\na1,甲,{LONG}\na2,乙,短\na3,丙,{LONG}\n", tmp_path)
    mona.button("import.try").click()
    mona.page.get_by_text(mona.text("import.would", created="1", updated="0", unchanged="0", failed="2")).wait_for()

    rows = mona.page.locator(".imported tbody tr").all_inner_texts()
    assert [row.split("\t")[:2] for row in rows] == [["2", "a1"], ["4", "a3"]]


def test_a_file_with_one_more_line_adds_only_that_line(browser: Browser, team: Team, tmp_path: Path) -> None:
    mona = browser.open_console("mona", tab="import")
    summary = mona.page.locator(".imported h3")

    choose_file(mona, "p", "客户名称,城市\n甲,上海\n乙,北京\n", tmp_path)
    mona.button("import.go").click()
    expect(summary).to_have_text(mona.text("import.done", created="2", updated="0", unchanged="0", failed="0"))
    expect(mona.page.locator(".imported .hint")).to_have_text(mona.text("import.without_key", count="2"))
    choose_file(mona, "p", "客户名称,城市\n甲,上海\n丙,广州\n乙,北京\n", tmp_path)
    mona.button("import.go").click()

    expect(summary).to_have_text(mona.text("import.done", created="1", updated="0", unchanged="2", failed="0"))
    assert set(imported_by_name(team, "p")) == {"甲", "乙", "丙"}


def test_the_trial_of_a_file_of_several_pieces_counts_each_customer_once(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    remark = "x" * 1_500  # so that 400 rows take three pieces of 256 KB
    rows = [f"Row {n},+1202555{1000 + n % 300},{remark}" for n in range(400)]
    mona = browser.open_console("mona", tab="import")

    choose_file(mona, "p", "name,phone,remark\n" + "\n".join(rows) + "\n", tmp_path)
    mona.button("import.try").click()
    summary = mona.page.locator(".imported h3")
    expect(summary).to_have_text(mona.text("import.would", created="300", updated="0", unchanged="0", failed="100"))
    mona.button("import.go", mona.page.locator(".imported")).click()

    expect(summary).to_have_text(mona.text("import.done", created="300", updated="0", unchanged="0", failed="100"))


def test_equal_rows_without_a_key_are_different_customers_in_any_piece_of_a_file(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    remark = "x" * 1_500  # so that 200 rows take two pieces of 256 KB
    mona = browser.open_console("mona", tab="import")

    for created, unchanged in ((200, 0), (0, 200)):
        choose_file(mona, "p", "name,remark\n" + f"A,{remark}\n" * 200, tmp_path)
        mona.button("import.go").click()
        expect(mona.page.locator(".imported h3")).to_have_text(
            mona.text("import.done", created=created, updated=0, unchanged=unchanged, failed=0)
        )


def test_a_file_whose_last_piece_cannot_be_read_is_not_imported_at_all(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    rows = "".join(f"Row {n},{'x' * 1_500}\n" for n in range(200))
    mona = browser.open_console("mona", tab="import")

    choose_file(mona, "p", f'name,remark\n{rows}Last,"open\nB,x\n', tmp_path)
    mona.button("import.go").click()

    expect(mona.page.get_by_role("alert")).to_have_text("Line 202: A quotation mark is opened and never closed.")
    assert imported_by_name(team, "p") == {}


def test_a_file_that_has_changed_since_it_was_chosen_has_to_be_chosen_again(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    mona = browser.open_console("mona", tab="import")
    file = choose_file(mona, "p", "name,phone\nAcme,+12025550101\n", tmp_path)
    mona.button("import.go").wait_for()

    file.write_text("name,phone\nAcme,+12025550101\nGlobex,+12025550102\n")
    mona.button("import.go").click()

    expect(mona.page.get_by_role("alert")).to_have_text(mona.text("refusal.file_changed"))
    assert imported_by_name(team, "p") == {}


def test_a_refused_line_with_too_many_cells_is_downloaded_with_all_of_them(
    browser: Browser, team: Team, tmp_path: Path
) -> None:
    mona = browser.open_console("mona", tab="import")
    choose_file(mona, "p", "Firma,phone\nAcme,+12025550101,lost\n", tmp_path)
    mona.page.get_by_label(mona.text("import.target_of", heading="Firma")).select_option("name")
    mona.button("import.go").click()

    with mona.page.expect_download() as downloading:
        mona.button("import.download").click()

    heading, line = Path(downloading.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert heading == '"poolctl_line","poolctl_error","name","phone"'
    assert line.startswith('"2",') and line.endswith(',"Acme","\'+12025550101","lost"')
