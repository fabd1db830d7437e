"""Everyday commands: `pools`, `mine`, `claim`, `release`, and `assign` for managers."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import click

from poolctl import output
from poolctl.client import Refused
from poolctl.commands_base import BATCH, command, ids_argument, parse_customers
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.session import Session, refusal_of

POOL: Final = output.Columns(("id", "name", "status", "version"), dropped=("version", "status"))


@command("pools")
def pools(session: Session) -> int:
    if session.pool_id is None:
        items = list(session.walk("/v1/pools"))
    else:
        items = [session.get(f"/v1/pools/{session.pool_id}")]
    if session.json:
        output.as_json({"items": items})
    else:
        output.print_table(POOL, ([each[name] for name in POOL.names] for each in items))
    return Exit.DONE


@command("mine")
@click.option("--ids", "only_ids", is_flag=True)
def mine(session: Session, only_ids: bool) -> int:
    chosen = session.chosen_pool
    # Ids need their pool only if the caller has several.
    known = session.pools() if chosen is None or only_ids else [chosen]
    several = known != [chosen] if chosen else len(known) != 1
    held = [
        each
        for pool in ([chosen] if chosen else known)
        for each in _held_in(session, pool, chosen=pool == chosen, only_claims=only_ids)
    ]
    if only_ids:
        _print_ids(session, [f"{each['pool_id']}/{each['id']}" if several else each["id"] for each in held])
    else:
        output.print_customers(session, held, pools=several)
        if not session.json and not several:
            _print_headroom(session, known[0])
    return Exit.DONE


def _held_in(session: Session, pool: str, *, chosen: bool, only_claims: bool) -> list[dict[str, Any]]:
    """Return the caller's customers in a pool; with `only_claims` only those that they claimed.

    An admin sees pools without being a member; they hold nothing there.
    """
    try:
        state = {"state": "claimed"} if only_claims else {}
        return list(session.walk(f"/v1/pools/{pool}/customers", holder="me", **state))
    except Refused as refused:
        if chosen or refused.reply.code != "not_a_member":
            raise
        return []


def _print_ids(session: Session, ids: list[str]) -> None:
    if session.json:
        output.as_json({"ids": ids})
    else:
        output.lines(*ids)


def _print_headroom(session: Session, pool: str) -> None:
    try:
        me = session.get(f"/v1/pools/{pool}/members/me")
    except Refused as refused:
        if refused.reply.code == "not_a_member":  # an admin
            return
        raise
    limit = me["holding_limit"]
    output.lines(message("no_limit" if limit is None else "headroom", held=me["held"], limit=limit))


@command("claim")
@ids_argument(required=False)
@click.option("--next", "count", type=click.IntRange(1, BATCH), metavar="N")
@click.option("--atomic", is_flag=True)
def claim(session: Session, ids: tuple[str, ...], count: int | None, atomic: bool) -> int:
    if bool(ids) == (count is not None):
        raise CommandFailed(Exit.USAGE, "ids_or_next")
    if count is None:
        return batch(session, "claim", parse_customers(session, ids), atomic=atomic)
    if atomic:
        raise CommandFailed(Exit.USAGE, "next_is_not_atomic")
    claimed = session.write("POST", f"/v1/pools/{session.pool()}/claim-next", {"count": count})
    output.print_customers(session, claimed["items"])
    return Exit.DONE


@command("release")
@ids_argument()
@click.option("--reason")
@click.option("--atomic", is_flag=True)
def release(session: Session, ids: tuple[str, ...], reason: str | None, atomic: bool) -> int:
    extra = {"reason": reason} if reason else {}
    return batch(session, "release", parse_customers(session, ids), atomic=atomic, **extra)


@command("assign")
@ids_argument()
@click.option("--to", required=True, metavar="USER")
@click.option("--transfer", "held", is_flag=True)
@click.option("--atomic", is_flag=True)
def assign(session: Session, ids: tuple[str, ...], to: str, held: bool, atomic: bool) -> int:
    return batch(session, "transfer" if held else "assign", parse_customers(session, ids), atomic=atomic, to=to)


# Batches


def batch(session: Session, verb: str, customers: list[tuple[str, str]], *, atomic: bool, **extra: str) -> int:
    """Send the verb for customers of one or several pools, at most `BATCH` per request. Return the exit code.

    Print the results in the order of `customers`. If a request fails, print the results so far and raise.
    """
    pools = list(dict.fromkeys(pool for pool, _ in customers))
    if atomic and len(pools) > 1:
        raise CommandFailed(Exit.USAGE, "atomic_in_one_pool", pools=", ".join(pools))
    if atomic and len(customers) > BATCH:
        raise CommandFailed(Exit.USAGE, "too_many_at_once", most=BATCH, count=len(customers))
    done = dict[int, dict[str, Any]]()
    try:
        for pool in pools:
            positions = [index for index, (each, _) in enumerate(customers) if each == pool]
            for chunk in _chunks(positions):
                body = {"customer_ids": [customers[index][1] for index in chunk], "atomic": atomic, **extra}
                answer = _results(session, f"/v1/pools/{pool}/{verb}", body, alone=len(pools) == 1)
                done.update(zip(chunk, ({"pool_id": pool, **each} for each in answer), strict=True))
    except BaseException:
        if done:
            output.print_results(session, _in_order(done))
        raise
    return Exit.DONE if output.print_results(session, _in_order(done)) else Exit.REFUSED


def _chunks(positions: list[int]) -> list[list[int]]:
    return [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]


def _in_order(done: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [done[index] for index in sorted(done)]


def _results(session: Session, path: str, body: dict[str, Any], *, alone: bool) -> list[dict[str, Any]]:
    """Send one request. Return a result for each id, also after a refused atomic batch.

    A pool that refuses the caller fails only its own ids, unless it is the only pool (`alone`).
    """
    try:
        return list(session.write("POST", path, body)["results"])
    except Refused as refused:
        if "results" in (refused.reply.body or {}):
            undone = {"ok": False, "code": "not_done", "detail": message("not_done")}
            return [{"id": each["id"], **undone} if each["ok"] else each for each in refused.reply.body["results"]]
        if alone or refused.reply.status not in (403, 404, 409):
            raise
        why = refusal_of(refused.reply.body)
        return [{"id": each, "ok": False, **why} for each in body["customer_ids"]]


# A request for each customer


def one_by_one(session: Session, verb: str, customers: list[tuple[str, str]], body: dict[str, Any]) -> int:
    """Send one request per customer. Print the results, also those before a request that fails, and return the code."""
    results: list[dict[str, Any]] = []
    try:
        for pool, customer in customers:
            results.append({"pool_id": pool, "id": customer, **_result(session, verb, pool, customer, body)})
    except BaseException:
        if results:
            output.print_results(session, results)
        raise
    return Exit.DONE if output.print_results(session, results) else Exit.REFUSED


def _result(session: Session, verb: str, pool: str, customer: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the result of one customer. A request that is wrong for all of them is raised."""
    try:
        done = session.write("POST", f"/v1/pools/{pool}/customers/{quote(customer, safe='')}/{verb}", body)
    except Refused as refused:
        if refused.reply.status not in (403, 404, 409):
            raise
        return {"ok": False, **refusal_of(refused.reply.body)}
    return {"ok": True, "customer": done}
