"""Damaged and forged cursors: the list continues as intended or returns `invalid_cursor`, and shows no foreign data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from chalicelib.dynamodb.keys import NO_DEADLINE
from chalicelib.model.errors import Refused
from chalicelib.model.model import Pool
from chalicelib.model.policy import Policy
from chalicelib.services.pagination import CursorCodec
from tests.conftest import new_table
from tests.support.canaries import FIELDS, NAME
from tests.support.every_route import LISTS, named
from tests.support.world import KEY_SECRET, Reply, User, World, find

OURS = {
    "/v1/pools": CursorCodec(KEY_SECRET, "T#main#POOLS"),
    "/v1/pools/p/members": CursorCodec(KEY_SECRET, "T#main#P#p#M"),
    "/v1/pools/p/members?sort=-held": CursorCodec(KEY_SECRET, "T#main#P#p#M", "-held"),
    "/v1/pools/p/members?sort=name": CursorCodec(KEY_SECRET, "T#main#P#p#M", "name"),
    "/v1/pools/p/customers": CursorCodec(KEY_SECRET, "T#main#P#p#C", "None", "None", "None"),
    "/v1/pools/p/customers?state=available": CursorCodec(KEY_SECRET, "T#main#P#p#A", "available", "None", "None"),
    "/v1/pools/p/customers?state=claimed": CursorCodec(KEY_SECRET, "T#main#P#p#D", "claimed", "None", "None"),
    "/v1/pools/p/customers?holder=alice": CursorCodec(KEY_SECRET, "T#main#P#p#H#alice", "None", "alice", "None"),
    "/v1/pools/p/customers?name=zhang": CursorCodec(KEY_SECRET, "T#main#P#p#N", "None", "None", "zhang"),
    "/v1/pools/p/erased": CursorCodec(KEY_SECRET, "T#main#P#p#E"),
    "/v1/pools/p/imports": CursorCodec(KEY_SECRET, "T#main#P#p#I"),
    "/v1/pools/p/customers/c1/history": CursorCodec(KEY_SECRET, "T#main#P#p#C#c1", "history"),
    "/v1/me/customers": CursorCodec(KEY_SECRET, "T#main#USERS", "mona", "None", "expires_at"),
    "/v1/me/customers?sort=name": CursorCodec(KEY_SECRET, "T#main#USERS", "mona", "None", "name"),
    "/v1/pools/p/log": CursorCodec(KEY_SECRET, "T#main#P#p#L", "None", "None"),
    "/v1/users": CursorCodec(KEY_SECRET, "T#main#USERS"),
}
WRONG = ["", "A", "-", "%00", "%C3%A9", "%2B", "%3D", "%25"]  # in the place of one byte
FEW = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def mona(ministack: str) -> User:
    """Create lists of several pages in our pools p and q, and in another tenant's p, whose names are marked."""
    world = World(new_table(ministack))
    for pool, tenant, prefix in (("p", "main", "c"), ("q", "main", "other"), ("p", "acme", "foreign")):
        manager = world.pool(pool, tenant, claim_ttl="P7D")
        for number in range(1, 9):
            manager.create(f"{prefix}{number}", name=f"{NAME} {number}", fields=FIELDS, on_duplicate="allow")
        for user, ids in (("alice", (1, 2)), ("mona", (3, 4))):
            someone = world.user(user, tenant=tenant, pool=pool)
            someone.claim_batch([f"{prefix}{number}" for number in ids])
            someone.request("GET", "/v1/me")
        for _ in range(2):
            manager.post("/import", {"rows": [{"id": f"{prefix}5", "name": NAME}], "on_duplicate": "skip"})
        erased = {"customer_ids": [f"{prefix}6", f"{prefix}7"], "reason": "requested"}
        assert manager.post("/erase", erased).results == ["ok", "ok"]
    return world.user("mona")


def reader(mona: User, path: str) -> User:
    """Only an admin lists users."""
    return mona.world.user("root", admin=True, tenant=mona.caller.tenant) if path == "/v1/users" else mona


def listed(mona: User, path: str, cursor: str) -> Reply:
    return reader(mona, path).request("GET", f"{path}{'&' if '?' in path else '?'}limit=1&cursor={cursor}")


def cursor_of(mona: User, path: str) -> str:
    return str(reader(mona, path).request("GET", f"{path}{'&' if '?' in path else '?'}limit=1").json["next_cursor"])


def altered(cursor: str) -> Iterator[str]:
    """That cursor with each of its bytes left out, doubled, or replaced by some that do not belong there."""
    for at, byte in enumerate(cursor):
        for other in {*WRONG, byte * 2, chr(ord(byte) ^ 1), byte.swapcase()} - {byte}:
            yield cursor[:at] + (other if len(other) != 1 else quote(other)) + cursor[at + 1 :]


def test_every_kind_of_list_is_covered_by_the_cursor_tests() -> None:
    assert {named(find("GET", path.partition("?")[0])[0]) for path in OURS} == {named(route) for route in LISTS}


@pytest.mark.parametrize("path", OURS)
def test_a_cursor_with_any_byte_altered_is_refused(mona: User, path: str) -> None:
    cursor = cursor_of(mona, path)
    assert listed(mona, path, cursor).status == 200

    for text in altered(cursor):
        reply = listed(mona, path, text)
        assert (reply.status, reply.json.get("code")) == (400, "invalid_cursor"), f"{text}: {reply.text}"


@pytest.mark.parametrize("path", OURS)
def test_no_list_accepts_the_cursor_of_another_list_pool_or_tenant(mona: User, path: str) -> None:
    theirs = [User(mona.world, mona.caller, "q"), mona.world.user("mona", tenant="acme")]
    foreign = [cursor_of(mona, each) for each in OURS if each != path]
    foreign += [cursor_of(who, path.replace("/p/", f"/{who.pool}/").replace("c1", name)) for who, name in
                zip(theirs, ("other1", "foreign1"), strict=True) if "/p/" in path]  # fmt: skip

    for cursor in foreign:
        assert listed(mona, path, cursor).json.get("code") == "invalid_cursor"


POSITIONS = st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["c1", "foreign1", "p", "bob"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize("path", OURS)
@FEW
@given(position=POSITIONS)
@example(position="")
@example(position="x" * 300)
@example(position="\x00")
@example(position="a#b")
@example(position=["c1", None])
@example(position=["foreign1", 1])
@example(position=["c1", "zhang"])
@example(position=["c1", -(10**17)])
@example(position=2**62)
def test_a_forged_cursor_gets_no_5xx_and_shows_no_foreign_data(mona: User, path: str, position: Any) -> None:
    reply = listed(mona, path, OURS[path].write(position))

    assert reply.status in (200, 400), f"{position!r}: {reply.text}"
    assert reply.status == 200 or reply.code == "invalid_cursor"
    assert "foreign" not in reply.text and "other" not in reply.text


def test_a_position_outside_the_ranks_of_its_state_is_rejected(no_store: World) -> None:
    """DynamoDB rejects a start that is outside the queried range."""
    for state, rank in (("claimed", NO_DEADLINE + 1), ("private", NO_DEADLINE), ("None", -1), ("None", 10**18)):
        cursor = CursorCodec(KEY_SECRET, "T#main#USERS", "mona", state, "expires_at").write((rank, "p", "c1"))
        query = "" if state == "None" else f"&state={state}"
        assert no_store.mona.request("GET", f"/v1/me/customers?cursor={cursor}{query}").code == "invalid_cursor"


@pytest.mark.parametrize("path", ["/v1/pools", "/v1/pools/p/members"])
def test_a_cursor_with_an_impossible_position_is_rejected(no_store: World, path: str) -> None:
    """DynamoDB rejects an empty or oversized key, which the client would see as unavailable."""
    alice = no_store.user("alice")
    now = no_store.clock()
    known = Pool("main", "p", "P", "open", Policy(), 1, now, now)
    no_store.service.backend.pools["main", "p"] = (now, known)

    for place in ("", "x" * 65, "a#b", "\x00", "é"):
        assert listed(alice, path, OURS[path].write(place)).json.get("code") == "invalid_cursor", place


# The reader


@given(st.text(max_size=600) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
@example("\ud800")
@example("é")
@example("A" * 513)
def test_the_cursor_reader_rejects_every_text_it_did_not_write(text: str) -> None:
    with pytest.raises(Refused) as refused:
        CursorCodec(KEY_SECRET, "a list").read(text, tuple[str, int | str | None])

    assert refused.value.refusal.reason == "invalid_cursor"


@given(st.tuples(st.text(max_size=60), st.integers(-(10**17), 10**17) | st.none()), st.text(), st.text())
def test_a_cursor_is_read_back_only_by_its_own_list(position: tuple[str, int | None], scope: str, other: str) -> None:
    cursor = CursorCodec(KEY_SECRET, scope).write(position)

    assert CursorCodec(KEY_SECRET, scope).read(cursor, tuple[str, int | None]) == position
    if scope != other:
        with pytest.raises(Refused):
            CursorCodec(KEY_SECRET, other).read(cursor, tuple[str, int | None])
