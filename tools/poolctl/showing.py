"""What people see: tables for a terminal, plain columns for a pipe, JSON for programs. Never asks the service anything.

What a customer is called is somebody else's text: it may neither colour the table nor move the cursor.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.poolctl.session import Session, refusal_of
from tools.poolctl.words import say

WIDE = 10_000  # columns: nothing is cut where no terminal is


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """rich would end the process here."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False)


def as_json(body: Any) -> None:
    print(json.dumps(body, ensure_ascii=False, indent=2))


def lines(*told: str) -> None:
    print("\n".join(shown(each) for each in told))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """`columns` are keys of `words`, under `column.`."""
    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for name in columns:
        made.add_column(Text(say(f"column.{name}")), overflow="fold")
    for row in rows:
        made.add_row(*(Text(shown(cell)) for cell in row))
    return made


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    made = table(columns, rows)
    if made.row_count:
        console().print(made)
    else:
        lines(say("nothing"))


def shown(cell: Any) -> str:
    """A value as text that does nothing but stand there."""
    if cell is None:
        return "-"
    return "".join(sign if unicodedata.category(sign)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for sign in str(cell))


def moment(time: str | None) -> str | None:
    """`2026-11-30T12:00:00.000Z` as this machine's clock has it."""
    return None if time is None else datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")


# Customers, and what came of several


CUSTOMER = ("id", "name", "state", "holder", "expires_at")


def customer_row(customer: dict[str, Any]) -> list[Any]:
    state = say(f"state.{customer['state']}")
    return [customer["id"], customer["name"], state, customer["holder"], moment(customer["expires_at"])]


def customers(session: Session, items: list[dict[str, Any]]) -> None:
    if session.json:
        as_json({"items": items})
    else:
        print_table(CUSTOMER, (customer_row(each) for each in items))


def results(session: Session, of: list[dict[str, Any]]) -> bool:
    """Shows one line a result, and tells whether all went well."""
    ok = sum(bool(each["ok"]) for each in of)
    if session.json:
        as_json({"results": of, "summary": {"ok": ok, "failed": len(of) - ok}})
    else:
        print_table(("id", "outcome", "holder", "expires_at"), (_result_row(each) for each in of))
    return ok == len(of)


def _result_row(result: dict[str, Any]) -> list[Any]:
    if not result["ok"]:
        told = refusal_of(result)
        return [result["id"], f"{told['code']}: {told['detail']}", None, None]
    customer = result["customer"]
    return [result["id"], "ok", customer["holder"], moment(customer["expires_at"])]
