"""Log the changes of a pool's settings and members: each entry is written in the transaction of its change (rule 17).

An entry contains only what differs. Nothing in it is about a customer.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.table import Put
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import LogEntry, Member, Pool
from chalicelib.model.times import DAY
from chalicelib.transactions.context import RequestContext

KEPT_DAYS: Final = 400
OF_MEMBER: Final = "member:"  # begins the subject of a change of a member, before the user
Settings: TypeAlias = dict[str, Any]


def of_pool(ctx: RequestContext, before: Pool, after: Pool) -> list[Put]:
    """Return the log writes of a change of the pool: one for each of name, status, policy and fields that changes."""
    author = _Author(ctx.caller.user, ctx.now, ctx.request_marker)
    return _of_pool(author, before, after)


def by_service(before: Pool, after: Pool, now: int) -> list[Put]:
    """Return the same of a change that the service makes itself."""
    return _of_pool(_Author(SYSTEM, now), before, after)


class _Author(NamedTuple):
    """The user, time and request of a change."""

    user: str
    at: int
    request_marker: str = SYSTEM


def _of_pool(author: _Author, before: Pool, after: Pool) -> list[Put]:
    changed = {what: (_settings_of_pool(before)[what], new) for what, new in _settings_of_pool(after).items()}
    return [_entry(author, after, what, old, new) for what, (old, new) in changed.items() if old != new]


def of_member(ctx: RequestContext, pool: Pool, before: Member | None, after: Member | None) -> list[Put]:
    """Return the write for a member who is put, changed or removed, if anything differs."""
    old, new = (None if member is None else _settings_of_member(member) for member in (before, after))
    member = after or before
    if member is None or old == new:
        return []
    author = _Author(ctx.caller.user, ctx.now, ctx.request_marker)
    return [_entry(author, pool, f"{OF_MEMBER}{member.user}", old, new)]


def _settings_of_pool(pool: Pool) -> dict[str, Settings]:
    """Return what the log compares. A pool that is being resumed counts as open."""
    status = "open" if pool.resumed_at is not None else pool.status
    return {
        "name": {"name": pool.name},
        "status": {"status": status, "closing": pool.closing},
        "policy": msgspec.to_builtins(pool.policy),
        "fields": {each.key: msgspec.to_builtins(each) for each in pool.fields},
    }


def _settings_of_member(member: Member) -> Settings:
    return {
        "role": member.role, "holding_limit": member.own_limit, "private_limit": member.own_private_limit,
        "takes": None if member.takes is None else member.takes.body,
    }  # fmt: skip


def _entry(author: _Author, pool: Pool, what: str, old: Settings | None, new: Settings | None) -> Put:
    if old is not None and new is not None:
        differing = {name for name in (*old, *new) if old.get(name) != new.get(name)}
        old, new = ({name: each[name] for name in each if name in differing} for each in (old, new))
    entry = LogEntry(author.at, author.user, what, old, new)
    key = keys.log_key(pool.tenant, pool.id, author.at, author.request_marker, what)
    return Put(key, pool_items.log_item(key, entry, ends=author.at + KEPT_DAYS * DAY))
