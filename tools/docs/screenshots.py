"""`make screenshots`: take the screenshots of the console for the pages, after a month of use.

The month is invented, the same each time, and played over HTTP on a clock that ends now. This module lists the views,
with their language, color scheme and size.
"""

from __future__ import annotations

import os
import random
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chalicelib import bootstrap, config
from chalicelib.api.handler import Service
from chalicelib.model.contact_keys import KeySecret
from chalicelib.model.times import DAY, MINUTE
from chalicelib.services import sweeper
from chalicelib.transactions.context import Backend
from poolctl.client import Client
from poolctl.local_keys import LocalKeys
from tools.browser import browser
from tools.local.engines import MiniStack
from tools.local.fixed_clock_service import front
from tools.local.gateway import LocalApi
from tools.local.seed import CUSTOMERS, POOL
from tools.local.service import local_environment
from tools.paths import PROJECT
from tools.problems import run_tool

FOLDER: Final = PROJECT / "docs" / "pictures"
DAYS: Final = 30
PEOPLE: Final = ("alice", "bob", "carol", "wei")
MORE: Final = (
    "Pied Piper", "Vandelay Imports", "海棠文具", "Cyberdyne Clinics", "长风物流", "Tyrell Optics", "云栖软件",
    "Soylent Kitchens", "Gringott Savings", "青禾农业", "Duff Beverages", "Oscorp Labs", "白鹭旅行", "Monarch Marine",
    "Nakatomi Trading", "晨星印务", "Hooli Cloud", "Aperture Glass", "玉泉乳业", "Bluth Homes", "Prestige Works",
    "松涛家居", "Octan Fuels", "Ollivander Crafts", "星河照明", "Sterling Paper", "Wernham Hogg", "望江门窗",
    "Dunder Logistics", "Massive Dynamics", "银杏医药", "Kwik Grocers", "Paper Street Soap", "雁南旅行", "Virtucon",
    "Rekall Travel", "石溪建材", "Sirius Radios", "Zorin Chips", "鹿鸣出版", "Black Mesa Tools", "Planet Express",
)  # fmt: skip
POLICY: Final = {
    "holding_limit": 8, "daily_claim_limit": 10, "claim_ttl": "P7D", "cooldown": "P1D", "members_may_extend": True,
    "extension": "P2D", "max_extensions": 2, "time_zone": "Asia/Shanghai",
}  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """One picture: who looks at which tab, and what they have done there before."""

    name: str
    user: str
    tab: str
    language: str
    size: tuple[int, int]
    scheme: str = "light"
    before: Callable[[Any], None] = lambda page: None


def ticked(page: Any) -> None:
    for at in (0, 2):
        page.locator(".customers .tick input").nth(at).check()


DESK, PHONE = (1180, 760), (390, 800)
SHOTS: Final = (
    Shot("console-pool-zh", "alice", "pool", "zh-CN", DESK, before=ticked),
    Shot("console-mine-en", "alice", "mine", "en", DESK, before=ticked),
    Shot("console-statistics-zh", "mona", "statistics", "zh-CN", (1180, 980)),
    Shot("console-members-en", "mona", "members", "en", DESK),
    Shot("console-rules-zh", "mona", "rules", "zh-CN", (1180, 980)),
    Shot("console-phone-mine-zh", "alice", "mine", "zh-CN", PHONE),
    Shot("console-phone-pool-en", "bob", "pool", "en", PHONE, "dark"),
)


class Month:
    """The pool's month: everybody claims, gives back, wins; what they forget goes back by itself."""

    def __init__(self, url: str, keys: LocalKeys, service: Service, clock: list[int]) -> None:
        self.clients = {user: Client(url, keys.token(user)) for user in (*PEOPLE, "mona")}
        self.root = Client(url, keys.token("root", ["admin"]))
        self.service, self.clock, self.draw = service, clock, random.Random(7)  # noqa: S311 - the same month each time

    def play(self) -> None:
        self.root.must("POST", "/v1/pools", {"id": POOL, "name": "华东区公海 East", "policy": POLICY})
        for user in self.clients:
            role = "manager" if user == "mona" else "member"
            self.root.must("PUT", f"/v1/pools/{POOL}/members/{user}", {"role": role})
        self.clients["mona"].must("POST", f"/v1/pools/{POOL}/import", {"rows": rows()})
        for _ in range(DAYS - 1):
            for user in PEOPLE:
                self.day_of(user)
                self.clock[0] += 20 * MINUTE
            self.clock[0] += DAY - len(PEOPLE) * 20 * MINUTE
            sweeper.sweep_pools(
                self.service.backend, sweeper.all_pools(self.service.backend), self.clock[0], lambda: 60.0
            )
        for user in PEOPLE:  # and this morning
            self.day_of(user)

    def day_of(self, user: str) -> None:
        client, chance = self.clients[user], self.draw.random
        held = client.must("GET", f"/v1/pools/{POOL}/customers?holder={user}&state=claimed")["items"]
        for each in held:
            fate = chance()
            verb = "win" if fate < 0.02 else "release" if fate < 0.12 else "follow-up" if fate < 0.3 else ""
            if verb:
                client.call(
                    "POST",
                    f"/v1/pools/{POOL}/customers/{each['id']}/{verb}",
                    {"note": "called"} if verb == "follow-up" else {},
                )
        client.call("POST", f"/v1/pools/{POOL}/claim-next", {"count": self.draw.choice((1, 2, 2))})


def rows() -> list[dict[str, Any]]:
    known = [(name, phone, city, priority) for _, name, phone, _, city, priority in CUSTOMERS]
    made = [
        (name, f"+1-202-555-01{at + 20:02}", "上海" if name > "一" else "Boston", at % 4)
        for at, name in enumerate(MORE)
    ]
    return [
        {"id": f"c{at:02}", "name": name, "priority": priority, "fields": {"phone": phone, "city": city}}
        for at, (name, phone, city, priority) in enumerate([*known, *made])
    ]


@contextmanager
def served() -> Iterator[tuple[str, LocalKeys]]:
    """The address of a service with that month behind it, on an engine that keeps nothing."""
    with (
        tempfile.TemporaryDirectory() as folder,
        MiniStack() as engine,
    ):
        keys = LocalKeys(Path(folder) / "keys").ensure()
        os.environ.update(local_environment(engine.endpoint, keys))
        table = bootstrap.table(config.read(os.environ))
        table.create(expiry=False)
        clock = [bootstrap.clock() - (DAYS - 1) * DAY]
        service = Service(
            Backend(table, lambda: uuid.uuid4().hex, random.sample, KeySecret("1", "screenshots")), lambda: clock[0]
        )
        with LocalApi(front(service, keys)) as api:
            Month(api.url, keys, service, clock).play()
            yield api.url, keys


def take(made: Any, url: str, keys: LocalKeys, shot: Shot) -> None:
    size = {"width": shot.size[0], "height": shot.size[1]}
    context = made.new_context(viewport=size, locale=shot.language, color_scheme=shot.scheme, device_scale_factor=1.5)
    page = context.new_page()
    page.goto(f"{url}/console#token={keys.token(shot.user)}")
    page.locator("nav a").first.wait_for()
    page.evaluate(
        f"location.hash = location.hash.replace(/[?].*/, '').split('/').slice(0, 2).join('/') + '/{shot.tab}'"
    )
    page.locator(".reading").first.wait_for(state="detached")
    page.locator(".customer-row, .plain td, .rules, .tile").first.wait_for()
    shot.before(page)
    page.mouse.move(1, 1)
    page.screenshot(path=FOLDER / f"{shot.name}.png")
    context.close()


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with browser() as made, served() as (url, keys):
        for shot in SHOTS:
            take(made, url, keys, shot)
            print(f"docs/pictures/{shot.name}.png")
    return 0


if __name__ == "__main__":
    run_tool(main)
