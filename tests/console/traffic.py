"""The requests of a page: which, how many bytes, how many times it had to wait for responses; and a slow network."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.console.pages import WITHIN_MS

LATENCY_MS, BYTES_PER_S = 400, 200 * 1024
SERVICE = "/v1/"
MOST_WAITS, EACH_MS = 20, 20
# Whatever the responses so far make the page send has been sent: the longest timer before it is of 100 ms.
QUIET = "async () => { for (let i = 0; i < 8; i += 1) await new Promise((done) => setTimeout(done, 40)); }"


@dataclass
class Request:
    """A request of a page. `size` is that of its response with the headers, as transferred."""

    method: str
    url: str
    size: float = 0.0


class Traffic:
    """The requests of a page from now on."""

    def __init__(self, page: Any) -> None:
        self._requests: dict[str, Request] = {}
        self._network = page.context.new_cdp_session(page)
        self._network.on("Network.requestWillBeSent", self._began)
        self._network.on("Network.loadingFinished", self._ended)
        self._network.send("Network.enable")

    def slow_down(self) -> None:
        """Delay each response by LATENCY_MS, and transfer BYTES_PER_S."""
        limits = {"latency": LATENCY_MS, "downloadThroughput": BYTES_PER_S, "uploadThroughput": BYTES_PER_S}
        self._network.send("Network.emulateNetworkConditions", {"offline": False, **limits})

    def forget(self) -> None:
        self._requests.clear()

    @property
    def of_service(self) -> list[str]:
        """The methods of the requests to the service, in order."""
        return [each.method for each in self._requests.values() if SERVICE in each.url]

    @property
    def size_of_page(self) -> float:
        """The bytes of the page and its files."""
        return sum(each.size for each in self._requests.values() if SERVICE not in each.url)

    def _began(self, event: Any) -> None:
        if event["request"]["url"].startswith("http"):
            self._requests[event["requestId"]] = Request(event["request"]["method"], event["request"]["url"])

    def _ended(self, event: Any) -> None:
        if event["requestId"] in self._requests:
            self._requests[event["requestId"]].size = event["encodedDataLength"]


def hold_until_released(held_routes: list[Any]) -> Callable[[Any], None]:
    """Return a route handler that holds each request until the test continues it."""

    def hold(route: Any) -> None:
        held_routes.append(route)

    return hold


def round_trips(page: Any, address: str, shown: Any) -> int:
    """Open the address. Return how many times the page had to wait for responses until `shown` is visible.

    Responses are held until the page sends nothing more, then all arrive together. So the time that anything takes does
    not matter.
    """
    held: list[Any] = []
    arrived: list[Any] = []
    page.on("requestfinished", lambda request: arrived.append(request.url))
    page.route(re.compile("/console/|/v1/"), hold_until_released(held))
    page.goto(address, wait_until="commit")  # the first
    for waits in range(1, MOST_WAITS):
        _wait(page, lambda: held or shown.is_visible())
        if shown.is_visible():
            return waits
        page.evaluate(QUIET)
        awaited = {route.request.url for route in held}
        for route in [held.pop(0) for _ in range(len(held))]:
            route.continue_()
        _wait(page, partial(awaited.issubset, arrived))
    raise AssertionError(f"after {MOST_WAITS} round trips nothing is shown")


def _wait(page: Any, condition: Callable[[], object]) -> None:
    for _ in range(WITHIN_MS // EACH_MS):
        if condition():
            return
        page.wait_for_timeout(EACH_MS)
    raise AssertionError("nothing happens")
