"""Find the members whom an import names as holders: by user id or subject, by e-mail address, or by name."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import ROSTER
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ
from chalicelib.model.identities import CALLER, user_named
from chalicelib.model.model import Pool
from chalicelib.model.normalization import fold_name
from chalicelib.model.users import Person
from chalicelib.services.pools import require_manager
from chalicelib.transactions.context import RequestContext

MAX_MEMBERS: Final = 1_000  # whose names and addresses are compared; more members are named by id


def members_named(ctx: RequestContext, pool: Pool, texts: Iterable[str]) -> dict[str, str | None]:
    """Return the member that each text names, None for no member or several. Raises Refused unless the caller manages.

    One read, unless a text is no id of a member: then the roster and the users of the pool are read too.
    """
    named = {text: user for text in texts if (user := _user_of(ctx, text)) is not None}
    wanted = {text: keys.member_key(pool.tenant, pool.id, user) for text, user in named.items()}
    found = ctx.backend.table.get([ctx.actor(pool).member_key, *wanted.values()])
    require_manager(ctx, pool, found)
    members: dict[str, str | None] = {text: user for text, user in named.items() if wanted[text] in found}
    others = [text for text in texts if text not in members]
    people = list(_people(ctx, pool)) if others else []
    return members | {text: _only([each.id for each in people if _is_named(each, text)]) for text in others}


def _user_of(ctx: RequestContext, text: str) -> str | None:
    try:
        user = user_named(text)
    except ValueError:
        return None
    return ctx.caller.user if user == CALLER else user


def _people(ctx: RequestContext, pool: Pool) -> Iterable[Person]:
    """Yield the members of the pool, as users with a name and an address."""
    backend, roster = ctx.backend, keys.member_roster(pool.tenant, pool.id)
    pages = backend.table.pages(roster, index=ROSTER)
    members = list(islice((keys.id_from_pk(key.pk) for page in pages for key in page.keys), MAX_MEMBERS))
    for start in range(0, len(members), MAX_KEYS_PER_READ):
        batch = members[start : start + MAX_KEYS_PER_READ]
        yield from backend.user_cache.get_many(backend.table, pool.tenant, batch, ctx.now).values()


def _is_named(person: Person, text: str) -> bool:
    return any(own is not None and fold_name(own) == fold_name(text) for own in (person.name, person.email))


def _only(users: list[str]) -> str | None:
    return users[0] if len(users) == 1 else None
