"""A quick start, and the production dependencies: service, verifier, clock and ids. Tests pass their own.

Three measures shorten a cold start. Garbage is not collected while the service is imported: there is almost none, and
looking for it takes 5 % of the time. And `app.py` imports botocore first, at a shallow stack: a call across the end of
one of Python's stack chunks costs two system calls. Deep in an import chain, the regular expressions of botocore made
5,000 of them. Time zones come from the package tzdata alone: for the path of the system's zones, `zoneinfo` would read
Python's build configuration, which takes 5 ms. Hence this module imports the service late.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.api.auth import Verifier
    from chalicelib.api.handler import Service
    from chalicelib.config import Config
    from chalicelib.dynamodb.table import Table
    from chalicelib.events.publisher import SetAside
    from chalicelib.services.fan_out import Invoke


def begin_start() -> None:
    refuse_chalice_deploy()
    gc.disable()
    os.environ.setdefault("PYTHONTZPATH", "")


def refuse_chalice_deploy() -> None:
    """End `chalice deploy`, which would deploy the functions without the table and all else of infra/template.yaml."""
    command = next((word for word in sys.argv[1:] if word in ("deploy", "package", "local")), None)
    if "AWS_CHALICE_CLI_MODE" in os.environ and command == "deploy":
        raise SystemExit(
            "Use `make deploy STAGE=dev`: `chalice deploy` leaves out the table (docs/operations.md, Deploying)"
        )


def reseed_restored() -> None:
    """Give each process that Lambda restores from a SnapStart snapshot random numbers of its own."""
    try:
        from snapshot_restore_py import register_after_restore  # a part of Lambda's Python from 3.12 on
    except ImportError:
        return
    register_after_restore(random.seed)


def end_start() -> None:
    reseed_restored()
    gc.freeze()  # loaded modules stay: exclude them from later collections
    gc.enable()


def clock() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a random id that cannot be guessed."""
    return uuid.uuid4().hex


def table(settings: Config) -> Table:
    from chalicelib.dynamodb.table import Table

    return Table(
        settings.table, new_id=new_id, jitter=random.random, endpoint=settings.endpoint, region=settings.region
    )


# Created by the first request or event, so that importing the app connects to nothing.


@cache
def service(settings: Config) -> Service:
    from chalicelib.api.handler import Service
    from chalicelib.dynamodb.sharded_query import run_concurrently
    from chalicelib.model.contact_keys import KeySecret
    from chalicelib.transactions.context import Backend

    secret = KeySecret(settings.key_version, settings.key_secret)
    return Service(Backend(table(settings), new_id, random.sample, secret, run_concurrently), clock)


@cache
def verifier(settings: Config) -> Verifier:
    from chalicelib.api.auth import Verifier

    return Verifier(settings.key_set, settings.issuer, settings.audience, clients=settings.clients)


@cache
def bus(settings: Config) -> Any:
    from chalicelib.events import publisher  # only one function publishes

    return publisher.connect(settings.region)


def invoke(settings: Config, function: str) -> Invoke | None:
    """Return what invokes the function without waiting for it; None if the setting is off."""
    if not settings.fan_out:
        return None
    return lambda event: _lambda_client(settings).invoke(
        FunctionName=function, InvocationType="Event", Payload=json.dumps(event)
    )


@cache
def _lambda_client(settings: Config) -> Any:
    from chalicelib.events.dead_letters import connect

    return connect("lambda", settings.region)


@cache
def set_aside(settings: Config) -> SetAside:
    """Return what takes malformed stream records; without a queue, they are only logged."""
    from chalicelib.events.dead_letters import UNKNOWN, DeadLetters, connect

    if not settings.failed_events:
        return lambda record: UNKNOWN
    return DeadLetters(settings.failed_events, lambda name: connect(name, settings.region)).send
