"""`make replay DATA=<folder>`: replay a year of a sales team over the HTTP API, then audit the result.

Reads `sales_pipeline.csv` of a CRM export. Each opportunity becomes a customer, and each agent a member. In date order,
agents claim on the day of engagement, keep won customers and release lost ones on their last day. Starts a service that
stores nothing, or uses a running one with URL=.
"""

from __future__ import annotations

import csv
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, track

from poolctl.client import Client
from poolctl.local_keys import LocalKeys
from tools.local.engines import MiniStack
from tools.local.gateway import LocalApi
from tools.local.service import load_app
from tools.problems import Unusable, run_tool

AGENTS_AT_ONCE = 8
COLUMNS = {"opportunity_id", "sales_agent", "product", "account", "deal_stage", "engage_date", "close_date"}


@dataclass(frozen=True)
class Opportunity:
    id: str
    agent: str
    name: str
    product: str
    stage: str
    engaged: date | None
    closed: date | None

    @property
    def kept(self) -> bool:
        return self.engaged is not None and self.stage != "Lost"


@dataclass(frozen=True)
class Action:
    """A claim or release on a day. Claims sort first, for a customer engaged and closed on the same day."""

    day: date
    order: int
    agent: str
    verb: str
    customer: str


def read_pipeline(folder: Path) -> list[Opportunity]:
    """Return the opportunities of the export. Raises `Unusable` with the first invalid line."""
    path = folder / "sales_pipeline.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := COLUMNS - set(rows.fieldnames or ()):
                raise Unusable(f"{path} has no column {', '.join(sorted(missing))}")
            return [_opportunity(row, f"{path}:{rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unusable(f"{path} cannot be read: {error}") from None


def _opportunity(row: dict[str, str], where: str) -> Opportunity:
    try:
        return Opportunity(
            id=row["opportunity_id"],
            agent=re.sub(r"[^0-9A-Za-z]+", "-", row["sales_agent"]).lower(),
            name=row["account"] or f"Prospect for {row['product']}",
            product=row["product"],
            stage=row["deal_stage"],
            engaged=_day(row["engage_date"]),
            closed=_day(row["close_date"]),
        )
    except (ValueError, TypeError, AttributeError):
        raise Unusable(f"{where} is not an opportunity: dates are written DD-MM-YYYY") from None


def _day(text: str) -> date | None:
    return datetime.strptime(text, "%d-%m-%Y").date() if text else None  # noqa: DTZ007 - a day has no zone


def actions(pipeline: Sequence[Opportunity]) -> list[Action]:
    """Return all claims and releases in date order."""
    planned = []
    for each in pipeline:
        if each.engaged is not None:
            planned.append(Action(each.engaged, 0, each.agent, "claim", each.id))
        if each.closed is not None and each.stage == "Lost":
            planned.append(Action(each.closed, 1, each.agent, "release", each.id))
    return sorted(planned, key=lambda action: (action.day, action.order))


class Replay:
    """One replay into one new pool."""

    def __init__(self, url: str, keys: LocalKeys, pool: str, pipeline: Sequence[Opportunity]) -> None:
        self.pool, self.pipeline = f"/v1/pools/{pool}", pipeline
        self.agents = sorted({each.agent for each in pipeline})
        self.clients = {name: Client(url, keys.token(name)) for name in [*self.agents, "manager"]}
        self.manager = self.clients["manager"]
        admin = Client(url, keys.token("root", ["admin"]))
        admin.must("POST", "/v1/pools", {"id": pool, "name": "Replay"})
        admin.must("PUT", f"{self.pool}/members/manager", {"role": "manager"})
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def fill(self) -> None:
        for agent in self.agents:
            self.manager.must("PUT", f"{self.pool}/members/{agent}", {"role": "member"})
        rows = [
            {"id": each.id, "name": each.name, "fields": {"product": each.product, "stage": each.stage}}
            for each in self.pipeline
        ]
        for start in track(range(0, len(rows), 100), "import", console=Console(stderr=True)):
            answer = self.manager.must("POST", f"{self.pool}/import", {"rows": rows[start : start + 100]})
            for result in answer["results"]:
                self.outcomes["import", "ok" if result["ok"] else result["code"]] += 1

    def play(self) -> float:
        """Play all actions, day by day, with concurrent agents. Return the seconds it took."""
        started = time.monotonic()
        planned = actions(self.pipeline)
        with Progress(console=Console(stderr=True)) as bar, ThreadPoolExecutor(AGENTS_AT_ONCE) as workers:
            played = bar.add_task("play", total=len(planned))
            for _, day in groupby(planned, key=lambda action: action.day):
                by_agent: dict[str, list[Action]] = {}
                for action in day:
                    by_agent.setdefault(action.agent, []).append(action)
                for outcomes in workers.map(self._actions_of_one, by_agent.values()):
                    self.outcomes.update(outcomes)
                    bar.advance(played, len(outcomes))
        return time.monotonic() - started

    def _actions_of_one(self, mine: Sequence[Action]) -> list[tuple[str, str]]:
        outcomes = []
        for action in mine:
            reply = self.clients[action.agent].call("POST", f"{self.pool}/customers/{action.customer}/{action.verb}")
            outcomes.append((action.verb, "ok" if reply.status == 200 else reply.code))
        return outcomes

    def drift(self) -> list[str]:
        """Return one line for each member whose counter, customers and file differ."""
        expected = Counter(each.agent for each in self.pipeline if each.kept)
        counted = {each["user_id"]: each["held"] for each in self._list("members?limit=100")}
        held = Counter(each["holder"] for each in self._list("customers?state=claimed&limit=100"))
        return [
            f"{agent}: counter {counted[agent]}, customers {held[agent]}, file {expected[agent]}"
            for agent in self.agents
            if not counted[agent] == held[agent] == expected[agent]
        ]

    def _list(self, path: str) -> Iterator[dict[str, Any]]:
        cursor = ""
        while True:
            page = self.manager.must("GET", f"{self.pool}/{path}{cursor}")
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"


def report(replay: Replay, seconds: float, drift: Sequence[str]) -> str:
    played = {key: count for key, count in replay.outcomes.items() if key[0] != "import"}
    refused = sum(count for (_, code), count in played.items() if code != "ok")
    lines = [f"{verb:10}{code:22}{count:>8,}" for (verb, code), count in sorted(replay.outcomes.items())]
    lines += [
        f"{'refused':32}{refused:>8,}",
        f"{'requests/s':32}{sum(played.values()) / seconds:>8,.0f}",
        f"{'members audited':32}{len(replay.agents):>8,}",
        f"{'members with drift':32}{len(drift):>8,}",
    ]
    return "\n".join([*lines, *drift])


def main() -> int:
    if len(sys.argv) != 2:
        raise Unusable("Name the data: make replay DATA=<folder>")
    pipeline = read_pipeline(Path(sys.argv[1]))
    with ExitStack() as running:
        url, keys = _service(running, os.environ.get("URL"))
        replay = Replay(url, keys, f"replay-{int(time.time())}", pipeline)
        replay.fill()
        seconds = replay.play()
        drift = replay.drift()
        print(report(replay, seconds, drift))
    return 1 if drift else 0


def _service(running: ExitStack, url: str | None) -> tuple[str, LocalKeys]:
    """Return the address and keys of the running service at `url`, or of a new one that stores nothing."""
    if url:
        return url.rstrip("/"), LocalKeys().ensure()
    folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
    engine = running.enter_context(MiniStack())
    keys = LocalKeys(folder).ensure()
    return running.enter_context(LocalApi(load_app(engine.endpoint, keys).app)).url, keys


if __name__ == "__main__":
    run_tool(main)
