"""The report of `poolctl import`, and of its dry run: for people as text, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from importing.forecasts import FileForecast
from importing.headings import HOLDER
from importing.problems import Problem
from poolctl import errors_file, output
from poolctl.exits import Exit
from poolctl.import_journal import ImportJournal
from poolctl.import_plan import SHOWN, Plan, Survey
from poolctl.messages import language, message
from poolctl.session import Session


def report(session: Session, plan: Plan, found: Survey, journal: ImportJournal, *, resumed: bool, idle: bool) -> int:
    failed = journal.failed | found.failed
    errors_path = errors_file.write(plan.path, plan.table, plan.columns, failed) if failed else None
    if session.json:
        output.as_json({
            "rows": found.rows + len(found.mistakes), "ok": journal.ok, "failed": len(failed),
            "errors_file": None if errors_path is None else str(errors_path), "resumed": resumed,
            "already_done": resumed and idle, "import_ids": journal.import_ids, **_how(plan, found),
        })  # fmt: skip
    else:
        if idle and resumed:
            output.lines(message("imported_before"))
        _print_how(plan, found)
        output.lines(message("imported", ok=f"{journal.ok:,}", rows=f"{found.rows + len(found.mistakes):,}"))
        if errors_path is not None:
            output.lines(message("correct_errors_file", failed=f"{len(failed):,}", file=errors_path))
    return Exit.REFUSED if failed else Exit.DONE


def _how(plan: Plan, found: Survey) -> dict[str, Any]:
    """Return how the file was read, for programs."""
    table = plan.table
    warnings = [
        {"line": line, "code": each.code, "text": each.sentence(language(), options=True)}
        for line, each in found.warnings
    ]  # fmt: skip
    return {
        "encoding": table.encoding, "separator": table.delimiter, "sheet": table.sheet,
        "heading_line": table.heading_line, "left_out": plan.columns.left_out, "key": plan.key,
        "owners": _offered(plan),
        "keys": dict(found.keys), "warnings": warnings,
    }  # fmt: skip


def _print_how(plan: Plan, found: Survey) -> None:
    table = plan.table
    if table.sheet is not None:
        output.lines(message("read_sheet", sheet=table.sheet, line=table.heading_line))
    else:
        separator = message("tab") if table.delimiter == "\t" else table.delimiter
        output.lines(message("read_as", encoding=table.encoding, separator=separator, line=table.heading_line))
    if plan.columns.left_out:
        output.lines(message("columns_left_out", columns=", ".join(plan.columns.left_out)))
    if offered := _offered(plan):
        output.lines(message("owners_offered", columns=", ".join(offered)))
    for line, each in found.warnings[:SHOWN]:
        text = each.sentence(language(), options=True)
        output.lines(text if line is None else message("at_line", line=line, text=text))
    if len(found.warnings) > SHOWN:
        output.lines(message("and_more", count=f"{len(found.warnings) - SHOWN:,}"))
    if found.keys["none"]:
        output.lines(message("new_without_key", count=f"{found.keys['none']:,}"))


def _offered(plan: Plan) -> list[str]:
    """Return the headings of columns that seem to contain owners, if no column assigns customers."""
    return [] if HOLDER in plan.columns else [each.heading for each in plan.columns.columns if each.kind == HOLDER]


def report_dry_run(session: Session, plan: Plan, found: Survey, total: FileForecast) -> int:
    columns = plan.columns.described()
    refused = found.failed | {line: _refusal(each) for line, each in total.refused.items()}
    failed = dict(sorted(refused.items()))
    if session.json:
        mistakes = [{"line": line, "code": code, "text": text} for line, (code, text) in failed.items()]
        outcomes = {name: total.outcomes[name] for name in ("created", "updated", "unchanged")}
        counts = {"rows": total.ok, "failed": len(failed), **outcomes, "room": total.room, **_how(plan, found)}
        output.as_json({**counts, "columns": columns, "mistakes": mistakes, "first": found.first})
    else:
        _print_dry_run(plan, found, columns, failed)
        counted = {name: f"{total.outcomes[name]:,}" for name in ("created", "updated", "unchanged")}
        output.lines(message("import_dry_run", rows=f"{total.ok:,}", failed=f"{len(failed):,}", **counted))
    return Exit.REFUSED if failed else Exit.DONE


def _refusal(refused: Mapping[str, Any] | Problem) -> tuple[str, str]:
    """Return code and sentence of a row that the import would refuse."""
    if isinstance(refused, Problem):
        return refused.code, refused.sentence(language())
    return str(refused["code"]), str(refused["detail"])


def _print_dry_run(
    plan: Plan, found: Survey, columns: Mapping[str, str | None], failed: Mapping[int, tuple[str, str]]
) -> None:
    mapping = ((heading, target or message("left_out")) for heading, target in columns.items())
    output.print_table(output.Columns(("heading", "imported_as")), mapping)
    first = ((json.dumps(row, ensure_ascii=False),) for row in found.first[:3])
    output.print_table(output.Columns(("first",)), first)
    for line, (_, text) in list(failed.items())[:SHOWN]:
        output.lines(message("at_line", line=line, text=text))
    if len(failed) > SHOWN:
        output.lines(message("and_more", count=f"{len(failed) - SHOWN:,}"))
    _print_how(plan, found)
