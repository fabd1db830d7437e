"""A change of fields that the schedule carries out, in the console: under way, and why it could not be carried out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import expect

from chalicelib import bootstrap
from chalicelib.services import schedule
from poolctl.local_keys import LocalKeys
from tests.console.in_memory import app_on, backend_on
from tests.console.pages import Browser, Team
from tests.support.memory import memory_table
from tests.support.sorted_memory import SortedMemory
from tools.local.gateway import LocalApi

TAX = {"key": "tax_id", "label": {"en": "Tax id", "zh": "税号"}, "type": "text"}
MINUTE = 60_000


@dataclass
class Clock:
    """The time of this machine, and how far the test has moved it."""

    ahead: int = 0

    def __call__(self) -> int:
        return bootstrap.clock() + self.ahead


@dataclass
class Scheduled:
    """A browser, and the schedule of the service that it uses."""

    browser: Browser
    backend: Any
    clock: Clock

    def run(self) -> None:
        """Let the schedule run for two minutes."""
        for _ in range(2):
            self.clock.ahead += MINUTE
            schedule.run_round(self.backend, self.clock(), lambda: 60.0)


@pytest.fixture
def scheduled(keys: LocalKeys, chromium_process: Any) -> Iterator[Scheduled]:
    backend, clock = backend_on(memory_table(SortedMemory()), keys), Clock()
    with LocalApi(app_on(backend, keys, clock)) as api:
        team = Team(api.url, keys, "fields")
        team.create_pool()
        browser = Browser(chromium_process, team)
        yield Scheduled(browser, backend, clock)
        browser.close()
        assert browser.errors == []


def test_customers_that_keep_a_field_from_being_unique_are_named_and_opened(scheduled: Scheduled) -> None:
    team = scheduled.browser.team
    version = team.call("mona", "GET").json["version"]
    team.call("mona", "PATCH", "", {"fields": [TAX]}, if_match=str(version))
    for customer, tax_id in {"c1": "91310", "c2": "44030", "c3": "91310"}.items():
        body = {"id": customer, "name": f"Company {customer}", "fields": {"tax_id": tax_id}}
        team.call("mona", "POST", "/customers", body)
    scheduled.run()
    mona = scheduled.browser.open_console("mona", tab="fields")

    mona.button("fields.edit_name", name="Tax id").click()
    mona.dialog.get_by_label("Unique").check()
    mona.button("save", mona.dialog).click()
    expect(mona.page.get_by_text("A change of fields is being carried out")).to_be_visible()
    scheduled.run()
    mona.page.reload()

    banner = mona.page.get_by_role("status").filter(has_text="Tax id could not become unique.")
    expect(banner.get_by_role("link")).to_have_text(["c1", "c3"])
    banner.get_by_role("link", name="c3").click()
    expect(mona.dialog.get_by_role("heading", name="Company c3")).to_be_visible()
