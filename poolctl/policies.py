"""`poolctl policy`: show the rules of a pool, or change them with If-Match on the version that was read.

After a version conflict the pool is read again. The change is retried only if nobody changed the same rules.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from poolctl import output
from poolctl.client import Refused
from poolctl.commands_base import command, dry_run_option
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.session import Session

LISTS = ("masked_fields", "reminders")
TRIES = 5  # each attempt loses to a concurrent change of the pool


@command("policy")
@click.option("--set", "changes", multiple=True, metavar="RULE=VALUE")
@click.option("--apply-to", type=click.Choice(("new", "all")))
@click.option("--if-match", "version", type=click.IntRange(1))
@dry_run_option
def policy(session: Session, changes: tuple[str, ...], apply_to: str | None, version: int | None, dry_run: bool) -> int:
    if not changes and (apply_to or version or dry_run):
        raise CommandFailed(Exit.USAGE, "only_set")
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
        before, now = seen["policy"], changed["policy"]
        rows = ((each, _format(before[each]), _format(now[each])) for each in wanted)
        output.print_table(output.Columns(("rule", "before", "now")), rows)
        affected = changed.get("affected")
        summary = message("policy_dry_run" if dry_run else "policy_changed", version=changed["version"])
        output.lines(summary, *([] if affected is None else [message("affected", count=f"{affected:,}")]))
    return Exit.DONE


def _rule(text: str) -> tuple[str, Any]:
    """Parse a rule: `holding_limit=5`, `cooldown=off`, `masked_fields=phone,email`, `members_may_extend=true`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandFailed(Exit.USAGE, "no_rule", value=text)
    if value in ("off", "null", ""):
        return name, None
    if name in LISTS and not value.startswith("["):
        return name, [each.strip() for each in value.split(",")]
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _changed(session: Session, path: str, seen: Any, body: dict[str, Any], version: int | None) -> Any:
    """Change the pool at `version`, or else at the version that was read. Return the response."""
    now = seen
    for _ in range(TRIES):
        try:
            return session.write("PATCH", path, body, if_match=f'"{version or now["version"]}"')
        except Refused as refused:
            if refused.reply.status != 412:
                raise
        now = session.get(path)
        if version is not None:
            raise CommandFailed(
                Exit.REFUSED, "another_version", code="version_conflict", expected=version, now=now["version"]
            )
        if moved := [each for each in body["policy"] if seen["policy"].get(each) != now["policy"].get(each)]:
            rules = ", ".join(f"{each}={_format(now['policy'].get(each))}" for each in moved)
            raise CommandFailed(Exit.REFUSED, "rules_changed", code="version_conflict", rules=rules)
        print(message("read_again", version=now["version"]), file=sys.stderr)
    raise CommandFailed(Exit.REFUSED, "pool_keeps_changing", code="version_conflict")


def _show(session: Session, pool: Any) -> None:
    if session.json:
        output.as_json(pool)
        return
    output.lines(message("pool_is", name=pool["name"], status=pool["status"], version=pool["version"]))
    output.print_table(
        output.Columns(("rule", "now")), ((name, _format(value)) for name, value in pool["policy"].items())
    )


def _format(value: Any) -> str:
    return message("off") if value in (None, []) else value if isinstance(value, str) else json.dumps(value)
