"""What a cold start may not load: each of these costs more than the first claim."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER = (
    "boto3", "s3transfer", "moto", "hypothesis", "pytest", "pydantic", "jsonschema", "chalice.local", "chalice.cli",
    "tools", "tests",
)  # fmt: skip
# Only the authorizer verifies tokens, only requests for the document and the console need their modules, and only one
# function publishes events.
NOT_YET = (
    "jwt", "cryptography", "chalicelib.api.openapi", "chalicelib.api.console", "chalicelib.events.stream",
    "chalicelib.events.publisher",
)  # fmt: skip

HEALTH = {
    "resource": "/v1/health", "path": "/v1/health", "httpMethod": "GET", "headers": {}, "pathParameters": None,
    "multiValueQueryStringParameters": None, "stageVariables": None, "body": None, "isBase64Encoded": False,
    "requestContext": {"resourcePath": "/v1/health", "httpMethod": "GET"},
}  # fmt: skip

START = """
import gc, json, sys
import app
assert app.app(json.loads(sys.argv[1]), None)["statusCode"] == 200
app.service().backend.table.connection.client
print(json.dumps([gc.isenabled(), sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def started() -> tuple[bool, set[str]]:
    """Whether the collector is on, and what has been loaded, when the first request has been answered."""
    done = subprocess.run(
        [sys.executable, "-c", START, json.dumps(HEALTH)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    collecting, loaded = json.loads(done.stdout)
    return collecting, set(loaded)


@pytest.mark.parametrize("name", NEVER + NOT_YET)
def test_a_cold_start_does_not_import_unneeded_modules(started: tuple[bool, set[str]], name: str) -> None:
    assert name not in started[1]


def test_garbage_collection_is_enabled_after_the_start(started: tuple[bool, set[str]]) -> None:
    assert started[0]


AUTHORIZER = """
import json, sys
import app
print(json.dumps(sorted(sys.modules)))
"""


def test_the_authorizer_starts_without_the_modules_of_the_api() -> None:
    environment = {"_HANDLER": "app.authorizer", "PATH": os.environ["PATH"]}

    started = subprocess.run(
        [sys.executable, "-c", AUTHORIZER], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    loaded = set(json.loads(started.stdout))
    assert "chalicelib.api.auth" in loaded
    of_the_api = {"botocore", "pynamodb", "zoneinfo", "chalicelib.api.routes", "chalicelib.dynamodb"}
    assert not {*of_the_api, "chalicelib.api.handler", "chalicelib.model.model"} & loaded
