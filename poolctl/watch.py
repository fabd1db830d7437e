"""`poolctl watch`: poll the claims of a pool, or the history of one customer, until Ctrl-C.

On a terminal it updates a table; through a pipe, or with --json, it prints a line for each change. It continues after
an interruption of the service.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import click
from rich.live import Live

from poolctl import output
from poolctl.client import Refused, Unreachable
from poolctl.commands_base import SECONDS, command, parse_customer
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.session import Session, moment

Snapshot: TypeAlias = dict[str, dict[str, Any]]  # customers by id, or events by seq


@command("watch")
@click.argument("customer", required=False, metavar="[ID]")
@click.option("--mine", is_flag=True)
@click.option("--every", type=SECONDS, default=5.0, metavar="SECONDS")
@click.option("--times", type=click.IntRange(1), metavar="N")
def watch(session: Session, customer: str | None, mine: bool, every: float, times: int | None) -> int:
    if customer is not None and mine:
        raise CommandFailed(Exit.USAGE, "only_pool")
    pool, known = (session.pool(), None) if customer is None else parse_customer(session, customer)
    path = f"/v1/pools/{pool}/customers"
    query = {"holder": "me"} if mine else {"state": "claimed"}

    def poll() -> Snapshot:
        if known is None:
            return {each["id"]: each for each in session.walk(path, **query)}
        return {str(each["seq"]): each for each in session.walk(f"{path}/{quote(known, safe='')}/history")}

    try:
        _watch(session, poll, every, times, history=customer is not None)
    except KeyboardInterrupt:
        pass
    return Exit.DONE


def _watch(session: Session, poll: Callable[[], Snapshot], every: float, times: int | None, *, history: bool) -> None:
    seen: Snapshot = {}
    live = None if session.json or not sys.stdout.isatty() else Live(console=output.console(), auto_refresh=False)
    with live or nullcontext():
        for now in _snapshots(session, poll, every, times):
            if live is not None:
                live.update(_table(now, history=history), refresh=True)
            else:
                _print_changes(session, seen, now, history=history)
            seen = now


def _snapshots(session: Session, poll: Callable[[], Snapshot], every: float, times: int | None) -> Iterator[Snapshot]:
    """Yield snapshots. The first poll has to succeed; later failures are reported once and polling continues."""
    yield poll()
    done, reported = 1, False
    while times is None or done < times:
        time.sleep(every)
        try:
            now = poll()
        except (Unreachable, Refused) as fault:
            if (reason := session.failure(fault)).status is not Exit.UNREACHABLE:
                raise
            if not reported:
                print(message("still_watching", why=reason), file=sys.stderr, flush=True)
            reported = True
        else:
            done, reported = done + 1, False
            yield now


def _table(now: Snapshot, *, history: bool) -> Any:
    if history:
        return output.table(EVENT, (_event_row(each) for each in now.values()))
    return output.table(HELD, (output.customer_row(each) for each in now.values()))


EVENT: Final = output.Columns(("at", "type", "by", "holder", "reason"), dropped=("holder", "reason", "by"))
HELD: Final = output.Columns(output.CUSTOMER.names, dropped=("state", "expires_at", "holder"))


def _event_row(event: dict[str, Any]) -> list[Any]:
    return [moment(event["at"]), event["type"], event["by"], event["holder"], _reason(event)]


def _reason(event: dict[str, Any]) -> str | None:
    return message("hidden") if event.get("masked") else event["reason"]


def _print_changes(session: Session, before: Snapshot, now: Snapshot, *, history: bool) -> None:
    """Print one line for each new, changed or removed entry."""
    changed = [("+" if key not in before else "~", each) for key, each in now.items() if before.get(key) != each]
    for sign, each in [*changed, *(("-", each) for key, each in before.items() if key not in now)]:
        if session.json:
            print(
                json.dumps({"change": sign, "event" if history else "customer": each}, ensure_ascii=False), flush=True
            )
        else:
            cells = _event_row(each) if history else output.customer_row(each)
            print(sign, *(output.printable(cell) for cell in cells), sep="\t", flush=True)
