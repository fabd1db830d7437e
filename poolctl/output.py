"""Print tables to a terminal, plain columns to a pipe and JSON to programs. Sends no requests.

Names of customers are untrusted text: control characters are replaced, so they cannot color or move the cursor.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from poolctl.messages import has_message, message
from poolctl.session import Session, moment, refusal_of

WIDE = 10_000  # columns: without a terminal nothing is cut


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise instead of ending the process, as rich does."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False)


def as_json(body: Any) -> None:
    print(json.dumps(body, ensure_ascii=False, indent=2))


def lines(*texts: str) -> None:
    for each in texts:
        print(printable(each))


@dataclass(frozen=True)
class Columns:
    """Column names; their headings are the messages `column.<name>`. A narrow terminal drops `dropped`, in order."""

    names: tuple[str, ...]
    dropped: tuple[str, ...] = ()


# Columns whose text may be folded, with the smallest readable width. All others are shown whole.
FOLDED: Final = {
    "id": 24, "name": 16, "outcome": 20, "reason": 16, "rule": 16, "before": 12, "now": 12, "heading": 12,
    "imported_as": 12, "first": 20, "counter": 12,
}  # fmt: skip
GAP: Final = 3  # blanks between two columns on a terminal


def table(columns: Columns, rows: Iterable[Sequence[Any]]) -> Table:
    on_terminal = sys.stdout.isatty()
    cells = [[printable(cell) for cell in row] for row in rows]
    heads = [message(f"column.{name}") for name in columns.names]
    natural = [max(map(cell_len, each)) for each in zip(heads, *cells, strict=True)]
    width = console().width if on_terminal else WIDE
    fitted = _fitted(columns, dict(zip(columns.names, natural, strict=True)), width)
    made = Table(box=box.SIMPLE_HEAD if on_terminal else None, pad_edge=False, show_edge=False)
    for name, head in zip(columns.names, heads, strict=True):
        if name in fitted:
            made.add_column(Text(head), overflow="fold", width=fitted[name] if on_terminal else None)
    for row in cells:
        made.add_row(*(Text(cell) for name, cell in zip(columns.names, row, strict=True) if name in fitted))
    return made


def _fitted(columns: Columns, natural: dict[str, int], width: int) -> dict[str, int]:
    """Return the width of each column that is shown."""
    needed = {name: min(each, FOLDED.get(name, each)) for name, each in natural.items()}
    for name in columns.dropped:
        if _total(needed) <= width:
            break
        del needed[name]
    folded = [name for name in needed if name in FOLDED]
    spare = width - _total(needed)
    for name in folded:
        # Distribute spare width to the folded columns; take missing width from the widest of them.
        more = min(natural[name] - needed[name], max(spare, 0))
        needed[name], spare = needed[name] + more, spare - more
    while spare < 0 and folded and needed[widest := max(folded, key=lambda name: needed[name])] > 1:
        needed[widest], spare = needed[widest] - 1, spare + 1
    return needed


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def print_table(columns: Columns, rows: Iterable[Sequence[Any]]) -> None:
    made = table(columns, rows)
    if made.row_count:
        console().print(made)
    else:
        lines(message("no_rows"))


def printable(cell: Any) -> str:
    """Return a value as text without control characters."""
    if cell is None:
        return "-"
    return "".join(sign if unicodedata.category(sign)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for sign in str(cell))


# Customers, and results of batches


CUSTOMER: Final = Columns(("id", "name", "state", "holder", "expires_at"), dropped=("holder", "state", "expires_at"))
RESULT: Final = Columns(("id", "outcome", "holder", "expires_at"), dropped=("holder", "expires_at"))


def customer_row(customer: dict[str, Any], *, pools: bool = False) -> list[Any]:
    """Return the cells of a customer. With `pools`, the id is written as POOL/ID."""
    name = f"{customer['pool_id']}/{customer['id']}" if pools else customer["id"]
    key = f"state.{customer['state']}"
    state = message(key) if has_message(key) else customer["state"]  # a newer service may have other states
    return [name, customer["name"], state, customer["holder"], moment(customer["expires_at"])]


def print_customers(session: Session, items: list[dict[str, Any]], *, pools: bool = False) -> None:
    if session.json:
        as_json({"items": items})
    else:
        print_table(CUSTOMER, (customer_row(each, pools=pools) for each in items))


def print_results(session: Session, results: list[dict[str, Any]]) -> bool:
    """Print one line for each result, which contains its `pool_id`. Return whether all succeeded."""
    ok = sum(bool(each["ok"]) for each in results)
    if session.json:
        as_json({"results": results, "summary": {"ok": ok, "failed": len(results) - ok}})
    else:
        pools = len({each["pool_id"] for each in results}) > 1
        print_table(RESULT, (_result_row(each, pools=pools) for each in results))
    return ok == len(results)


def _result_row(result: dict[str, Any], *, pools: bool) -> list[Any]:
    name = f"{result['pool_id']}/{result['id']}" if pools else result["id"]
    if not result["ok"]:
        refusal = refusal_of(result)
        return [name, f"{refusal['code']}: {refusal['detail']}", None, None]
    customer = result["customer"]  # only an id and a time, if it is erased
    return [name, "ok", customer.get("holder"), moment(customer.get("expires_at"))]
