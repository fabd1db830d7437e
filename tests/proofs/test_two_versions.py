"""Two versions of the service write in turn to one table, with every verb, and nothing is lost (I11).

The next version is `tests.support.next_version`. Each operation runs in a world in which the versions answered in turn
so far: once the present version answers it, once the next one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.api.handler import Service
from chalicelib.api.routing import Route
from chalicelib.dynamodb.table import Table
from tests.proofs.operations import OPERATIONS, Operation
from tests.support.audit import assert_sound
from tests.support.memory import Memory, memory_table
from tests.support.next_version import VISITED, NextTable, lost, stamp
from tests.support.world import Reply, World, everything

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


class InTurn(World):
    """A world in which a new process answers each request: the present version, then the next one, and so on."""

    def __init__(self, present: Table, following: Table) -> None:
        self.turns = itertools.cycle([present, following])
        self.single: Table | None = None
        super().__init__(present)

    def another_process(self) -> Service:
        self.table = self.single or next(self.turns)
        return super().another_process()

    def call(
        self,
        route: Route,
        parameters: dict[str, str],
        caller: Any,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
    ) -> Reply:
        self.service = self.another_process()
        return super().call(route, parameters, caller, path, content, headers)

    def check(self, route: Route, content: bytes, reply: dict[str, Any]) -> None:
        """The next version's document has its type of events too."""
        known = reply["body"].replace(f'"type":"{VISITED}"', '"type":"updated"')
        super().check(route, content, reply | {"body": known})


def two_versions(operation: Operation) -> tuple[InTurn, Table, NextTable]:
    """Return the world of the operation, made by both versions in turn and then written by the next one."""
    engine = Memory()
    present, following = memory_table(engine), memory_table(engine, NextTable)
    world = InTurn(present, following)
    operation.set_up(world)
    assert isinstance(following, NextTable)
    stamp(world, following)
    return world, present, following


@every_operation
def test_the_present_version_loses_nothing_of_the_next_one(operation: Operation) -> None:
    world, present, following = two_versions(operation)
    before = list(everything(present))

    world.single = present
    done = operation.send(world, "k")
    after = list(everything(present))
    world.single = following
    again = operation.send(world, "k")

    assert done.status in (200, 201), done.text
    assert lost(before, after) == []
    assert (again.status, again.text) == (done.status, done.text)
    assert again.headers.get("Idempotent-Replayed") == "true"
    assert_sound(present, later_types=[VISITED])


@every_operation
def test_the_present_version_goes_on_where_the_next_one_has_stopped(operation: Operation) -> None:
    world, present, following = two_versions(operation)

    world.single = following
    done = operation.send(world, "k")
    before = list(everything(present))
    world.single = present
    again = operation.send(world, "k")
    swept, audited = world.run_schedule(), world.root.request("POST", "/v1/audit", {"repair": True})

    assert done.status in (200, 201), done.text
    assert (again.status, again.text) == (done.status, done.text)
    assert swept.failed == 0 and audited.json["drift"] == []
    assert lost(before, list(everything(present))) == []
    assert_sound(present, later_types=[VISITED])
