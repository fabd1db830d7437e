"""The page with hostile names, by keyboard alone, on a phone, behind a stage prefix, and for screen readers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.console.pages import DESKTOP, PHONE, Browser, Console, Team

ZOOMED = (DESKTOP[0] // 2, DESKTOP[1] // 2)  # what a page gets at 200 %

TRAP = "<img src=x onerror=\"document.title='caught'\">"
VIEWS = (
    "today", "pool", "mine", "customers", "members", "import", "rules", "fields", "state", "statistics", "log",
)  # fmt: skip


def add_customers_of_every_kind(team: Team) -> None:
    """Create customers of every kind: long names, claimed, expired, converted."""
    team.customers("Acme", "北辰科技有限公司", "Globex " * 20, "x" * 150, "Initech", "Umbrella")
    team.change_policy(holding_limit=4, daily_claim_limit=9, cooldown="P1D", members_may_extend=True, extension="P1D")
    for user in ("alice", "mona"):
        team.call(user, "POST", "/claim-next", {"count": 2})
    held = team.call("mona", "GET", "/customers?holder=mona&state=claimed").json["items"]
    team.call("mona", "POST", f"/customers/{held[0]['id']}/win")


# Names


@pytest.mark.parametrize("place", ["#/100%/pool", "#/p/%zz", "#/p/statistics?period=x", "#/p/customers?state=toString"])
def test_an_address_that_is_not_valid_still_opens_the_console(browser: Browser, team: Team, place: str) -> None:
    mona = browser.open_console("mona")

    mona.page.goto("about:blank")
    mona.page.goto(f"{team.url}/console{place}")
    mona.view("pool").wait_for()
    mona.wait_until_loaded()

    expect(mona.page.get_by_role("alert")).to_have_count(0)


def test_a_name_that_looks_like_html_is_shown_as_text(browser: Browser, team: Team) -> None:
    team.customers(TRAP, "Acme")
    team.call("mona", "PATCH", "/customers/c2", {"fields": {TRAP[:64]: TRAP}})
    alice = browser.open_console("alice")

    expect(alice.listed.filter(has_text=TRAP)).to_have_count(1)
    alice.button("verb.claim_name", name=TRAP).click()
    alice.notice("Yours now.")
    alice.open_customer("Acme")
    alice.dialog.get_by_text("Created", exact=True).wait_for()

    expect(alice.page.locator("img")).to_have_count(0)
    expect(alice.page).to_have_title("Customer pool")


def test_scripts_that_are_not_part_of_the_page_do_not_run(browser: Browser, team: Team) -> None:
    page = browser.open_console("alice").page

    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 1'}))"
        )

    expect(page).to_have_title("Customer pool")
    browser.errors.clear()


# The keyboard


def test_the_keyboard_alone_reaches_everything_from_sign_in_to_batch_release(browser: Browser, team: Team) -> None:
    team.customers("Acme", "Globex")
    console = Console(browser.page(), "en")
    page = console.page
    page.goto(f"{team.url}/console")

    page.get_by_label("Access token").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.insert_text(team.token("alice"))
    console.reach("Sign in")
    page.keyboard.press("Enter")
    console.view("pool").press("Enter")
    console.wait_until_loaded()
    for name in ("Acme", "Globex"):
        console.reach(f"Claim {name}")
        page.keyboard.press("Enter")
        console.notice(f"{name}: Yours now.")
    console.reach("Mine", "Shift+Tab")
    page.keyboard.press("Enter")
    console.wait_until_loaded()
    console.reach("Select all")
    page.keyboard.press("Space")
    console.reach("Release selected")
    page.keyboard.press("Enter")
    console.dialog.wait_for()
    console.reach("Release")
    page.keyboard.press("Enter")

    expect(console.results).to_have_count(2)
    expect(page.locator(".results"), "the results have the focus").to_be_focused()


def test_escape_closes_a_dialog_and_the_focus_returns(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")

    alice.row("Acme").get_by_role("link", name="Acme", exact=True).press("Enter")
    alice.dialog.get_by_text("History", exact=True).wait_for()
    alice.page.keyboard.press("Escape")
    alice.dialog.wait_for(state="detached")

    expect(alice.row("Acme").get_by_role("link", name="Acme", exact=True)).to_be_focused()


# Phones, prefixes, languages


def each_view(console: Console) -> Iterator[str]:
    """Open every view in turn."""
    for view in VIEWS:
        console.tab(view)
        yield view


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_scrolls_sideways_on_a_phone(browser: Browser, team: Team, language: str) -> None:
    add_customers_of_every_kind(team)
    mona = browser.open_console("mona", language, PHONE)

    widths = {view: mona.page.evaluate("document.documentElement.scrollWidth") for view in each_view(mona)}

    assert {view: width for view, width in widths.items() if width > PHONE[0]} == {}
    assert len(widths) == len(VIEWS)


def test_the_language_is_changed_in_place_and_remembered(browser: Browser, team: Team) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")

    alice.page.get_by_role("button", name="中文").press("Enter")
    expect(alice.page.get_by_role("button", name="English"), "the focus stays where it was").to_be_focused()
    alice.page.reload()

    alice.page.get_by_role("link", name="我的客户").wait_for()
    expect(alice.page.locator("html")).to_have_attribute("lang", "zh-CN")


@pytest.fixture
def behind_a_prefix(team: Team) -> Iterator[str]:
    """The service under `/api`, as a stage of API Gateway serves it."""

    class Stage(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            if not self.path.startswith("/api/"):
                self.send_error(403)
                return
            sent = {name: value for name, value in self.headers.items() if name != "Host"}
            forwarded = Request(team.url + self.path.removeprefix("/api"), body, sent, method=self.command)
            try:
                answer: Any = urlopen(forwarded)
            except HTTPError as refusal:
                answer = refusal
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stage) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_every_url_includes_the_stage_prefix(browser: Browser, team: Team, behind_a_prefix: str) -> None:
    team.customers("Acme")
    console = Console(browser.page(), "en")

    console.page.goto(f"{behind_a_prefix}/console#token={team.token('alice')}")
    console.tab("pool")
    console.button("verb.claim_name", name="Acme").click()

    console.notice("Acme: Yours now.")


# Accessibility


def violations_on(page: Any) -> list[str]:
    found = Axe().run(page).response["violations"]
    bad = ("moderate", "serious", "critical")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in bad]


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("en", "light", DESKTOP), ("zh", "dark", DESKTOP), ("zh", "light", ZOOMED), ("en", "dark", ZOOMED)],
)
def test_axe_finds_no_moderate_or_serious_violation_in_any_view(
    browser: Browser, team: Team, language: str, scheme: str, size: tuple[int, int]
) -> None:
    add_customers_of_every_kind(team)
    mona = browser.open_console("mona", language, size)
    mona.page.emulate_media(color_scheme=scheme)

    violations = {view: violations_on(mona.page) for view in each_view(mona)}

    assert {view: found for view, found in violations.items() if found} == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_no_violation_where_several_are_edited_and_rules_are_tried(
    browser: Browser, team: Team, language: str
) -> None:
    team.customers("Acme")
    team.call("alice", "POST", "/customers/c1/claim")
    root = browser.open_console("root", language, tab="members")

    root.button("team.limits").click()
    root.button("team.limits_save").wait_for()
    violations = violations_on(root.page)
    root.tab("rules")
    root.page.get_by_label(root.text("rule.max_hold")).fill("3")
    root.page.get_by_label(root.text("rules.apply_to")).select_option("all")
    root.button("rules.try").click()
    root.page.get_by_role("region").get_by_role("row").nth(1).wait_for()
    violations += violations_on(root.page)
    root.tab("state")
    root.button("pools.create").click()
    root.dialog.wait_for()
    violations += violations_on(root.page)

    assert violations == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_no_moderate_or_serious_violation_in_sign_in_and_dialogs(
    browser: Browser, team: Team, language: str
) -> None:
    add_customers_of_every_kind(team)
    page = browser.page(language)
    page.goto(f"{team.url}/console")
    page.locator("#token").wait_for()
    violations = violations_on(page)

    alice = browser.open_console("alice", language, tab="mine")
    alice.page.locator(".customers .tick input").first.check()
    alice.button("verb.ticked", verb=alice.text("verb.release")).click()
    alice.dialog.wait_for()
    violations += violations_on(alice.page)
    alice.page.keyboard.press("Escape")
    alice.dialog.wait_for(state="detached")
    alice.open_customer(alice.names()[0])
    alice.wait_until_loaded()
    violations += violations_on(alice.page)

    assert violations == []
