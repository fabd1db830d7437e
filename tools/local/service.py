"""The service on this machine: its environment, table and schedule, for `make run` and tests of the whole service."""

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

from poolctl.local_keys import LocalKeys
from tools.commit import commit
from tools.local.repeating import Repeating
from tools.paths import PROJECT
from tools.problems import Unusable

ENVIRONMENT = PROJECT / ".chalice" / "local.env"
REGION = "us-east-1"
TABLE = "customer-pool"
SWEEP_EVERY = 60.0  # seconds, as in app.py
SWEEP_WITHIN = 60_000  # milliseconds: the timeout of the Lambda function

logger = logging.getLogger("local.schedule")


def documented_environment() -> dict[str, str]:
    """Return the variables of `.chalice/local.env`."""
    lines = ENVIRONMENT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def local_environment(endpoint: str, keys: LocalKeys) -> dict[str, str]:
    """Return the variables of `.chalice/local.env`, for the DynamoDB at `endpoint` and those keys."""
    return documented_environment() | {"DYNAMODB_ENDPOINT": endpoint, "JWKS": str(keys.jwks)}


def load_app(endpoint: str, keys: LocalKeys) -> ModuleType:
    """Set the environment, which `app.py` reads while it is imported, create the table and import `app.py`."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        os.environ.pop(name, None)
    os.environ.update(local_environment(endpoint, keys))
    os.environ["COMMIT"] = commit() or "unknown"
    from chalicelib import bootstrap, config  # not before the environment is set

    table = bootstrap.table(config.read(os.environ))
    if not table.create() and not table.is_current():
        raise Unusable("the data in .local/ has the format of an earlier version: delete it with `make clean`")
    sys.modules.pop("app", None)  # it may have been imported before, under another environment
    return importlib.import_module("app")


def schedule(function: Callable[[dict[str, Any], LambdaContext], object]) -> Repeating:
    """Call a scheduled function like EventBridge, every `SWEEP_EVERY` seconds."""

    def run() -> None:
        try:
            function(scheduled_event(), LambdaContext("sweep_expired", 512, SWEEP_WITHIN))
        except Exception:
            logger.exception("the sweep failed; the next one is in %.0f s", SWEEP_EVERY)

    return Repeating(run, SWEEP_EVERY, "schedule")


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
