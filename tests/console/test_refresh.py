"""When the shown rows are read again. Only the test moves the clock of the page."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.console.pages import Browser, Console, Team

RECORD = """(() => {
  const send = window.fetch;
  window.sent = [];
  window.fetch = (address, request) => {
    window.sent.push([Date.now() / 1000, String(address)]);
    return send(address, request);
  };
})()"""
HIDE = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })"
EVERY = 5  # seconds, in which the page looks whether it is time


class Sent(NamedTuple):
    """A request: when, in seconds by the clock of the page, and the ids that it asks for."""

    at: float
    ids: list[str]


class Shown:
    """The pool with two customers, open in the browser of alice, who has used it just now."""

    def __init__(self, browser: Browser, team: Team) -> None:
        team.customers("Acme", "Globex")
        console = Console(browser.page(), "en")
        self.page = console.page
        self.page.add_init_script(RECORD)
        self.page.clock.install()
        self.page.goto(f"{team.url}/console#token={team.token('alice')}")
        console.tab("pool")
        console.names()
        self.page.clock.pause_at(self.page.evaluate("new Date(Date.now() + 60_000).toISOString()"))
        self.use()

    def use(self) -> None:
        self.page.keyboard.press("Shift")

    def sent_within(self, seconds: int) -> list[Sent]:
        """Return the requests that the page sends in the next seconds."""
        self.page.evaluate("window.sent = []")
        self.page.clock.run_for(seconds * 1000)
        sent = self.page.evaluate("window.sent")
        return [Sent(at, parse_qs(urlsplit(url).query)["ids"][0].split(",")) for at, url in sent]


def seconds_between(requests: list[Sent]) -> list[float]:
    return [later.at - earlier.at for earlier, later in pairwise(requests)]


def test_all_shown_rows_are_read_again_in_one_request_each_minute_of_use(browser: Browser, team: Team) -> None:
    shown = Shown(browser, team)

    requests = []
    for _ in range(5):
        shown.use()
        requests += shown.sent_within(60)

    assert len(requests) >= 4
    assert all(60 <= seconds < 60 + 2 * EVERY for seconds in seconds_between(requests))
    assert all(sorted(each.ids) == ["c1", "c2"] for each in requests)


def test_the_rows_of_a_page_that_is_not_used_are_read_again_every_five_minutes(browser: Browser, team: Team) -> None:
    shown = Shown(browser, team)
    shown.sent_within(130)  # two minutes count as used

    requests = shown.sent_within(1300)

    assert len(requests) >= 3
    assert all(300 <= seconds < 300 + 2 * EVERY for seconds in seconds_between(requests))


def test_a_hidden_page_reads_nothing(browser: Browser, team: Team) -> None:
    shown = Shown(browser, team)

    shown.page.evaluate(HIDE)

    assert shown.sent_within(1000) == []
