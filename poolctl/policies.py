"""`poolctl policy`: the rules of a pool, shown, tried and changed under the version that was seen.

Where somebody else has changed the pool meanwhile, it is read again. If the rules in question still stand as they were
seen, the change goes on; if not, a person has to look first.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from poolctl import output
from poolctl.client import NotDone
from poolctl.commands_base import command, dry_run_option
from poolctl.exits import Ended, Exit
from poolctl.session import Session
from poolctl.words import say

LISTS = ("masked_fields", "reminders")
TRIES = 5  # each is lost to somebody who changes the same pool at the same moment


@command("policy")
@click.option("--set", "changes", multiple=True, metavar="RULE=VALUE")
@click.option("--apply-to", type=click.Choice(("new", "all")))
@click.option("--if-match", "version", type=click.IntRange(1))
@dry_run_option
def policy(session: Session, changes: tuple[str, ...], apply_to: str | None, version: int | None, dry_run: bool) -> int:
    if not changes and (apply_to or version or dry_run):
        raise Ended(Exit.USAGE, "only_set")
    wanted = dict(_rule(each) for each in changes)
    path = f"/v1/pools/{session.pool()}"
    seen = session.get(path)
    if not changes:
        _show(session, seen)
        return Exit.DONE
    body = {"policy": wanted, "apply_to": apply_to or "new", "dry_run": dry_run}
    changed = _changed(session, path, seen, body, version)
    if session.json:
        output.as_json(changed)
    else:
        was, now = seen["policy"], changed["policy"]
        output.print_table(
            output.Columns(("rule", "was", "now")), ((each, _told(was[each]), _told(now[each])) for each in wanted)
        )
        affected = changed.get("affected")
        told = say("would_rule" if dry_run else "rules", version=changed["version"])
        output.lines(told, *([] if affected is None else [say("affected", count=f"{affected:,}")]))
    return Exit.DONE


def _rule(said: str) -> tuple[str, Any]:
    """`holding_limit=5`, `cooldown=off`, `masked_fields=phone,email`, `members_may_extend=true`."""
    name, equals, text = said.partition("=")
    if not equals or not name:
        raise Ended(Exit.USAGE, "no_rule", said=said)
    if text in ("off", "null", ""):
        return name, None
    if name in LISTS and not text.startswith("["):
        return name, [each.strip() for each in text.split(",")]
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _changed(session: Session, path: str, seen: Any, body: dict[str, Any], version: int | None) -> Any:
    """The pool as it answers to the change, made under `version` or else under the one that was seen."""
    now = seen
    for _ in range(TRIES):
        try:
            return session.write("PATCH", path, body, if_match=f'"{version or now["version"]}"')
        except NotDone as refused:
            if refused.reply.status != 412:
                raise
        now = session.get(path)
        if version is not None:
            raise Ended(Exit.REFUSED, "another_version", code="version_conflict", asked=version, now=now["version"])
        if moved := [each for each in body["policy"] if seen["policy"].get(each) != now["policy"].get(each)]:
            told = ", ".join(f"{each}={_told(now['policy'].get(each))}" for each in moved)
            raise Ended(Exit.REFUSED, "rules_moved", code="version_conflict", rules=told)
        print(say("read_again", version=now["version"]), file=sys.stderr)
    raise Ended(Exit.REFUSED, "rules_unsettled", code="version_conflict")


def _show(session: Session, pool: Any) -> None:
    if session.json:
        output.as_json(pool)
        return
    output.lines(say("pool_is", name=pool["name"], status=pool["status"], version=pool["version"]))
    output.print_table(
        output.Columns(("rule", "now")), ((name, _told(value)) for name, value in pool["policy"].items())
    )


def _told(value: Any) -> str:
    return say("off") if value in (None, []) else value if isinstance(value, str) else json.dumps(value)
