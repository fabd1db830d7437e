"""The speed of the console with many customers in the pool: requests, bytes and round trips. Times are only printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from chalicelib import bootstrap
from poolctl.local_keys import LocalKeys
from tests.console.in_memory import app_on, backend_on
from tests.console.large_pool import fill
from tests.console.pages import Browser, Console, Team
from tests.console.traffic import Traffic, hold_until_released, round_trips
from tests.support.memory import memory_table
from tests.support.sorted_memory import SortedMemory
from tools.local.gateway import LocalApi

SIZES = (3_000, pytest.param(100_000, marks=pytest.mark.exhaustive))
FIRST_VISIT, RELOAD = 42 * 1024, 2.5 * 1024  # bytes of the page and its files, with the headers of the responses
# Lists are not read again from time to time: the machine may be slow.
NO_TIMERS = "window.setInterval = () => 0"
# Notes when something was pressed, and when the list has changed last.
STOPWATCH = """(() => {
  window.pressed = 0;
  const press = () => { window.pressed = performance.now(); };
  for (const event of ["click", "keydown"]) addEventListener(event, press, true);
  const listed = ({ target }) => target instanceof Element && target.closest(".list");
  const note = (changes) => { if (changes.some(listed)) window.changed = performance.now(); };
  new MutationObserver(note).observe(document, { childList: true, subtree: true });
})()"""
ROWS = "[...document.querySelectorAll('.customers [data-id]')].map((row) => row.textContent)"
TAKEN = "window.changed - window.pressed"
LISTED = f"text => {ROWS}.length > 0 && {ROWS}.every((row) => row.includes(text)) && {TAKEN}"
GONE = f"text => !{ROWS}.some((row) => row.includes(text)) && {TAKEN}"

Print = Callable[[str], None]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size}-customers")
def team(request: pytest.FixtureRequest, keys: LocalKeys) -> Iterator[Team]:
    """A pool with that many available customers."""
    engine = SortedMemory()
    table = memory_table(engine)
    with LocalApi(app_on(backend_on(table, keys), keys)) as api:
        made = Team(api.url, keys, "many")
        made.create_pool()
        fill(engine, table, made.tenant, request.param, bootstrap.clock())
        yield made


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Print:
    """Print a line also where the test passes."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.callspec.id}: {text}", end="")

    return line


def signed_in(browser: Browser, slow: bool = False) -> tuple[Console, Traffic]:
    """Return the console of alice, who is signed in, before it is opened."""
    console = Console(browser.page(), "en")
    console.page.add_init_script(f"sessionStorage.setItem('customer-pool.token', '{browser.team.token('alice')}')")
    console.page.add_init_script(NO_TIMERS)
    console.page.add_init_script(STOPWATCH)
    traffic = Traffic(console.page)
    if slow:
        traffic.slow_down()
    return console, traffic


def open_pool(browser: Browser, slow: bool = False) -> tuple[Console, Traffic]:
    """Return the console of alice at the pool, with its requests from now on."""
    console, traffic = signed_in(browser, slow)
    console.page.goto(f"{browser.team.url}/console#/p/pool")
    console.names()
    traffic.forget()
    return console, traffic


def ms(page: Any, condition: str, text: str = "") -> str:
    """Wait for the condition. Return the time until then since something was pressed, or the page was requested."""
    return f"{page.wait_for_function(condition, arg=text, polling='raf').json_value():.0f} ms"


def test_the_first_rows_need_four_round_trips(browser: Browser) -> None:
    console, _ = signed_in(browser)

    assert round_trips(console.page, f"{browser.team.url}/console#/p/pool", console.listed.first) == 4


@pytest.mark.parametrize("slow", [False, True], ids=["locally", "slow"])
def test_a_first_visit_and_a_reload_load_few_bytes(browser: Browser, slow: bool, report: Print) -> None:
    console, traffic = signed_in(browser, slow)

    console.page.goto(f"{browser.team.url}/console#/p/pool")
    report(f"first rows after {ms(console.page, LISTED)}, {traffic.size_of_page:,.0f} bytes of page")
    assert traffic.size_of_page <= FIRST_VISIT
    traffic.forget()
    console.page.reload()
    report(f"reload: after {ms(console.page, LISTED)}, {traffic.size_of_page:,.0f} bytes of page")

    assert traffic.size_of_page <= RELOAD


def test_a_search_and_a_filter_take_one_request_each(browser: Browser, report: Print) -> None:
    alice, traffic = open_pool(browser)
    page = alice.page

    for text in ("海科技0001", "科技"):
        traffic.forget()
        page.get_by_role("searchbox").fill(text)
        page.keyboard.press("Enter")
        report(f"search for {text}: {ms(page, LISTED, text)}")
        assert traffic.of_service == ["GET"]
    alice.button_named("City").click()
    alice.dialog.get_by_label("City").fill("西安")
    traffic.forget()
    page.keyboard.press("Enter")
    alice.dialog.wait_for(state="detached")
    report(f"filter: {ms(page, LISTED, '西安')}")

    assert traffic.of_service == ["GET"]


def test_a_claim_is_shown_after_one_request(browser: Browser, report: Print) -> None:
    alice, traffic = open_pool(browser)
    name = alice.names()[0]
    held: list[Any] = []
    alice.page.route("**/v1/pools/p/members/me", hold_until_released(held))

    alice.button("verb.claim_name", name=name).click()
    report(f"claim: {ms(alice.page, GONE, name)}")

    assert traffic.of_service in (["POST"], ["POST", "GET"])  # the counters follow


def test_two_hundred_refused_claims_take_four_requests(browser: Browser, report: Print) -> None:
    alice, traffic = open_pool(browser)
    for shown in (100, 150, 200):
        alice.button("list.more").click()
        expect(alice.listed).to_have_count(shown)
    alice.page.get_by_label("Select all").check()
    ids = alice.page.locator("[data-id]").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    for piece in (ids[:100], ids[100:]):
        browser.team.call("bob", "POST", "/claim", {"customer_ids": piece})
    traffic.forget()

    alice.button("verb.ticked", verb="Claim").click()
    expect(alice.results).to_have_count(200)
    report(f"200 refused claims: {ms(alice.page, LISTED)}")

    assert traffic.of_service == ["POST", "POST", "GET", "GET"]
