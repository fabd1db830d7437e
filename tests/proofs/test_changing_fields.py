"""Definitions of fields change in random order, while two processes write customers and the schedule has little time.

The model is a dictionary of customers. Without a change at work, filters and refusals are exactly those of the
definitions. Meanwhile a filter waits, and a value is refused only if another customer has it. The audit of the table
follows each step.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from chalicelib.dynamodb import keys, pool_items
from chalicelib.services import field_job, search_rows
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.memory import Memory, memory_table
from tests.support.world import MINUTE, SECOND, World

MOST, VALUES = 5, ["1", "2", "3", " 1", None]
NO_TIME = MIN_SECONDS_LEFT - 1


def field(key: str, kind: str = "text", **flags: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key, "zh": key}, "type": kind} | flags


DEFINITIONS = [
    [field("tax", unique=True), field("city", filter=True)],
    [field("tax", "number", unique=True), field("city", list=True)],
    [field("tax", filter=True), field("city", "phone", search=True)],
    [field("tax", unique=True, filter=True)],
    [field("tax", "phone", list=True), field("city", unique=True, search=True)],
]


class Play:
    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.world = World(memory_table(Memory()))
        self.world.pool(fields=[field("remark")])
        self.processes = [self.world.service, self.world.another_process()]
        self.customers: dict[str, dict[str, Any]] = {}
        self.created = 0

    def step(self) -> None:
        self.world.service = self.source.choice(self.processes)
        often = [self.create, self.edit, self.edit, self.forward, self.forward, self.round, self.round, self.round]
        steps = [
            *often,
            self.erase,
            self.claim,
            *([] if self.stored().fields_since else [self.define] * 3),
            self.define,
        ]
        self.source.choice(steps)()
        assert_sound(self.world.table, now=self.world.clock.now)
        self.compare()
        tally.count("steps of the model")

    # What may happen

    def values(self) -> dict[str, Any]:
        return {
            key: self.source.choice(VALUES) for key in self.source.sample(["tax", "city"], self.source.choice([1, 2]))
        }

    def create(self) -> None:
        fields = {key: value for key, value in self.values().items() if value is not None}
        if len(self.customers) < MOST:
            self.created += 1
            name = f"c{self.created}"
            if self.written(self.world.mona.create(name, fields=fields, on_duplicate="allow"), name, {}, fields):
                self.customers[name] = fields

    def edit(self) -> None:
        name, given = self.one(), self.values()
        known = self.customers.get(name, {})
        after = {key: value for key, value in (known | given).items() if value is not None}
        if known and self.written(self.world.mona.patch(f"/customers/{name}", {"fields": given}), name, known, after):
            self.customers[name] = after

    def one(self) -> str:
        return self.source.choice(sorted(self.customers) or ["c0"])

    def written(self, reply: Any, name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Return whether the values were written. A refusal must have a reason, and be there where it has one."""
        stored = self.stored()
        unique = [key for key in stored.definitions.unique if key in after and before.get(key) != after[key]]
        others = [each for at, each in self.customers.items() if at != name]
        taken = any(same(each.get(key), after[key]) for each in others for key in unique)
        assert reply.status < 300 or (reply.code == "duplicate_customer" and taken), reply.text
        assert reply.status >= 300 or not taken or stored.fields_since is not None, f"{name} has a value of another"
        return bool(reply.status < 300)

    def erase(self) -> None:
        name, body = self.one(), {"reason": "requested", "force": True}
        erased = self.world.mona.post(f"/customers/{name}/erase", body).status == 200
        assert erased == (self.customers.pop(name, None) is not None)

    def claim(self) -> None:
        self.world.alice.claim(self.one())

    def define(self) -> None:
        fields = self.source.choice(DEFINITIONS)
        etag = self.world.mona.get().headers["ETag"]
        assert self.world.mona.patch("", {"fields": fields}, if_match=etag).status == 200
        for process in self.processes:  # every process has reloaded the pool
            process.backend.pools.clear()

    def forward(self) -> None:
        self.world.clock.forward(self.source.choice([SECOND, MINUTE // 2, MINUTE]))

    def round(self) -> None:
        if self.source.random() < 0.3:
            self.world.sweep()
            return
        backend, pool = self.source.choice(self.processes).backend, self.stored()
        if search_rows.continue_indexing(backend.table, pool, self.world.clock(), lambda: NO_TIME):
            field_job.continue_job(backend, pool, self.world.clock(), lambda: NO_TIME, per_page=2)

    # What must be

    def stored(self) -> Any:
        key = keys.pool_key("main", "p")
        return pool_items.pool_record("main", self.world.table.get([key])[key])

    def compare(self) -> None:
        stored = self.stored()
        for process in self.processes:
            process.backend.pools.clear()
        for key, each in stored.definitions.by_key.items():
            if each.filter:
                reply = self.world.mona.get(f"/customers?filter={key}:1")
                expected = sorted(at for at, fields in self.customers.items() if str(fields.get(key)).strip() == "1")
                waits = key in stored.fields_changing
                assert (reply.code == "request_in_progress") if waits else (sorted(reply.ids) == expected), key
        for at, fields in self.customers.items():
            assert self.world.mona.customer(at)["fields"] == fields


def same(one: Any, other: Any) -> bool:
    return one is not None and other is not None and str(one).strip() == str(other).strip()


@pytest.mark.parametrize("seed", range(12))
def test_fields_that_change_in_random_order_leave_customers_of_the_last_definitions(seed: int) -> None:
    play = Play(seed)

    for _ in range(80):
        play.step()
    play.world.finish_field_changes()

    assert play.stored().fields_since is None
    assert_sound(play.world.table, now=play.world.clock.now)
    play.compare()
