"""From an empty interpreter to the first answered claim, against botocore alone making one call.

The first is the package, unpacked, with nothing else to import from: what Lambda does at a cold start. The second is
botocore as pip installs it. The two alternate, each run in a process of its own on the same engine; what is compared
are medians. Says no more than that: Lambda's own part, fetching and unpacking, is not in either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.rows import Place, Row
from poolctl.client import Client
from tools.deploy.package import package
from tools.deploy.stages import STAGES
from tools.local.engines import MiniStack
from tools.local.gateway import LocalApi
from tools.local.keys import LocalKeys
from tools.local.service import REGION, TABLE, load_app
from tools.problems import Unusable

RUNS = 15
BOUND = 0.95
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


class Took(NamedTuple):
    """Milliseconds: on the clock, and of the processor, which a busy machine disturbs less."""

    wall: float
    work: float


def rows(place: Place) -> Iterator[Row]:
    made = package(STAGES["e2e"])
    with tempfile.TemporaryDirectory() as folder, MiniStack() as engine:
        keys, root = LocalKeys(Path(folder) / "keys").ensure(), Path(folder) / "task"
        zipfile.ZipFile(made.code).extractall(root)
        module = load_app(engine.endpoint, keys)
        with LocalApi(module.app) as api:
            prepare(Client(api.url, keys.token("root", ["admin"])), Client(api.url, keys.token("mona")))
        environment = quiet_environment(engine.endpoint)
        plain, service = list[Took](), list[Took]()
        for number in range(RUNS + 1):
            plain.append(timed(BOTOCORE, [sysconfig.get_path("purelib")], environment))
            service.append(timed(SERVICE, [str(root), json.dumps(event_of(f"c{number}"))], environment))
    theirs, ours = middle(plain[1:]), middle(service[1:])  # the first of each has read the files for the others
    yield Row("cold start to the first claim, against botocore's to a call", ours.wall, theirs.wall, BOUND, unit="ms")
    yield Row("the same, work of the processor", ours.work, theirs.work, BOUND, unit="ms")


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
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def event_of(customer: str, verb: str = "claim") -> dict[str, Any]:
    """As API Gateway calls the function, once the authorizer has vouched for the caller."""
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


def timed(program: str, arguments: list[str], environment: dict[str, str]) -> Took:
    """Runs it with nothing to import from but the standard library and what it puts there itself."""
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise Unusable(f"a run failed: {done.stderr.strip().splitlines()[-1]}")
    wall, work = done.stdout.split()
    return Took(float(wall) * 1000, float(work) * 1000)


def middle(runs: list[Took]) -> Took:
    return Took(median(run.wall for run in runs), median(run.work for run in runs))
