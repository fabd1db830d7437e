"""The work of the processor in one warm claim, from the gateway's event to the response, against plain boto3 making
the very same transaction.

The two alternate in blocks in one thread, against an engine that agrees to everything: what is counted is the work of
that thread alone. Ours includes what boto3's has no part in: authorisation context, validation, rules, the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from statistics import median
from time import thread_time
from typing import Any

import boto3

from benchmarks.cold_start import POOL, event_of
from benchmarks.responder import responder
from benchmarks.rows import Place, Row
from chalicelib.api.handler import Service
from chalicelib.dynamodb.table import Table
from chalicelib.transactions.context import Backend
from tests.support.engine import hooked
from tests.support.world import World
from tools.local.service import REGION

BLOCKS, BLOCK = 190, 10  # together no more customers than a process keeps copies of
POLICY = {"holding_limit": 5000, "daily_claim_limit": 50_000, "claim_ttl": "P30D"}


def rows(place: Place) -> Iterator[Row]:
    world = place.world()
    world.pool(POOL, **POLICY)
    ids = world.fill(BLOCKS * BLOCK, POOL)
    for _ in world.user("alice", pool=POOL).pages("/customers"):
        """Now there is a copy of each."""
    with responder() as address:
        answer = service_at(world, address)
        sent = _transaction(world, answer, ids[0])
        client = boto3.client("dynamodb", endpoint_url=address, region_name=REGION)
        ours, theirs = _alternating(
            lambda number: answer(ids[number]), lambda: client.transact_write_items(TransactItems=sent)
        )
    name = "work of a warm claim, against boto3 writing its transaction"
    yield Row(name, ours * 1e6, theirs * 1e6, bound=1.0, unit="µs")


def service_at(world: World, address: str) -> Callable[..., None]:
    """Claims a customer as alice, or does another verb, through the app. The engine that agrees takes the place of
    the one that knew."""
    import app

    known = world.service.backend
    table = Table(known.table.name, new_id=world.new_id, jitter=lambda: 0.0, endpoint=address, region=REGION)
    backend = Backend(table, world.new_id, known.sample)
    backend.customer_cache, backend.pools = known.customer_cache, known.pools
    world.table = table
    made = Service(backend, world.clock)
    app.service = lambda: made

    def answer(customer: str, verb: str = "claim") -> None:
        told = app.app(event_of(customer, verb), None)
        assert told["statusCode"] == 200, told

    return answer


def _transaction(world: World, answer: Callable[[str], None], customer: str) -> list[dict[str, Any]]:
    """What a claim sends."""
    bodies = []
    with hooked(world, "before-send.dynamodb", lambda request, **_: bodies.append(request.body)):
        answer(customer)
    (body,) = bodies
    return list(json.loads(body)["TransactItems"])


def _alternating(claim: Callable[[int], None], write: Callable[[], None]) -> tuple[float, float]:
    """The seconds of one call of each, medians of blocks."""
    ours, theirs = [], []
    for block in range(BLOCKS):
        started = thread_time()
        for number in range(BLOCK):
            claim(block * BLOCK + number)
        between = thread_time()
        for _ in range(BLOCK):
            write()
        ours.append((between - started) / BLOCK)
        theirs.append((thread_time() - between) / BLOCK)
    return median(ours[10:]), median(theirs[10:])
