"""`poolctl export`: write the customers of a pool, as the caller sees them, to a CSV file or a workbook.

`import` recognizes the headings of every exported file. No cell is a formula. Files are written atomically.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import click
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError

from importing import headings
from importing.headings import EXPORTED_FIRST, attribute_title, field_title
from importing.values import guarded
from poolctl import output
from poolctl.atomic_files import atomic_draft
from poolctl.commands_base import BATCH, command
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.progress import progress
from poolctl.session import Session

MOST_DIGITS: Final = 10**15  # a spreadsheet keeps 15 digits of a number
LONGEST_SHEET: Final = 1_048_576  # rows of a worksheet, headings included


@command("export")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--state", type=click.Choice(("available", "claimed", "private", "set_aside", "win_requested", "suppressed"))
)
@click.option("--holder", metavar="USER")
@click.option("--force", is_flag=True)
def export(session: Session, file: Path, state: str | None, holder: str | None, force: bool) -> int:
    kind = file.suffix.lower()
    if str(file) != "-" and kind not in (".csv", ".xlsx"):
        raise CommandFailed(Exit.USAGE, "no_kind", file=file)
    if file.exists() and not force:
        raise CommandFailed(Exit.FILE, "file_exists", file=file)
    path = f"/v1/pools/{session.pool()}/customers"
    listed = whole_customers(session, path, session.walk(path, state=state, holder=holder))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        count, fields = _collect(listed, spool)
        rows = rows_of(session.language, titled_fields(fields, session.language), spool)
        if str(file) == "-" and session.json:
            spool.seek(0)
            output.as_json({"items": [json.loads(line) for line in spool]})
            return Exit.DONE
        if str(file) == "-":
            _write_csv(rows, sys.stdout)
            return Exit.DONE
        if kind == ".xlsx" and count >= LONGEST_SHEET:
            raise CommandFailed(Exit.FILE, "too_long_for_a_sheet", most=f"{LONGEST_SHEET - 1:,}")
        with atomic_draft(file, 0o600) as draft:
            write_file(kind, rows, draft)
    if session.json:
        output.as_json({"exported": count, "file": str(file)})
    else:
        output.lines(message("exported", count=f"{count:,}", file=file))
    return Exit.DONE


def whole_customers(session: Session, path: str, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the customers of a list. Partial rows are read again, BATCH at a time; those that are gone are left out."""
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        partial = [row["id"] for row in batch if row.get("partial")]
        read = session.get(path, ids=",".join(partial))["items"] if partial else []
        whole = dict(zip(partial, read, strict=True))
        yield from (customer for row in batch if (customer := whole.get(row["id"], row)) is not None)


def _collect(listed: Iterable[dict[str, Any]], spool: IO[str]) -> tuple[int, list[str]]:
    """Write all customers to `spool`, one per line. Return their number and fields, known fields first."""
    count, fields = 0, dict.fromkeys(headings.fields(), False)
    with progress(None) as advance:
        for customer in listed:
            spool.write(json.dumps(customer) + "\n")
            fields |= dict.fromkeys(customer["fields"], True)
            count += 1
            advance(1)
    return count, [name for name, used in fields.items() if used]


def titled_fields(fields: Collection[str], language: str) -> list[str]:
    """Return the fields of an export, known ones first. A known field is among them too if another field has the name
    that is its title: `import` reads the first of two equal headings as the known field."""
    known = headings.fields()
    needed = {name for name in known if name not in fields and field_title(name, language) in fields}
    return [name for name in known if name in needed or name in fields] + [name for name in fields if name not in known]


def rows_of(language: str, fields: list[str], spool: IO[str]) -> Iterator[list[Any]]:
    yield [*(attribute_title(name, language) for name in EXPORTED_FIRST), *_field_titles(fields, language)]
    spool.seek(0)
    for line in spool:
        customer = json.loads(line)
        cells = [*(customer[name] for name in EXPORTED_FIRST), *(customer["fields"].get(name) for name in fields)]
        yield [guarded(_cell(value)) for value in cells]


def _cell(value: Any) -> Any:
    """Return a list of texts with commas, as an import reads it, and other lists and objects as JSON."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _field_titles(fields: list[str], language: str) -> list[str]:
    return [str(guarded(field_title(name, language))) for name in fields]


def write_file(kind: str, rows: Iterable[list[Any]], draft: Path) -> None:
    if kind == ".xlsx":
        _write_workbook(rows, draft)
        return
    with draft.open("w", encoding="utf-8-sig", newline="") as text:  # with a byte order mark; Excel guesses otherwise
        _write_csv(rows, text)


def _write_csv(rows: Iterable[list[Any]], text: IO[str]) -> None:
    csv.writer(text).writerows(rows)


def _for_a_sheet(cell: Any) -> Any:
    if not isinstance(cell, int | float) or isinstance(cell, bool):
        return cell
    return cell if abs(cell) < MOST_DIGITS and float(f"{cell:.15g}") == cell else str(cell)


def _write_workbook(rows: Iterable[list[Any]], draft: Path) -> None:
    """Write row by row, in constant memory. Text stays text, even if it looks like a formula, URL or number. Numbers of
    more digits than a spreadsheet keeps become text."""
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = Workbook(str(draft), {"constant_memory": True, **plain})
    sheet = book.add_worksheet()
    for index, row in enumerate(rows):
        sheet.write_row(index, 0, [_for_a_sheet(cell) for cell in row])
    sheet.freeze_panes(1, 0)
    try:
        book.close()
    except FileCreateError as error:
        raise error.args[0] from None  # the original OSError
