"""The service assembled on this machine: its environment, its table and its schedule, on a given engine.

Used by `make run`, and by tests that want the whole of it. The service reads its environment when it is imported, so
`load_app` sets it first.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from chalice.local import LambdaContext

from tools.local.keys import LocalKeys
from tools.local.repeating import Repeating
from tools.paths import PROJECT
from tools.problems import Unusable

ENVIRONMENT = PROJECT / ".chalice" / "local.env"
REGION = "us-east-1"
TABLE = "customer-pool"
SWEEP_EVERY = 60.0  # seconds, as the schedule in app.py says
SWEEP_WITHIN = 60_000  # milliseconds that one run may take, as a Lambda would have

logger = logging.getLogger("local.schedule")


def local_environment(endpoint: str, keys: LocalKeys) -> dict[str, str]:
    """Return the variables of `.chalice/local.env`, for the DynamoDB at `endpoint` and those keys."""
    lines = ENVIRONMENT.read_text(encoding="utf-8").splitlines()
    documented = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return documented | {"DYNAMODB_ENDPOINT": endpoint, "JWKS": str(keys.jwks)}


def load_app(endpoint: str, keys: LocalKeys) -> ModuleType:
    """Set the environment, create the table and import `app.py`."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        os.environ.pop(name, None)
    os.environ.update(local_environment(endpoint, keys))
    from chalicelib import bootstrap, config  # not before the environment is set

    table = bootstrap.table(config.read(os.environ))
    if not table.create() and not table.is_current():
        raise Unusable("the data in .local/ has the format of an earlier version: delete it with `make clean`")
    sys.modules.pop("app", None)  # it may have been imported before, under another environment
    return importlib.import_module("app")


def schedule(function: Callable[[dict[str, Any], LambdaContext], object]) -> Repeating:
    """Calls a scheduled function as EventBridge would, every `SWEEP_EVERY` seconds."""

    def fire() -> None:
        try:
            function(scheduled_event(), LambdaContext("sweep_expired", 512, SWEEP_WITHIN))
        except Exception:
            logger.exception("the sweep failed; the next one is in %.0f s", SWEEP_EVERY)

    return Repeating(fire, SWEEP_EVERY, "schedule")


def scheduled_event() -> dict[str, Any]:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html"""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/sweep-expired"],
        "detail": {},
    }
