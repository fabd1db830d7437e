"""Other ways to build it, under 32 threads: told in the same terms, at one limit, on one set of customers.

`Naive` reads, checks and writes, as services on DynamoDB commonly do. `OneTable` is a service on PostgreSQL that locks
the member's row first. Both are written as they commonly are, and no worse. A claim is right if no customer is told
"yours" to two members, and no member holds more than they may. Answers a second are those of the engines on this
machine, one of which is a single process of Python: they say nothing of DynamoDB.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from shutil import chown, which
from time import perf_counter, sleep
from typing import Any, NamedTuple

from benchmarks.rows import Place, Row
from tests.support.engine import hooked
from tests.support.threads import at_once
from tools.local.engines import free_port

THREADS, MEMBERS, LIMIT, CUSTOMERS, TRIES, CALM = 32, 4, 20, 120, 40, 5
Claim = Callable[[str, str], bool]


IDS = [f"c{number + 1}" for number in range(CUSTOMERS + CALM)]
NAMES = [*(f"m{number}" for number in range(MEMBERS)), "calm"]


class Ran(NamedTuple):
    told_twice: int
    over_limit: int
    requests: float
    a_second: float


def rows(place: Place) -> Iterator[Row]:
    yield from told("ours", ours(place), bound=0)
    yield from told("read, check, write", naive(place))
    if programs := postgres_programs():
        with postgres(programs) as address:
            yield from told("PostgreSQL, SELECT … FOR UPDATE", one_table(address))


def told(who: str, ran: Ran, bound: float | None = None) -> Iterator[Row]:
    yield Row(f"{who}: customers told “yours” to two members, of {CUSTOMERS}", ran.told_twice, bound=bound)
    yield Row(f"{who}: members over their limit of {LIMIT}, of {MEMBERS}", ran.over_limit, bound=bound)
    yield Row(f"{who}: requests of a claim in peace", ran.requests)
    yield Row(f"{who}: answers a second under {THREADS} threads", ran.a_second, unit="/s")


def raced(claim: Claim, requests: Counter[str]) -> Ran:
    """A few claims in peace; then every member asks for many customers, from eight threads, each in its own order."""
    granted: dict[str, set[str]] = defaultdict(set)
    lock = threading.Lock()

    def job(number: int) -> None:
        member = NAMES[number % MEMBERS]
        for customer in random.Random(number).sample(IDS[:CUSTOMERS], TRIES):
            if claim(member, customer):
                with lock:
                    granted[customer].add(member)

    claim("calm", IDS[-1])  # connects, and knows the pool
    requests.clear()
    assert all(claim("calm", customer) for customer in IDS[CUSTOMERS:-1])
    in_peace = requests.total() / (CALM - 1)
    started = perf_counter()
    at_once([lambda number=number: job(number) for number in range(THREADS)])
    took = perf_counter() - started
    held = Counter(member for owners in granted.values() for member in owners)
    return Ran(
        sum(len(owners) > 1 for owners in granted.values()),
        sum(count > LIMIT for count in held.values()),
        in_peace,
        THREADS * TRIES / took,
    )


# Ours


def ours(place: Place) -> Ran:
    world = place.world()
    world.pool(members=" ".join(NAMES), holding_limit=LIMIT)
    world.fill(len(IDS))
    world.user("mona").walk("/customers")  # warm, as they would be in use
    made: Counter[str] = Counter()
    with hooked(world, "before-send.dynamodb", lambda **_: made.update(["request"])):
        return raced(lambda member, customer: world.user(member).claim(customer).status == 200, made)


# Read, check, write


def naive(place: Place) -> Ran:
    table = place.table()
    client, name, made = table.connection.client, table.name, Counter[str]()
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

    client.meta.events.register("before-send.dynamodb", lambda **_: made.update(["request"]))
    return raced(claim, made)


def at(key: str) -> dict[str, Any]:
    return {"pk": {"S": key}, "sk": {"S": "-"}}


# PostgreSQL


def one_table(address: str) -> Ran:
    import psycopg  # from the development group; the service does not use it

    with psycopg.connect(address, autocommit=True) as made_by:
        made_by.execute("CREATE TABLE pool (id text PRIMARY KEY, holder text, held integer NOT NULL DEFAULT 0)")
        made_by.cursor().executemany("INSERT INTO pool (id) VALUES (%s)", [(each,) for each in [*IDS, *NAMES]])
    made, own, all_of_them = Counter[str](), threading.local(), list[Any]()

    def say(statement: str, *values: Any) -> Any:
        made["request"] += 1
        return own.connection.execute(statement, values or None)

    def claim(member: str, customer: str) -> bool:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(address, autocommit=True)
            all_of_them.append(own.connection)
        say("BEGIN")
        (held,) = say("SELECT held FROM pool WHERE id = %s FOR UPDATE", member).fetchone()
        taken = (
            held < LIMIT
            and say("UPDATE pool SET holder = %s WHERE id = %s AND holder IS NULL", member, customer).rowcount
        )
        if taken:
            say("UPDATE pool SET held = held + 1 WHERE id = %s", member)
        say("COMMIT")
        return bool(taken)

    try:
        return raced(claim, made)
    finally:
        for each in all_of_them:
            each.close()


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's own programs, where it is installed."""
    found = [Path(each) for each in sorted(glob("/usr/lib/postgresql/*/bin"))]
    inits = [folder for folder in found if (folder / "initdb").exists()]
    if not inits and (initdb := which("initdb")):
        inits = [Path(initdb).resolve().parent]
    return inits[-1] if inits else None


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """A server that keeps nothing, on loopback; it refuses to run as root, so as nobody where this is root."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", free_port()
        whoever = {"user": "nobody", "cwd": folder} if Path(folder).owner() == "root" else {"cwd": folder}
        if "user" in whoever:
            chown(folder, "nobody")
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **whoever}
        subprocess.run([programs / "initdb", "-D", data, "-U", "bench", "-A", "trust"], check=True, **quiet)
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        server = subprocess.Popen([programs / "postgres", "-D", data, "-p", str(port), *settings], **quiet)
        try:
            ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            for _ in range(600):
                if subprocess.run(ready, check=False, **quiet).returncode == 0:
                    break
                sleep(0.05)
            yield f"host=127.0.0.1 port={port} user=bench dbname=postgres"
        finally:
            server.terminate()
            server.wait()
