"""Add the names of users to answers: `people` beside the members of a body, `name` and `seen` in that of a member.

A GET reads the names that this process has not read within the last minute. Any other request adds the names in memory,
so that a claim stays one request. Idempotency records hold no personal data: a replayed user or member is filled in
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chalicelib.api.routing import Route
from chalicelib.model import pool_responses
from chalicelib.model.identities import SYSTEM
from chalicelib.model.responses import Body, PersonName
from chalicelib.model.users import PERSONAL, Person
from chalicelib.transactions import change_log
from chalicelib.transactions.context import RequestContext

_NAMING: Final = ("holder", "by", "user_id")  # the members of a body whose value is a user
_USERS: Final = ("affected_holders", "room")  # those that hold users, or are keyed by them
_LISTS: Final = ("items", "by_member")


def add_people(ctx: RequestContext, route: Route, body: Body) -> None:
    """Add the known attributes of the users that a body names. At most one read."""
    if route.answers is pool_responses.User and route.method != "GET":
        _fill_user(ctx, body)
    elif route.answers in (pool_responses.Member, pool_responses.MemberPage):
        _fill_members(ctx, body)
    elif not isinstance(body, dict) and hasattr(body, "people"):
        named = list(dict.fromkeys(_users_in(body)))
        if named:
            _add_names(body, _read(ctx, named) if route.method == "GET" else _at_hand(ctx, named))


def _read(ctx: RequestContext, named: list[str]) -> dict[str, Person]:
    backend = ctx.backend
    return backend.user_cache.get_many(backend.table, ctx.caller.tenant, named, ctx.now)


def _at_hand(ctx: RequestContext, named: list[str]) -> dict[str, Person]:
    return ctx.backend.user_cache.peek(ctx.caller.tenant, named, ctx.now)


def _add_names(body: Any, known: Mapping[str, Person]) -> None:
    names = {user: PersonName(person.name) for user, person in known.items() if person.name is not None}
    if names:
        body.people = names


def _users_in(body: Any) -> Iterator[str]:
    for name in _USERS:
        yield from getattr(body, name, ()) or ()  # may be UNSET
    for part in _parts(body):
        if (what := getattr(part, "what", "")).startswith(change_log.OF_MEMBER):
            yield what.removeprefix(change_log.OF_MEMBER)
        for name in _NAMING:
            user = getattr(part, name, None)
            if user is not None and user != SYSTEM:
                yield user


def _parts(body: Any) -> Iterator[Any]:
    """Yield the objects of a body that may name a user: itself, those of a list, and the customers of a batch."""
    yield body
    for name in _LISTS:
        yield from getattr(body, name, ()) or ()  # a list may be UNSET
    for entry in getattr(body, "results", ()):
        yield getattr(entry, "customer", None)


# Members and users


def _fill_members(ctx: RequestContext, body: Any) -> None:
    """Set `name` and `seen`. A cached user who has not been seen may have been meanwhile, so they are read again."""
    single = not isinstance(body, pool_responses.MemberPage)
    members = [body] if single else body.items
    users = [_get(member, "user_id") for member in members]
    cache, tenant = ctx.backend.user_cache, ctx.caller.tenant
    known = {user: person for user, person in _at_hand(ctx, users).items() if person.seen}
    known |= {user: person for user in users if (person := cache.just_read(tenant, user, ctx.now)) is not None}
    missing = [user for user in users if user not in known]
    known |= cache.read(ctx.backend.table, tenant, missing, ctx.now) if missing else {}
    for member, user in zip(members, users, strict=True):
        _set(member, "name", known[user].name)
        _set(member, "seen", known[user].seen)
    if not isinstance(body, dict):
        _add_names(body, known)


def _fill_user(ctx: RequestContext, body: Any) -> None:
    """Set the personal members, as they are now: those written by this request, or read for a replay."""
    user, cache, tenant = _get(body, "user_id"), ctx.backend.user_cache, ctx.caller.tenant
    person = cache.just_read(tenant, user, ctx.now) or cache.read(ctx.backend.table, tenant, [user], ctx.now)[user]
    for name in PERSONAL:
        _set(body, name, getattr(person, name))


def _get(part: Any, name: str) -> Any:
    return part[name] if isinstance(part, dict) else getattr(part, name)


def _set(part: Any, name: str, content: Any) -> None:
    """Set a member of a body, or of a stored one that is replayed."""
    if isinstance(part, dict):
        part[name] = content
    else:
        setattr(part, name, content)
