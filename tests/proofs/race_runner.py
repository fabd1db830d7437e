"""Define a race and run it. The races are in `races_of_…`; `races` lists them.

An arena runs one race in schedule after schedule, each time from the world as it was set up, and asserts all that must
be true afterwards. It knows none of the races.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec

from chalicelib.dynamodb.items import deserialize_item, event_page_record, recent_events_record
from chalicelib.dynamodb.table import Table
from tests.proofs.schedules import Run, Tape, park, run
from tests.support.audit import assert_sound
from tests.support.memory import Items, Memory, memory_table
from tests.support.world import Clock, Reply, World, everything

Memories = Literal["cold", "warm", "shared"]
Request = Callable[[World], Any]  # is given a world with a process of its own
Shape = tuple[str, ...]


@dataclass(frozen=True)
class Race:
    """`requests` is what each worker does. `check` asserts what this race requires of the world and the results.
    `serial`: the result must be that of some order. `cached` are the customers that a warm process has read before.
    """

    requests: Sequence[Request]
    check: Callable[[World, list[Any]], None] = lambda world, results: None
    serial: bool = True
    cached: Sequence[str] = ("c1",)


_LOGS = re.compile("#[KI]#|#L$")  # import logs, the log of changes, and idempotency records
CHECK = ("due", "due_at", "moved_at")  # of a pool, in the schedule
_TOTALS = re.compile(r'"totals":\{[^}]*\},?')

SetUp = Callable[[World], Race]
registered: list[SetUp] = []  # by whatever has been imported: all there are is `races.RACES`


def race(set_up: SetUp) -> SetUp:
    registered.append(set_up)
    return set_up


class Arena:
    """One prepared race that can be run repeatedly: `memories` states what the processes have cached at the start."""

    def __init__(self, set_up: SetUp, memories: Memories = "cold", kind: type[Table] = Table) -> None:
        self.name = set_up.__name__
        self.engine = Memory()
        self.table = memory_table(self.engine, kind)
        world = World(memory_table(self.engine))
        self.race, self.memories = set_up(world), memories
        self.start: Items = dict(self.engine.items)
        self.now = world.clock.now
        self.last: Shape = ()
        self._orders: set[Shape] | None = None

    def run(self, tape: Tape, *, torn: bool = False) -> Run:
        """Run that schedule and check its result."""
        (world, jobs), ran = self._begin(), Run()
        try:
            self._run(jobs, tape, ran, torn)
            self._check(world, ran.results)
        except Exception as error:
            error.add_note(f"in the schedule {ran.description()}")
            error.add_note(f"to play it again: {self._again(ran, torn)}")
            raise
        return ran

    def _run(self, jobs: Sequence[Callable[[], Any]], tape: Tape, ran: Run, torn: bool) -> None:
        self.engine.before, self.engine.torn = park, torn
        try:
            run(jobs, tape, ran)
        finally:
            self.engine.before, self.engine.torn = lambda call: None, False

    def _again(self, ran: Run, torn: bool) -> str:
        """Return the command that replays this schedule."""
        turns = "".join(map(str, ran.turns)).rstrip("0") or "0"
        return (
            f".venv/bin/python -m tests.proofs.replay {self.name} {self.memories} {'torn' if torn else 'whole'} {turns}"
        )

    def _check(self, world: World, results: list[Any]) -> None:
        shape = shape_of(results, self.table)
        self.last = shape
        assert_sound(self.table)
        self.race.check(world, results)
        if self.race.serial:
            assert shape in self._serial(), f"no order of the requests comes to this: {shape}"

    def _begin(self) -> tuple[World, list[Callable[[], Any]]]:
        self.engine.load(self.start)
        world = with_new_ids(World(self.table, Clock(self.now)))
        processes = [process(world, self.memories) for _ in self.race.requests]
        if self.memories == "warm":
            for each in processes:
                for customer in self.race.cached:
                    each.user("mona").get(f"/customers/{customer}")
        return world, [partial(request, its) for request, its in zip(self.race.requests, processes, strict=True)]

    def _serial(self) -> set[Shape]:
        """Return the results of the requests one after the other, in every order."""
        if self._orders is None:
            self._orders = {self._in_order(order) for order in itertools.permutations(range(len(self.race.requests)))}
        return self._orders

    def _in_order(self, order: Sequence[int]) -> Shape:
        _, jobs = self._begin()
        results = {number: jobs[number]() for number in order}
        return shape_of([results[number] for number in range(len(jobs))], self.table)


def shape_of(results: Sequence[Any], table: Table) -> Shape:
    """Return responses and items, except idempotency records and logs, with new ids replaced.

    The totals of a pool are left out: they may be older than the rest of the answer. So is its next check, which may
    be earlier than it has to be; `assert_sound` requires that it is early enough.
    """
    answers = [
        f"{each.status} {_TOTALS.sub('', each.text)}" if isinstance(each, Reply) else str(each) for each in results
    ]
    items = [item for item in everything(table) if not _LOGS.search(item["pk"]["S"])]
    stored = [json.dumps(_readable(item), sort_keys=True) for item in items]
    return (*map(_unnamed, answers), *sorted(map(_unnamed, stored)))


def _readable(item: Any) -> Any:
    """Return the attributes as text, with the events unpacked, since these contain new ids."""
    packed = {"tail": recent_events_record, "events": event_page_record}
    unpacked = {name: msgspec.json.encode(read(item)).decode() for name, read in packed.items() if name in item}
    check = CHECK if item["pk"]["S"].endswith("#POOLS") else ()
    return {name: str(content) for name, content in (deserialize_item(item) | unpacked).items() if name not in check}


def _unnamed(text: str) -> str:
    return re.sub(r"\b(new)?\d{6}\b", "#", text)


def with_new_ids(world: World) -> World:
    """Return that world with new ids that differ from those created during the set-up."""
    generated_id = itertools.count(1)
    world.new_id = lambda: f"new{next(generated_id):06d}"
    world.service = world.another_process()
    return world


def process(world: World, memories: Memories = "cold") -> World:
    """Return the world with a process that has its own cache, or the shared one."""
    other = copy.copy(world)
    other.service = world.service if memories == "shared" else world.another_process()
    return other


def earlier(ms: int, request: Request) -> Request:
    """Return the request as a process sends it whose clock is behind by that much."""

    def send(world: World) -> Any:
        world.clock = Clock(world.clock.now - ms)
        world.service = type(world.service)(world.service.backend, world.clock)
        return request(world)

    return send


def codes(results: Sequence[Any]) -> list[str]:
    return sorted("ok" if reply.status in (200, 201) else reply.code for reply in results)


def run_sweep(world: World) -> int:
    """Run one scheduled sweep. Return how many customers failed."""
    return world.sweep().failed


def request_by(user: str, method: str, path: str, body: Any = None, **headers: str) -> Request:
    """Return a request of that user; root is an admin."""
    return lambda world: world.user(user, admin=user == "root").request(method, path, body, **headers)
