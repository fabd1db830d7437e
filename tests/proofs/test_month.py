"""A month in the life of two pools: everything that people do, in an order that nobody has thought of.

Refusals included. At the end the service's statistics, its audit, and the invariants over the whole table have to agree
with what the script saw succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.invariants import replayed
from chalicelib.model.model import Event
from tests.proofs.month import DEEDS, WHILE_PAUSED, Month, ms
from tests.support.audit import assert_sound
from tests.support.fixed_clock_service import Wire
from tests.support.world import DAY, World
from tools.local.fixed_clock_service import front
from tools.local.gateway import LocalApi
from tools.local.keys import LocalKeys

pytestmark = pytest.mark.slow

DAYS, DEEDS_A_DAY = 30, 36
REPLAYED = 20
HAPPENS = (
    "entered", "claimed", "released", "follow-up", "extend", "pin", "unpin", "win", "assigned", "transferred",
    "converted", "restored",
)  # fmt: skip


@pytest.fixture
def month(threaded: World, tmp_path: Path) -> Iterator[Month]:
    keys = LocalKeys(tmp_path).ensure()
    with LocalApi(front(threaded.service, keys)) as api:
        yield Month(threaded, Wire(api.url), keys)


def test_a_simulated_month_leaves_every_count_correct(month: Month) -> None:
    live(month)

    assert [deed for deed in HAPPENS if month.did["p", deed] < 5] == []
    for pool in ("p", "q"):
        assert_statistics(month, pool)
    for customer in month.draw.sample(sorted(month.seen), REPLAYED):
        assert_replays(month, customer)

    report = month.must("root", "POST", "/audit", {})
    assert (report["drift"], report["complete"]) == ([], True)
    assert_sound(month.world.table)
    print(f"\n{month.wire.requests} requests", dict(month.wire.refusals), dict(month.did), report, sep="\n")


def live(month: Month) -> None:
    """Thirty days, the first one a Monday."""
    morning, paused = month.world.clock.now, dict[str, Any]()
    happens: dict[int, Callable[[], Any]] = {
        6: lambda: paused.update(month.pause()),
        8: lambda: month.resume(paused),
        10: lambda: month.leave("m20", "release"),
        12: lambda: month.leave("m19", "transfer"),
        13: lambda: month.come("m20", "m21", "m22"),
        15: month.close,
        16: lambda: month.must("root", "POST", "/pools/q/open"),
        19: month.held_back,
        23: lambda: month.change_policy(claim_ttl="P5D", holding_limit=16),
    }
    month.begin()
    for day in range(1, DAYS + 1):
        happens.get(day, lambda: None)()
        month.day(WHILE_PAUSED if day in (6, 7) else DEEDS, 10 if day in (6, 7) else DEEDS_A_DAY)
        month.bring_in(5, 4)
        month.sweep()
        month.nobody_is_above_a_limit()
        month.world.clock.now = max(month.world.clock.now, morning + day * DAY)
    month.sweep(confirm=True)


def assert_statistics(month: Month, pool: str) -> None:
    """They are what the script saw succeed; what began a claim has ended it, or it goes on."""
    stats = month.must("mona", "GET", f"/pools/{pool}/stats?from=2026-06-01&to=2026-07-02")
    told = stats["totals"]
    seen = {"entered": "entered", "claimed": "claimed", "released": "released", "won": "win"}
    assert {kind: told[kind] for kind in seen} == {kind: month.did[pool, deed] for kind, deed in seen.items()}
    ended = told["expired"] + told["released"] + told["won"] + month.did[pool, "converted"]
    assert told["claimed"] + month.did[pool, "assigned"] == ended + stats["now"]["claimed"]
    for state, count in stats["now"].items():
        assert len(month.everything("mona", f"/pools/{pool}/customers?state={state}")) == count


def assert_replays(month: Month, customer: str) -> None:
    """Its history, as anybody may read it, leads to where it is."""
    pool = month.seen[customer]["pool_id"]
    shown = month.must("mona", "GET", f"/pools/{pool}/customers/{customer}")
    told = month.everything("mona", f"/pools/{pool}/customers/{customer}/history")
    events = [
        Event(**{name: each[name] for name in Event.__struct_fields__ if name in each}
              | {"at": ms(each["at"]), "expires_at": ms(each["expires_at"])})
        for each in told
    ]  # fmt: skip

    assert [event.seq for event in events] == list(range(1, shown["version"] + 1))
    assert replayed(events) == (shown["state"], shown["holder"], shown["claim_id"], ms(shown["expires_at"]))
