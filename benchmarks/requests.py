"""The number of DynamoDB requests of each operation: the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, Target
from tests.support.dynamodb_calls import counted
from tests.support.world import World


def rows(target: Target) -> Iterator[Row]:
    yield from _single(target.world())
    yield from _batch(target.world())


def _single(world: World) -> Iterator[Row]:
    world.pool(holding_limit=5, daily_claim_limit=50, claim_ttl="P7D")
    world.fill(1)
    alice = world.user("alice")
    for verb in ("claim", "release"):
        with counted(world) as requests:
            assert alice.post(f"/customers/c1/{verb}").status == 200
        yield Row(f"requests of a warm {verb}", requests.total(), bound=1)


def _batch(world: World) -> Iterator[Row]:
    world.pool()
    ids = world.fill(100)
    own, world.service = world.service, world.another_process()
    world.user("bob").claim_batch(ids[::3][:30])
    world.service = own
    with counted(world) as requests:
        assert world.user("alice").claim_batch(ids).json["summary"]["ok"] == 70
    yield Row("requests of a batch of 100 with 30 held by others", requests.total(), bound=6)
