"""`poolctl sweep` and `poolctl audit`: what an admin asks of one pool or of all, now, beside the schedule."""

from __future__ import annotations

import json
from typing import Any

import click

from poolctl import output
from poolctl.commands_base import command, dry_run_option
from poolctl.exits import Exit
from poolctl.session import Session
from poolctl.words import WORDS, say


@command("sweep")
@click.option("--confirm", is_flag=True)
@dry_run_option
def sweep(session: Session, confirm: bool, dry_run: bool) -> int:
    report = session.write("POST", "/v1/sweep", {"dry_run": dry_run, "confirm": confirm} | _of_one_pool(session))
    if session.json:
        output.as_json(report)
    else:
        unconfirmed = [say("unconfirmed", pool=each) for each in report["unconfirmed"]]
        counts = [(say(f"sweep.{name}"), value) for name, value in report.items() if f"sweep.{name}" in WORDS]
        output.print_table(output.Columns(("counted", "count")), counts)
        output.lines(*unconfirmed)
    return Exit.REFUSED if report["failed"] or report["unconfirmed"] else Exit.DONE


@command("audit")
@click.option("--repair", is_flag=True)
def audit(session: Session, repair: bool) -> int:
    """Refused means: something has drifted, though it may be repaired by now, or could not be looked at."""
    report = session.write("POST", "/v1/audit", {"repair": repair} | _of_one_pool(session))
    if session.json:
        output.as_json(report)
    else:
        output.lines(*lines(report))
    return Exit.DONE if report["complete"] and not report["drifted"] else Exit.REFUSED


def _of_one_pool(session: Session) -> dict[str, str]:
    """Nothing, where no pool is chosen: all pools are meant."""
    return {"pool": session.chosen_pool} if session.chosen_pool else {}


def lines(report: dict[str, Any]) -> list[str]:
    """The report for a person to read."""
    told = [say("audited", customers=f"{report['customers']:,}", members=f"{report['members']:,}")]
    told += [_line(each) for each in report["drift"]]
    if more := report["drifted"] - len(report["drift"]):
        told.append(say("and_more", count=f"{more:,}"))
    told += [say("unsettled", what=each) for each in report["unsettled"]]
    told += [say("no_time", pool=each) for each in report["remaining"]]
    return [*told, say("drifted", count=f"{report['drifted']:,}", repaired=f"{report['repaired']:,}")]


def _line(drift: dict[str, Any]) -> str:
    expected, found = (json.dumps(drift[name], ensure_ascii=False) for name in ("expected", "found"))
    what = {name: drift[name] for name in ("kind", "pool", "id")}
    return say("drift_repaired" if drift["repaired"] else "drift", expected=expected, found=found, **what)
