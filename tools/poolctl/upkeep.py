"""`poolctl sweep` and `poolctl audit`: what an admin asks of one pool or of all, now, beside the schedule."""

from __future__ import annotations

import json
from typing import Any

import click

from tools.poolctl import showing
from tools.poolctl.asking import command, dry_run_option, pool_option
from tools.poolctl.exits import Exit
from tools.poolctl.session import Session
from tools.poolctl.words import say


@command("sweep")
@pool_option
@click.option("--confirm", is_flag=True)
@dry_run_option
def sweep(session: Session, pool: str | None, confirm: bool, dry_run: bool) -> int:
    body = {"dry_run": dry_run, "confirm": confirm} | ({"pool": pool} if pool else {})
    report = session.write("POST", "/v1/sweep", body)
    if session.json:
        showing.as_json(report)
    else:
        counts = [(say(f"sweep.{name}"), value) for name, value in report.items() if name != "unconfirmed"]
        showing.print_table(("counted", "count"), counts)
        showing.lines(*(say("unconfirmed", pool=each) for each in report["unconfirmed"]))
    return Exit.REFUSED if report["failed"] or report["unconfirmed"] else Exit.DONE


@command("audit")
@pool_option
@click.option("--repair", is_flag=True)
def audit(session: Session, pool: str | None, repair: bool) -> int:
    """Refused means: something has drifted, though it may be repaired by now, or could not be looked at."""
    report = session.write("POST", "/v1/audit", {"repair": repair} | ({"pool": pool} if pool else {}))
    if session.json:
        showing.as_json(report)
    else:
        showing.lines(*lines(report))
    return Exit.DONE if report["complete"] and not report["drifted"] else Exit.REFUSED


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
