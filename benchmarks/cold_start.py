"""The time from an empty interpreter to the first response to a claim, compared with one call of plain botocore.

The service runs from the unpacked package alone, like a cold start in Lambda. botocore runs as pip installs it. Both
alternate, each in a new process, on the same engine; their medians are compared. Neither includes the time in which
Lambda itself fetches and unpacks the package.

A user waits for two cold starts, one after the other: the authorizer reads the key set and verifies the token, then the
API claims.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.rows import Row, Target
from poolctl.client import Client
from poolctl.local_keys import AUDIENCE, ISSUER, LocalKeys
from tools.deploy.package import package
from tools.deploy.stages import STAGES
from tools.local.engines import HOST, MiniStack
from tools.local.gateway import LocalApi
from tools.local.service import REGION, TABLE, load_app
from tools.problems import Unusable

RUNS = 15
BOUND = 0.95
# Of the authorizer and the API together. The authorizer alone takes 0.43: Chalice, an HTTP client, and the parts of
# cryptography that PyJWT imports.
BOTH_BOUND = 1.4
POOL = "cold"

BOTOCORE = """
from time import perf_counter, process_time; started, worked = perf_counter(), process_time()
import sys; sys.path.insert(0, sys.argv[1])
import os, botocore.session
client = botocore.session.get_session().create_client("dynamodb", endpoint_url=os.environ["DYNAMODB_ENDPOINT"])
answer = client.get_item(TableName=os.environ["TABLE_NAME"], Key={"pk": {"S": "x"}, "sk": {"S": "-"}})
assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
print(perf_counter() - started, process_time() - worked)
"""

SERVICE = """
from time import perf_counter, process_time; started, worked = perf_counter(), process_time()
import sys; sys.path.insert(0, sys.argv[1])
import json; event = json.loads(sys.argv[2])
import app
answer = app.app(event, None)
took, work = perf_counter() - started, process_time() - worked
assert answer["statusCode"] == 200, answer
assert app.__file__.startswith(sys.argv[1])
print(took, work)
"""


AUTHORIZER = """
from time import perf_counter, process_time; started, worked = perf_counter(), process_time()
import sys; sys.path.insert(0, sys.argv[1])
import json; event = json.loads(sys.argv[2])
import app
answer = app.authorizer(event, None)
took, work = perf_counter() - started, process_time() - worked
assert answer["principalId"] == "alice", answer
print(took, work)
"""


class Duration(NamedTuple):
    """Wall-clock and CPU time in milliseconds. A busy machine affects CPU time less."""

    wall: float
    cpu: float


def rows(target: Target) -> Iterator[Row]:
    packaged = package(STAGES["e2e"])
    with tempfile.TemporaryDirectory() as folder, MiniStack() as engine:
        keys, root = LocalKeys(Path(folder) / "keys").ensure(), Path(folder) / "task"
        zipfile.ZipFile(packaged.code).extractall(root)
        module = load_app(engine.endpoint, keys)
        with LocalApi(module.app) as api:
            prepare(Client(api.url, keys.token("root", ["admin"])), Client(api.url, keys.token("mona")))
        environment = quiet_environment(engine.endpoint)
        plain, service, authorizer = list[Duration](), list[Duration](), list[Duration]()
        with published(keys) as key_set:
            issued = {"JWKS": key_set, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, "_HANDLER": "app.authorizer"}
            token = json.dumps(token_event(keys.token("alice")))
            for number in range(RUNS + 1):
                plain.append(timed(BOTOCORE, [sysconfig.get_path("purelib")], environment))
                authorizer.append(timed(AUTHORIZER, [str(root), token], environment | issued))
                service.append(timed(SERVICE, [str(root), json.dumps(event_of(f"c{number}"))], environment))
    # The first run of each fills the file cache.
    theirs, ours, first = middle(plain[1:]), middle(service[1:]), middle(authorizer[1:])
    name = "cold start to the first claim, compared with botocore's first call"
    yield Row(name, ours.wall, theirs.wall, BOUND, unit="ms")
    yield Row("the same, CPU time", ours.cpu, theirs.cpu, BOUND, unit="ms")
    both = Duration(first.wall + ours.wall, first.cpu + ours.cpu)
    yield Row("cold start of the authorizer, then to the first claim", both.wall, theirs.wall, BOTH_BOUND, unit="ms")
    yield Row("the same, CPU time", both.cpu, theirs.cpu, BOTH_BOUND, unit="ms")
    yield Row("of that, CPU time of the authorizer", first.cpu, theirs.cpu, unit="ms")


@contextmanager
def published(keys: LocalKeys) -> Iterator[str]:
    """Serve the key set like an issuer. Yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys.jwks.read_bytes())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{HOST}:{server.server_port}/jwks.json"
        server.shutdown()


def token_event(token: str) -> dict[str, str]:
    """Return the event with which API Gateway calls the authorizer."""
    method = "arn:aws:execute-api:us-east-1:000000000000:api/api/POST/v1/pools"
    return {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": method}


def prepare(admin: Client, manager: Client) -> None:
    admin.must("POST", "/v1/pools", {"id": POOL, "name": "Cold", "policy": {"holding_limit": 100, "claim_ttl": "P7D"}})
    for user, role in {"mona": "manager", "alice": "member"}.items():
        admin.must("PUT", f"/v1/pools/{POOL}/members/{user}", {"role": role})
    rows = [{"id": f"c{number}", "name": f"Customer {number}"} for number in range(RUNS + 1)]
    manager.must("POST", f"/v1/pools/{POOL}/import", {"rows": rows, "key": "id", "on_duplicate": "reject"})


def quiet_environment(endpoint: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {
        "DYNAMODB_ENDPOINT": endpoint,
        "TABLE_NAME": TABLE,
        "KEY_SECRET": "benchmark",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def event_of(customer: str, verb: str = "claim") -> dict[str, Any]:
    """Return the event that API Gateway sends after the authorizer has accepted the caller."""
    resource = f"/v1/pools/{{pool}}/customers/{{customer}}/{verb}"
    return {
        "resource": resource,
        "path": resource.format(pool=POOL, customer=customer),
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "multiValueQueryStringParameters": None,
        "pathParameters": {"pool": POOL, "customer": customer},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": "POST",
            "path": resource,
            "authorizer": {"tenant": "main", "user": "alice", "admin": "false"},
        },
        "body": None,
        "isBase64Encoded": False,
    }


def timed(program: str, arguments: list[str], environment: dict[str, str]) -> Duration:
    """Run a program that can import only the standard library and the paths that it adds itself."""
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise Unusable(f"a run failed: {done.stderr.strip().splitlines()[-1]}")
    wall, cpu = done.stdout.split()
    return Duration(float(wall) * 1000, float(cpu) * 1000)


def middle(runs: list[Duration]) -> Duration:
    return Duration(median(run.wall for run in runs), median(run.cpu for run in runs))
