"""The rules of a pool in the console: tried, applied, refused, and what a trial shows."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.pages import Browser, Team, open_section


def test_a_rule_is_tried_and_then_applied_to_all(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/claim", {"customer_ids": ["c1", "c2"]})
    mona = open_section(browser, "rules")

    mona.page.get_by_label("A claim lasts").fill("3")
    mona.page.get_by_label("Deadlines change for").select_option("all")
    mona.button("rules.try").click()
    mona.page.get_by_text("This would change: A claim lasts. 2 claims would get another deadline.").wait_for()
    assert team.call("mona", "GET").json["policy"]["claim_ttl"] == "P7D", "a preview changes nothing"
    mona.button("rules.apply").click()
    mona.page.get_by_text("The rules have changed, and 2 deadlines with them.").wait_for()

    assert team.call("mona", "GET").json["policy"]["claim_ttl"] == "P3D"


def test_an_emptied_rule_is_turned_off_and_the_others_stay(browser: Browser, team: Team) -> None:
    team.change_policy(holding_limit=5, cooldown="PT90M", sweep_breaker=0.5, masked_fields=["phone"], reminders=["P1W"])
    before = team.call("mona", "GET").json["policy"]
    mona = open_section(browser, "rules")

    mona.page.get_by_label("Holding limit").fill("")
    mona.button("rules.apply").click()
    mona.page.get_by_text("The rules have changed.").wait_for()

    assert team.call("mona", "GET").json["policy"] == before | {"holding_limit": None}


def test_rules_changed_by_another_user_are_shown_and_not_overwritten(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "rules")
    team.change_policy(holding_limit=9)

    mona.page.get_by_label("Holding limit").fill("4")
    mona.button("rules.apply").click()
    mona.page.get_by_text("Somebody has changed this meanwhile.").wait_for()

    expect(mona.page.get_by_label("Holding limit")).to_have_value("9")
    assert team.call("mona", "GET").json["policy"]["holding_limit"] == 9


def test_an_invalid_rule_is_rejected_with_a_sentence(browser: Browser, team: Team) -> None:
    mona = open_section(browser, "rules")

    mona.page.get_by_label("A claim lasts").fill("0")
    mona.button("rules.apply").click()

    mona.page.get_by_text("These rules are not valid.").wait_for()


def test_a_trial_lists_the_customers_and_holders_concerned_and_the_warnings(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    team.call("alice", "POST", "/customers/c1/claim")
    team.call("bob", "POST", "/customers/c2/claim")
    mona = open_section(browser, "rules")

    mona.page.get_by_label("Longest hold").fill("5")
    mona.page.get_by_label("Deadlines change for").select_option("all")
    mona.button("rules.try").click()
    listed = mona.page.get_by_role("region", name="Customers with another deadline").get_by_role("row")

    expect(listed).to_have_text(["Customer Holder", "Acme alice", "Globex bob"], use_inner_text=True)
    expect(mona.page.get_by_text("Their holders:").get_by_role("link")).to_have_text(["alice", "bob"])
    mona.page.get_by_text("Without a cooldown, a member can release a customer").wait_for()


def test_lengths_zones_countries_and_fields_are_chosen(browser: Browser, team: Team) -> None:
    team.change_policy(reminders=["P1D"], max_hold="P2W", cooldown="P1D")
    mona = open_section(browser, "rules", language="zh")
    page = mona.page

    expect(page.get_by_label("最长持有")).to_have_value("2")
    expect(page.get_by_label("单位").nth(4)).to_have_value("W")
    page.get_by_role("button", name="添加提醒").click()
    page.get_by_label("提醒 2", exact=True).fill("3")
    page.get_by_label("时区").select_option("Asia/Tokyo")
    page.get_by_label("电话号码所属地区").select_option("DE")
    page.get_by_label("微信").check()
    page.get_by_label("赢单方式").select_option("manager")
    page.get_by_label("仅限已定义字段").check()
    mona.button("rules.apply").click()
    mona.notice("规则已更改。")

    policy = team.call("mona", "GET").json["policy"]
    assert (policy["reminders"], policy["time_zone"], policy["phone_region"]) == (["P1D", "P3D"], "Asia/Tokyo", "DE")
    assert (policy["masked_fields"], policy["win"], policy["strict_fields"]) == (["wechat"], "manager", True)
    assert policy["max_hold"] == "P2W", "an untouched length keeps its spelling"


def test_an_open_way_around_the_rules_is_shown_where_the_rules_are(browser: Browser, team: Team) -> None:
    team.change_policy(pin_limit=3)

    mona = open_section(browser, "rules")

    mona.page.get_by_text("Without a longest pin, members can pin for up to 30 days.").wait_for()
