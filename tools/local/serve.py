"""`make run`: run DynamoDB, the service and its schedule on this machine until Ctrl-C.

The exit code is 0 after a stop signal. Any error prints one line and exits with 1.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import ExitStack
from types import FrameType

from poolctl.local_keys import LocalKeys
from tools.local.engines import Engine, engine_named, refuse_taken
from tools.local.gateway import LocalApi
from tools.local.seed import MEMBERS, POOL, seed, untouched_customer
from tools.local.service import REGION, TABLE, load_app, schedule
from tools.local.stream import Stream, readers
from tools.paths import LOCAL
from tools.problems import Unusable, run_tool
from tools.whole_lines import write_whole_lines

DURABILITY = {
    "ministack": "Data is stored in .local/ when the service stops by Ctrl-C or SIGTERM, even if make is killed.\n"
    "If the engine is killed or the power fails, everything since this start is lost;\n"
    "with ENGINE=dynamodb-local, nothing is lost.",
    "dynamodb-local": "Data is stored in .local/; no answered request is lost, even if all processes are killed.",
}


def main() -> int:
    write_whole_lines()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    signals = stop_on_signals()
    name = os.environ.get("ENGINE") or "ministack"
    port = port_from("PORT", 8000)
    with ExitStack() as running:
        engine = engine_named(name)(port_from("ENGINE_PORT", 0), LOCAL / name)
        refuse_taken(port, "choose another one with PORT=")
        write(f"Starting {engine.name} ...")
        running.enter_context(engine)
        write(serve(running, engine, name, port))
        wait_for_signal(signals, engine)
        write("\nStopping ...")
    write("Stopped.")
    return 0


def serve(running: ExitStack, engine: Engine, name: str, port: int) -> str:
    """Start the service on the engine, with its schedule and the log of events. Return the welcome text."""
    keys = LocalKeys().ensure()
    module = load_app(engine.endpoint, keys)
    with LocalApi(module.app) as private:
        if seed(private.url, keys):
            write(f"Made the demo pool `{POOL}`: manager mona, members alice and bob, twelve customers.")
        customer = untouched_customer(private.url, keys)
    api = running.enter_context(LocalApi(module.app, port, log_request))
    running.enter_context(schedule(module.sweep_expired))
    new, stored = (Stream(engine.endpoint, REGION, TABLE, whole=whole) for whole in (False, True))
    running.enter_context(readers(new, log_event, module.index_names, stored.read()))
    return welcome(api.url, customer, engine, name, keys)


def stop_on_signals() -> list[int]:
    """Return a list that receives Ctrl-C, SIGTERM and SIGHUP, so that a second signal cannot interrupt the shutdown.

    Not an Event: a signal that arrives while another one sets it, as when make and this process are both stopped,
    would wait for its lock forever.
    """
    signals: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, receive)
    return signals


def wait_for_signal(signals: list[int], engine: Engine) -> None:
    while not signals:
        if not engine.alive:
            raise Unusable(f"{engine.name} stopped unexpectedly: see {engine.log_file}")
        time.sleep(0.2)


def port_from(variable: str, default: int) -> int:
    text = os.environ.get(variable)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Unusable(f"{variable}={text} is not a valid port: expected a number from 1 to 65535")
    return int(text)


def welcome(url: str, customer: str, engine: Engine, name: str, keys: LocalKeys) -> str:
    address = f"{url}/v1/pools/{POOL}/customers/{customer}"
    sign_ins = "\n".join(f"{user:6} {console_address(url, keys.token(user))}" for user in sorted(MEMBERS))
    return f"""
customer-pool is running on {url} ({engine.name} at {engine.endpoint}; both on this machine only).
{DURABILITY[name]}

The console, signed in as one of two members or as their manager, mona, for twelve hours:

{sign_ins}

Or run these in another terminal, in this folder. Alice claims a customer (200), bob cannot (409), alice releases it
(200):

curl -i -X POST {address}/claim -H "Authorization: Bearer $(make -s token USER=alice)"
curl -i -X POST {address}/claim -H "Authorization: Bearer $(make -s token USER=bob)"
curl -i -X POST {address}/release -H "Authorization: Bearer $(make -s token USER=alice)"

The command line: `bin/poolctl login --local alice`, then `bin/poolctl`.

Ctrl-C stops everything. Requests and published events:
"""


def console_address(url: str, token: str) -> str:
    """Return an address that signs in. Browsers do not send the part after #, and the page removes it at once."""
    return f"{url}/console#token={token}"


def log_request(method: str, route: str, status: int, seconds: float) -> None:
    """Write one line with the pattern of the route: a path, query, header or body may contain personal data."""
    write(f"{time.strftime('%H:%M:%S')} {ascii(method)[1:-1][:20]:7} {route} {status} {seconds * 1000:.0f} ms")


def log_event(line: str) -> None:
    write(f"{time.strftime('%H:%M:%S')} {line}")


def write(text: str) -> None:
    try:
        print(f"{text}\n", end="", flush=True)
    except OSError:
        # The terminal was closed. SIGHUP stops the service; a failed write must not.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open as long as the process


if __name__ == "__main__":
    run_tool(main)
