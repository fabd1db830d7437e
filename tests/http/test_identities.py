"""Users whose subject is not an id: requests name them by subject or by id."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import jwt
import pytest

from chalicelib.model.identities import user_named, user_of
from poolctl.local_keys import LocalKeys
from tests.support.every_route import assert_problem
from tests.support.world import HOUR, User, World
from tools.problems import Unusable

SUBJECTS = [
    "auth0|5f7c/8ec7",
    "abc@clients",
    "f:0b1c-77:alice",
    "zhang.san@corp",
    "张 三;?#",
    "u_bob",
    "x" * 65,
    "..",
    "%41",
]


def expected_id(subject: str) -> str:
    return "u_" + base64.b32encode(hashlib.sha256(subject.encode()).digest()).decode("ascii")[:26].lower()


def user_with_subject(world: World, subject: str) -> User:
    """Return a client with a token of that subject."""
    return world.user(user_of(subject))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_member_added_by_subject_is_read_and_removed_by_subject_or_id(world: World, subject: str) -> None:
    mona = world.pool()
    user = expected_id(subject)

    made = mona.put(f"/members/{quote(subject, safe='')}", {"role": "member"})
    own = user_with_subject(world, subject).get("/members/me")
    by_id = mona.get(f"/members/{user}")
    by_subject = mona.get(f"/members/{quote(subject, safe='')}")
    removed = mona.delete(f"/members/{quote(subject, safe='')}")

    assert made.json["user_id"] == user
    assert own.json == by_id.json == by_subject.json
    assert removed.json == {"pool_id": "p", "user_id": user}
    assert mona.get(f"/members/{user}").status == 404


@pytest.mark.parametrize("named", ["auth0|erin", expected_id("auth0|erin")], ids=["subject", "id"])
def test_every_request_that_names_a_user_accepts_subject_and_id(world: World, named: str) -> None:
    mona = world.pool(members="alice")
    erin = expected_id("auth0|erin")
    mona.put(f"/members/{quote(named)}", {"role": "member"})
    world.fill(6)
    world.alice.claim_batch(["c2", "c4"])

    given = [
        mona.post("/customers/c1/assign", {"to": named}).json,
        mona.post("/customers/c2/transfer", {"to": named}).json,
        mona.post("/assign", {"customer_ids": ["c3"], "to": named}).json["results"][0]["customer"],
        mona.post("/transfer", {"customer_ids": ["c4"], "to": named}).json["results"][0]["customer"],
        mona.post("/customers/c5/convert", {"to": named}).json,
        mona.post("/convert", {"customer_ids": ["c6"], "to": named}).json["results"][0]["customer"],
    ]

    assert [each["holder"] for each in given] == [erin] * 6
    assert len(mona.walk(f"/customers?holder={quote(named)}")) == 6
    assert len(user_with_subject(world, "auth0|erin").walk("/customers?holder=me")) == 6


def test_a_user_whose_subject_is_me_can_be_a_member(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    user = expected_id("me")

    mona.put(f"/members/{user}", {"role": "member"})
    claimed = user_with_subject(world, "me").claim("c1").json

    assert claimed["holder"] == user_with_subject(world, "me").get("/members/me").json["user_id"] == user
    assert mona.get("/members/me").json["user_id"] == "mona"
    assert mona.put("/members/me", {"role": "member"}).status == 404


def test_a_user_whose_subject_is_system_is_not_the_scheduler(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", customers=1)

    mona.put("/members/system", {"role": "member"})
    user_with_subject(world, "system").claim("c1")
    world.clock.forward(HOUR)
    world.sweep()

    assert [event["by"] for event in mona.get("/customers/c1/history").json["items"]] == [
        "mona", expected_id("system"), "system",
    ]  # fmt: skip


@pytest.mark.parametrize("named", ["auth0|erin", expected_id("auth0|erin")], ids=["subject", "id"])
def test_customers_of_a_removed_member_go_to_the_user_in_the_query(world: World, named: str) -> None:
    mona = world.pool(members="alice")
    mona.put(f"/members/{expected_id('auth0|erin')}", {"role": "member"})
    world.fill(1)
    world.alice.claim("c1")

    removed = mona.delete(f"/members/alice?held=transfer&to={quote(named)}")

    assert removed.status == 200
    assert mona.customer("c1")["holder"] == expected_id("auth0|erin")


def test_an_idempotency_key_treats_subject_and_id_as_one_user(world: World) -> None:
    mona = world.pool()
    subject, user = quote("auth0|erin", safe=""), expected_id("auth0|erin")

    first = mona.put(f"/members/{subject}", {"role": "member"}, idempotency_key="k1")
    again = mona.put(f"/members/{user}", {"role": "member"}, idempotency_key="k1")

    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_subject_equal_to_the_id_of_another_user_names_a_different_user() -> None:
    erin = expected_id("auth0|erin")

    impostor = user_of(erin)

    assert user_named(erin) == erin
    assert impostor == expected_id(erin) != erin


@pytest.mark.parametrize(
    "named", ["", "a\n", "\x00", "a\x7f", "\x85", "x" * 1_025, 7, None, ["alice"], {"id": "alice"}]
)
def test_an_invalid_user_in_a_body_is_rejected(no_store: World, named: object) -> None:

    for path in ("/customers/c1/assign", "/customers/c1/transfer", "/assign", "/transfer"):
        ids = {} if "customers" in path else {"customer_ids": ["c1"]}
        assert_problem(no_store.mona.post(path, ids | {"to": named}), 422, "invalid_request", path)
    for path, ids in (("/customers/c1/convert", {}), ("/convert", {"customer_ids": ["c1"]})):
        if named is not None:
            assert_problem(no_store.mona.post(path, ids | {"to": named}), 422, "invalid_request", path)


@pytest.mark.parametrize("named", ["", "a%0A", "%00", "x" * 1_025])
def test_an_invalid_user_in_a_query_is_rejected(no_store: World, named: str) -> None:

    for query in (f"/customers?holder={named}", f"/members/alice?held=transfer&to={named}"):
        method = "GET" if "holder" in query else "DELETE"
        assert_problem(no_store.mona.request(method, f"/v1/pools/p{query}"), 422, "invalid_request", query)


def test_a_local_token_carries_any_subject_unchanged(tmp_path: object) -> None:
    keys = LocalKeys(tmp_path).ensure()  # type: ignore[arg-type]

    for subject in SUBJECTS:
        assert jwt.decode(keys.token(subject), options={"verify_signature": False})["sub"] == subject
    for nobody in ("", "\udcff"):
        with pytest.raises(Unusable, match="is not valid"):
            keys.token(nobody)
