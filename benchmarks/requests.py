"""How many requests of the engine each verb makes. Counted, so the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Place, Row
from tests.support.engine import counted
from tests.support.world import World


def rows(place: Place) -> Iterator[Row]:
    yield from _single(place.world())
    yield from _batch(place.world())


def _single(world: World) -> Iterator[Row]:
    world.pool(holding_limit=5, daily_claim_limit=50, claim_ttl="P7D")
    world.fill(1)
    alice = world.user("alice")
    for verb in ("claim", "release"):
        with counted(world) as made:
            assert alice.post(f"/customers/c1/{verb}").status == 200
        yield Row(f"requests of a warm {verb}", made.total(), bound=1)


def _batch(world: World) -> Iterator[Row]:
    world.pool()
    ids = world.fill(100)
    mine, world.service = world.service, world.another_process()
    world.user("bob").claim_batch(ids[::3][:30])
    world.service = mine
    with counted(world) as made:
        assert world.user("alice").claim_batch(ids).json["summary"]["ok"] == 70
    yield Row("requests of a batch of 100 with 30 held by others", made.total(), bound=6)
