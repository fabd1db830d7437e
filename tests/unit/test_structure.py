"""The way of a claim through the modules, as the picture of the house shows it: followed by walking it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from chalicelib.dynamodb.table import Table
from tests.support.world import Reply, World
from tools.docs.pictures import WAY_OF_A_CLAIM

OURS = "chalicelib."


def followed(ask: Callable[[], Reply]) -> tuple[Reply, set[str]]:
    """What came of it, and every module of the service in which a function was called on the way."""
    passed = set()

    def step(frame: FrameType, event: str, argument: Any) -> None:
        name = str(frame.f_globals.get("__name__"))
        if event == "call" and name.startswith(OURS):
            passed.add(name.removeprefix(OURS))

    sys.setprofile(step)
    try:
        return ask(), passed
    finally:
        sys.setprofile(None)


def test_a_claim_runs_through_exactly_the_modules_the_picture_marks(real_table: Table) -> None:
    world = World(real_table)
    world.pool(claim_ttl="P7D", holding_limit=5)
    world.fill(1)

    done, way = followed(lambda: world.user("alice").claim("c1", idempotency_key="k"))
    refused, way_of_a_refusal = followed(lambda: world.user("bob").claim("c1", idempotency_key="k"))

    marked = {module for modules in WAY_OF_A_CLAIM.values() for module in modules}
    assert (done.status, refused.status) == (200, 409)
    assert way | way_of_a_refusal == marked
