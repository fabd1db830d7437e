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

from tests.console.pages import DESKTOP, PHONE, Console, Door, Team

TRAP = "<img src=x onerror=\"document.title='caught'\">"
TABS = ("pool", "mine", "manage", "statistics")
SECTIONS = ("import", "members", "rules", "state")
FOCUSED = """(() => {
  const at = document.activeElement;
  return at.getAttribute("aria-label") || (at.labels?.[0] ?? at).textContent;
})()"""


def furnished(team: Team) -> None:
    """Create customers of every kind: long names, claimed, expired, converted."""
    team.customers("Acme", "北辰科技有限公司", "Globex " * 20, "x" * 150, "Initech", "Umbrella")
    team.rule(holding_limit=4, daily_claim_limit=9, cooldown="P1D", members_may_extend=True, extension="P1D")
    for user in ("alice", "mona"):
        team.ask(user, "POST", "/claim-next", {"count": 2})
    held = team.ask("mona", "GET", "/customers?holder=mona&state=claimed").json["items"]
    team.ask("mona", "POST", f"/customers/{held[0]['id']}/win")


# Names


def test_a_name_that_looks_like_html_is_shown_as_text(door: Door, team: Team) -> None:
    team.customers(TRAP, "Acme")
    team.ask("mona", "PATCH", "/customers/c2", {"fields": {TRAP[:64]: TRAP}})
    alice = door.enter("alice")

    assert TRAP in alice.names()
    alice.button("claim_name", name=TRAP).click()
    alice.row(TRAP).get_by_text("Yours now.").wait_for()
    alice.row("Acme").get_by_role("button", name="Acme", exact=True).click()
    alice.dialog.get_by_text("Created", exact=True).wait_for()

    assert alice.page.locator("img").count() == 0
    assert alice.page.title() == "Customer pool"


def test_scripts_that_are_not_part_of_the_page_do_not_run(door: Door, team: Team) -> None:
    page = door.enter("alice").page

    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 1'}))")

    assert page.title() == "Customer pool"
    assert any("Content Security Policy" in said for said in door.errors), "the policy has to have said no"
    door.errors.clear()


# The keyboard


def test_the_keyboard_alone_reaches_everything_from_sign_in_to_batch_release(door: Door, team: Team) -> None:
    team.customers("Acme", "Globex")
    console = Console(door.page(), "en")
    page = console.page
    page.goto(f"{team.url}/console")

    def press_to(name: str, key: str = "Tab") -> None:
        """Goes on until what is called so has the focus."""
        for _ in range(40):
            if page.evaluate(FOCUSED) == name:
                return
            page.keyboard.press(key)
        raise AssertionError(f"{name} cannot be reached")

    page.get_by_label("Access token").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.insert_text(team.token("alice"))
    press_to("Sign in")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Pool").wait_for()
    console.settled()
    for name in ("Acme", "Globex"):
        press_to(f"Claim {name}")
        page.keyboard.press("Enter")
        console.row(name).get_by_text("Yours now.").wait_for()
    press_to("Pool", "Shift+Tab")
    page.keyboard.press("ArrowRight")
    console.settled()
    press_to("Select all")
    page.keyboard.press("Space")
    press_to("Release selected")
    page.keyboard.press("Enter")
    console.dialog.wait_for()
    press_to("Release")
    page.keyboard.press("Enter")

    assert len(console.results()) == 2
    assert page.evaluate("document.activeElement.className").startswith("results"), "what came of it has the focus"


def test_escape_closes_a_dialog_and_the_focus_returns(door: Door, team: Team) -> None:
    team.customers("Acme")
    alice = door.enter("alice")

    alice.row("Acme").get_by_role("button", name="Acme", exact=True).press("Enter")
    alice.dialog.get_by_text("History", exact=True).wait_for()
    alice.page.keyboard.press("Escape")
    alice.dialog.wait_for(state="detached")

    assert alice.page.evaluate("document.activeElement.textContent") == "Acme"


# Phones, prefixes, languages


def views(console: Console) -> Iterator[str]:
    """Goes to every tab, and every section of Manage."""
    for tab in TABS:
        console.tab(tab)
        yield tab
        for section in SECTIONS if tab == "manage" else ():
            console.button(f"manage.{section}", console.page.get_by_role("navigation")).click()
            console.settled()
            yield section


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_scrolls_sideways_on_a_phone(door: Door, team: Team, language: str) -> None:
    furnished(team)
    mona = door.enter("mona", language, PHONE)

    widths = {view: mona.page.evaluate("document.documentElement.scrollWidth") for view in views(mona)}

    assert {view: width for view, width in widths.items() if width > PHONE[0]} == {}
    assert len(widths) == len(TABS) + len(SECTIONS)


def test_the_language_is_changed_in_place_and_remembered(door: Door, team: Team) -> None:
    team.customers("Acme")
    alice = door.enter("alice")

    alice.page.get_by_role("button", name="中文").press("Enter")
    assert alice.page.evaluate(FOCUSED) == "English", "the focus stays where it was"
    alice.page.reload()

    alice.page.get_by_role("tab", name="我的客户").wait_for()
    assert alice.page.evaluate("document.documentElement.lang") == "zh-CN"


@pytest.fixture
def behind_a_prefix(team: Team) -> Iterator[str]:
    """The service under `/api`, as a stage of API Gateway has it."""

    class Stage(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            if not self.path.startswith("/api/"):
                self.send_error(403)
                return
            sent = {name: value for name, value in self.headers.items() if name != "Host"}
            asked = Request(team.url + self.path.removeprefix("/api"), body, sent, method=self.command)
            try:
                answer: Any = urlopen(asked)
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


def test_every_url_includes_the_stage_prefix(door: Door, team: Team, behind_a_prefix: str) -> None:
    team.customers("Acme")
    console = Console(door.page(), "en")

    console.page.goto(f"{behind_a_prefix}/console#token={team.token('alice')}")
    console.button("claim_name", name="Acme").click()

    console.row("Acme").get_by_text("Yours now.").wait_for()


# Accessibility


def serious(page: Any) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_no_serious_violation_in_any_tab(door: Door, team: Team, language: str, scheme: str) -> None:
    furnished(team)
    mona = door.enter("mona", language, DESKTOP)
    mona.page.emulate_media(color_scheme=scheme)

    faults = {view: serious(mona.page) for view in views(mona)}

    assert {view: found for view, found in faults.items() if found} == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_no_serious_violation_in_sign_in_and_dialogs(door: Door, team: Team, language: str) -> None:
    furnished(team)
    page = door.page(language)
    page.goto(f"{team.url}/console")
    page.locator("#token").wait_for()
    faults = serious(page)

    alice = door.enter("alice", language, tab="mine")
    for opens in ("mine.release_ticked", "mine.history_name"):
        alice.page.locator(".row .tick input").first.check()
        alice.button(opens, name=alice.names()[0]).click()
        alice.settled()
        faults += serious(alice.page)
        alice.page.keyboard.press("Escape")

    assert faults == []
