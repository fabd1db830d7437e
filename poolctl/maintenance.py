"""`poolctl sweep` and `poolctl audit`: run the sweep or the audit now, for one pool or for all (admins)."""

from __future__ import annotations

import json
from typing import Any

import click

from poolctl import output
from poolctl.commands_base import command, dry_run_option
from poolctl.exits import Exit
from poolctl.messages import has_message, message
from poolctl.session import Session


@command("sweep")
@click.option("--confirm", is_flag=True)
@dry_run_option
def sweep(session: Session, confirm: bool, dry_run: bool) -> int:
    report = session.write("POST", "/v1/sweep", {"dry_run": dry_run, "confirm": confirm} | _pool_parameter(session))
    if session.json:
        output.as_json(report)
    else:
        unconfirmed = [message("unconfirmed", pool=each) for each in report["unconfirmed"]]
        counts = [(message(f"sweep.{name}"), value) for name, value in report.items() if has_message(f"sweep.{name}")]
        output.print_table(output.Columns(("counter", "count")), counts)
        output.lines(*unconfirmed)
    return Exit.REFUSED if report["failed"] or report["unconfirmed"] else Exit.DONE


@command("audit")
@click.option("--repair", is_flag=True)
def audit(session: Session, repair: bool) -> int:
    """Return REFUSED if anything has drifted, even if it was repaired, or could not be audited."""
    report = session.write("POST", "/v1/audit", {"repair": repair} | _pool_parameter(session))
    if session.json:
        output.as_json(report)
    else:
        output.lines(*lines(report))
    return Exit.DONE if report["complete"] and not report["drifted"] else Exit.REFUSED


def _pool_parameter(session: Session) -> dict[str, str]:
    """Return the parameter for the chosen pool, or nothing: all pools."""
    return {"pool": session.chosen_pool} if session.chosen_pool else {}


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report as lines of text."""
    text = [message("audited", customers=f"{report['customers']:,}", members=f"{report['members']:,}")]
    text += [_line(each) for each in report["drift"]]
    if more := report["drifted"] - len(report["drift"]):
        text.append(message("and_more", count=f"{more:,}"))
    text += [message("unsettled", what=each) for each in report["unsettled"]]
    text += [message("audit_incomplete", pool=each) for each in report["remaining"]]
    return [*text, message("drifted", count=f"{report['drifted']:,}", repaired=f"{report['repaired']:,}")]


def _line(drift: dict[str, Any]) -> str:
    expected, found = (json.dumps(drift[name], ensure_ascii=False) for name in ("expected", "found"))
    what = {name: drift[name] for name in ("kind", "pool", "id")}
    return message("drift_repaired" if drift["repaired"] else "drift", expected=expected, found=found, **what)
