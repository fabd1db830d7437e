"""The service compared with two other designs under 32 threads, with the same limit and customers.

`naive` reads, checks and writes, as many services on DynamoDB do. `one_table` is a service on PostgreSQL that locks the
member's row first. A design is correct if no customer is claimed by two members and no member exceeds the limit. The
claims a second are those of the engines on this machine, one of them a single Python process: they do not apply to
DynamoDB.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from glob import glob
from pathlib import Path
from shutil import chown, which
from time import perf_counter, sleep
from typing import Any, NamedTuple

from benchmarks.rows import Row, Target
from tests.support.dynamodb_calls import hooked
from tests.support.threads import at_once
from tools.local.engines import free_port

THREADS, MEMBERS, LIMIT, CUSTOMERS, TRIES, UNCONTENDED = 32, 4, 20, 120, 40, 5
Claim = Callable[[str, str], bool]


IDS = [f"c{number + 1}" for number in range(CUSTOMERS + UNCONTENDED)]
NAMES = [*(f"m{number}" for number in range(MEMBERS)), "warm"]


class Result(NamedTuple):
    claimed_twice: int
    over_limit: int
    requests: float
    a_second: float


def rows(target: Target) -> Iterator[Row]:
    yield from rows_of("this service", service(target), bound=0)
    yield from rows_of("read, check, write", naive(target))
    if programs := postgres_programs():
        with postgres(programs) as address:
            yield from rows_of("PostgreSQL, SELECT … FOR UPDATE", one_table(address))


def rows_of(design: str, result: Result, bound: float | None = None) -> Iterator[Row]:
    yield Row(f"{design}: customers claimed by two members, of {CUSTOMERS}", result.claimed_twice, bound=bound)
    yield Row(f"{design}: members over their limit of {LIMIT}, of {MEMBERS}", result.over_limit, bound=bound)
    yield Row(f"{design}: requests of a claim without contention", result.requests)
    yield Row(f"{design}: responses a second under {THREADS} threads", result.a_second, unit="/s")


def race(claim: Claim, requests: Counter[str]) -> Result:
    """Claim a few customers without contention; then each member claims many, in eight threads with random orders."""
    granted: dict[str, set[str]] = defaultdict(set)
    lock = threading.Lock()

    def job(number: int) -> None:
        member = NAMES[number % MEMBERS]
        for customer in random.Random(number).sample(IDS[:CUSTOMERS], TRIES):
            if claim(member, customer):
                with lock:
                    granted[customer].add(member)

    claim("warm", IDS[-1])  # connects and fills the caches
    requests.clear()
    assert all(claim("warm", customer) for customer in IDS[CUSTOMERS:-1])
    uncontended = requests.total() / (UNCONTENDED - 1)
    started = perf_counter()
    at_once([partial(job, number) for number in range(THREADS)])
    took = perf_counter() - started
    held = Counter(member for owners in granted.values() for member in owners)
    return Result(
        sum(len(owners) > 1 for owners in granted.values()),
        sum(count > LIMIT for count in held.values()),
        uncontended,
        THREADS * TRIES / took,
    )


# This service


def service(target: Target) -> Result:
    world = target.world()
    world.pool(members=" ".join(NAMES), holding_limit=LIMIT)
    world.fill(len(IDS))
    world.user("mona").walk("/customers")  # fills the cache
    sent: Counter[str] = Counter()
    with hooked(world, "before-send.dynamodb", lambda **_: sent.update(["request"])):
        return race(lambda member, customer: world.user(member).claim(customer).status == 200, sent)


# Read, check, write


def naive(target: Target) -> Result:
    table = target.table()
    client, name, sent = table.connection.client, table.name, Counter[str]()
    for key in [*IDS, *NAMES]:
        client.put_item(TableName=name, Item={**at(key), "held": {"N": "0"}})

    def read(key: str) -> Any:
        return client.get_item(TableName=name, Key=at(key), ConsistentRead=True)["Item"]

    def claim(member: str, customer: str) -> bool:
        known = read(customer)
        if "holder" in known or int(read(member)["held"]["N"]) >= LIMIT:
            return False
        client.put_item(TableName=name, Item=known | {"holder": {"S": member}})
        one_more = {"UpdateExpression": "ADD held :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        client.update_item(TableName=name, Key=at(member), **one_more)
        return True

    client.meta.events.register("before-send.dynamodb", lambda **_: sent.update(["request"]))
    return race(claim, sent)


def at(key: str) -> dict[str, Any]:
    return {"pk": {"S": key}, "sk": {"S": "-"}}


# PostgreSQL


def one_table(address: str) -> Result:
    import psycopg  # from the development group; the service does not use it

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE pool (id text PRIMARY KEY, holder text, held integer NOT NULL DEFAULT 0)")
        connection.cursor().executemany("INSERT INTO pool (id) VALUES (%s)", [(each,) for each in [*IDS, *NAMES]])
    sent, own, opened = Counter[str](), threading.local(), list[Any]()

    def execute(statement: str, *values: Any) -> Any:
        sent["request"] += 1
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(address, autocommit=True)
            opened.append(own.connection)
        return own.connection.execute(statement, values or None)

    def claim(member: str, customer: str) -> bool:
        execute("BEGIN")
        (held,) = execute("SELECT held FROM pool WHERE id = %s FOR UPDATE", member).fetchone()
        update = "UPDATE pool SET holder = %s WHERE id = %s AND holder IS NULL"
        claimed = held < LIMIT and execute(update, member, customer).rowcount > 0
        if claimed:
            execute("UPDATE pool SET held = held + 1 WHERE id = %s", member)
        execute("COMMIT")
        return bool(claimed)

    try:
        return race(claim, sent)
    finally:
        for each in opened:
            each.close()


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, or None if it is not installed."""
    found = [Path(each) for each in sorted(glob("/usr/lib/postgresql/*/bin"))]
    inits = [folder for folder in found if (folder / "initdb").exists()]
    if not inits and (initdb := which("initdb")):
        inits = [Path(initdb).resolve().parent]
    return inits[-1] if inits else None


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """Run a temporary server on loopback; yield its address. It refuses to run as root, so root runs it as nobody."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", free_port()
        owner = {"user": "nobody", "cwd": folder} if Path(folder).owner() == "root" else {"cwd": folder}
        if "user" in owner:
            chown(folder, "nobody")
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **owner}
        subprocess.run([str(programs / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust"], check=True, **quiet)
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        server = subprocess.Popen([str(programs / "postgres"), "-D", str(data), "-p", str(port), *settings], **quiet)
        try:
            ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            for _ in range(600):
                if subprocess.run(ready, check=False, **quiet).returncode == 0:
                    break
                sleep(0.05)
            yield f"host=127.0.0.1 port={port} user=bench dbname=postgres"
        finally:
            server.terminate()
            server.wait()
