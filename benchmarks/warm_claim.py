"""The CPU time of one warm claim, from event to response, compared with plain boto3 writing the same transaction.

Both alternate in blocks in one thread, with a server that accepts everything; only the CPU time of this thread counts.
The claim includes work that boto3 does not do: authorization context, validation, rules and the response.
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
from benchmarks.rows import Row, Target
from chalicelib.api.handler import Service
from chalicelib.dynamodb.table import Table
from chalicelib.transactions.context import Backend
from tests.support.dynamodb_calls import hooked
from tests.support.world import World
from tools.local.service import REGION

BLOCKS, BLOCK = 190, 10  # together no more customers than a process caches
POLICY: dict[str, Any] = {"holding_limit": 5000, "daily_claim_limit": 50_000, "claim_ttl": "P30D"}


def rows(target: Target) -> Iterator[Row]:
    world = target.world()
    world.pool(POOL, **POLICY)
    ids = world.fill(BLOCKS * BLOCK, POOL)
    for _ in world.user("alice", pool=POOL).pages("/customers"):
        """Read every page, so that each customer is cached."""
    with responder() as address:
        request = service_at(world, address)
        sent = _transaction(world, request, ids[0])
        client = boto3.client("dynamodb", endpoint_url=address, region_name=REGION)
        ours, theirs = _alternating(
            lambda number: request(ids[number]), lambda: client.transact_write_items(TransactItems=sent)
        )
    name = "CPU time of a warm claim, compared with boto3 writing its transaction"
    yield Row(name, ours * 1e6, theirs * 1e6, bound=1.0, unit="µs")


def service_at(world: World, address: str) -> Callable[..., None]:
    """Return a function that sends alice's claim, or another operation, through the app to the server at `address`.

    The new backend shares the filled cache of the world's own one.
    """
    import app

    known = world.service.backend
    table = Table(known.table.name, new_id=world.new_id, jitter=lambda: 0.0, endpoint=address, region=REGION)
    backend = Backend(table, world.new_id, known.sample, known.secret)
    backend.customer_cache, backend.pools = known.customer_cache, known.pools
    world.table = table
    service = Service(backend, world.clock)
    app.service = lambda: service  # type: ignore[assignment]

    def request(customer: str, verb: str = "claim") -> None:
        response = app.app(event_of(customer, verb), None)
        assert response["statusCode"] == 200, response

    return request


def _transaction(world: World, claim: Callable[[str], None], customer: str) -> list[dict[str, Any]]:
    """Return the transaction that a claim sends."""
    bodies = []
    with hooked(world, "before-send.dynamodb", lambda request, **_: bodies.append(request.body)):
        claim(customer)
    (body,) = bodies
    return list(json.loads(body)["TransactItems"])


def _alternating(claim: Callable[[int], None], write: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of one call of each: the medians of the blocks."""
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
