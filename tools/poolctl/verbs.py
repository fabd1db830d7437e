"""Commands of everyday: the pools, what one holds, claiming and giving back, and a manager's giving to others."""

from __future__ import annotations

from typing import Any

import click

from tools.client import NotDone
from tools.poolctl import showing
from tools.poolctl.asking import BATCH, command, ids_argument, named, pool_option
from tools.poolctl.exits import Ended, Exit
from tools.poolctl.session import Session
from tools.poolctl.words import say


@command("pools")
def pools(session: Session) -> int:
    items = list(session.walk("/v1/pools"))
    if session.json:
        showing.as_json({"items": items})
    else:
        columns = ("id", "name", "status", "version")
        showing.print_table(columns, ([each[name] for name in columns] for each in items))
    return Exit.DONE


@command("mine")
@pool_option
@click.option("--ids", "only_ids", is_flag=True)
def mine(session: Session, pool: str | None, only_ids: bool) -> int:
    known = [pool] if pool else [each["id"] for each in session.walk("/v1/pools")]
    held = [each for name in known for each in _held_in(session, name, asked=name == pool)]
    if only_ids:
        showing.lines(*(each["id"] for each in held))
    elif session.json or len(known) != 1:
        showing.customers(session, held)
    else:
        showing.customers(session, held)
        me = session.get(f"/v1/pools/{known[0]}/members/me")
        showing.lines(f"{me['held']}/{'∞' if me['holding_limit'] is None else me['holding_limit']}")
    return Exit.DONE


def _held_in(session: Session, pool: str, *, asked: bool) -> list[dict[str, Any]]:
    """An admin sees pools of which they are no member; there they hold nothing."""
    try:
        return list(session.walk(f"/v1/pools/{pool}/customers", holder="me"))
    except NotDone as refused:
        if asked or refused.reply.code != "not_a_member":
            raise
        return []


@command("claim")
@click.argument("ids", nargs=-1)
@pool_option
@click.option("--next", "count", type=click.IntRange(1, BATCH))
@click.option("--atomic", is_flag=True)
def claim(session: Session, ids: tuple[str, ...], pool: str | None, count: int | None, atomic: bool) -> int:
    if bool(ids) == bool(count):
        raise Ended(Exit.USAGE, "ids_or_next")
    if count is None:
        return _batch(session, session.pool(pool), "claim", named(ids), atomic=atomic)
    taken = session.write("POST", f"/v1/pools/{session.pool(pool)}/claim-next", {"count": count})
    showing.customers(session, taken["items"])
    return Exit.DONE


@command("release")
@ids_argument
@pool_option
@click.option("--reason")
@click.option("--atomic", is_flag=True)
def release(session: Session, ids: tuple[str, ...], pool: str | None, reason: str | None, atomic: bool) -> int:
    said = {"reason": reason} if reason else {}
    return _batch(session, session.pool(pool), "release", named(ids), atomic=atomic, **said)


@command("assign")
@ids_argument
@pool_option
@click.option("--to", required=True)
@click.option("--transfer", "held", is_flag=True)
@click.option("--atomic", is_flag=True)
def assign(session: Session, ids: tuple[str, ...], pool: str | None, to: str, held: bool, atomic: bool) -> int:
    return _batch(session, session.pool(pool), "transfer" if held else "assign", named(ids), atomic=atomic, to=to)


def _batch(session: Session, pool: str, verb: str, ids: list[str], *, atomic: bool, **said: str) -> int:
    """The verb on all of them, so many at a time. What is done is shown even if the service fails on the way."""
    if atomic and len(ids) > BATCH:
        raise Ended(Exit.USAGE, "too_many_at_once", most=BATCH)
    done = list[dict[str, Any]]()
    try:
        for start in range(0, len(ids), BATCH):
            body = {"customer_ids": ids[start : start + BATCH], "atomic": atomic, **said}
            done += _results(session, f"/v1/pools/{pool}/{verb}", body)
    except BaseException:
        if done:
            showing.results(session, done)
        raise
    return Exit.DONE if showing.results(session, done) else Exit.REFUSED


def _results(session: Session, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each id. An atomic batch that is refused as a whole says which of them was in the way."""
    try:
        return list(session.write("POST", path, body)["results"])
    except NotDone as refused:
        if "results" not in (refused.reply.body or {}):
            raise
        undone = {"ok": False, "code": "not_done", "detail": say("not_done")}
        return [{"id": each["id"], **undone} if each["ok"] else each for each in refused.reply.body["results"]]
