"""`chalice local`, started with the documented environment file: the service without any of our tools around it."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from poolctl.client import Client
from poolctl.local_keys import LocalKeys
from tools.local.engines import free_port
from tools.local.seed import POOL, seed
from tools.local.service import ENVIRONMENT
from tools.paths import PROJECT

START = """
set -a; . .chalice/local.env; set +a
export DYNAMODB_ENDPOINT={endpoint} TABLE_NAME={table} JWKS={jwks}
{create_table}
exec .venv/bin/chalice local --no-autoreload --port {port}
"""


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path / "keys").ensure()


@pytest.fixture
def url(ministack: str, keys: LocalKeys, tmp_path: Path) -> Iterator[str]:
    """Return the address of the started service."""
    documented = ENVIRONMENT.read_text(encoding="utf-8")
    create_table = re.search(r"^#   (.*create\(\).*)$", documented, re.MULTILINE)
    assert create_table
    port, table = free_port(), f"chalice-local-{uuid.uuid4().hex}"
    script = START.format(endpoint=ministack, table=table, jwks=keys.jwks, create_table=create_table[1], port=port)
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = ["bash", "-ec", script]
    with subprocess.Popen(command, cwd=PROJECT, env=bare, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as started:
        try:
            assert started.stdout
            assert started.stdout.readline().decode() == f"Serving on http://127.0.0.1:{port}\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            started.kill()


def test_a_customer_is_claimed_through_chalice_local(url: str, keys: LocalKeys) -> None:
    assert seed(url, keys)
    alice, bob = Client(url, keys.token("alice")), Client(url, keys.token("bob"))

    claimed = alice.call("POST", f"/v1/pools/{POOL}/customers/acme/claim")
    refused = bob.call("POST", f"/v1/pools/{POOL}/customers/acme/claim")
    with pytest.raises(HTTPError) as stranger:
        urlopen(f"{url}/v1/pools")

    assert (claimed.status, claimed.body["holder"]) == (200, "alice")
    assert (refused.status, refused.code) == (409, "already_claimed")
    assert stranger.value.code == 401
