"""Users: what their tokens and admins state about them, where names appear, and what a user has in all their pools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from chalicelib.model.users import Profile
from chalicelib.transactions.context import Caller
from tests.support.canaries import EMAIL, NAME, LogCapture
from tests.support.dynamodb_calls import Crash, counted, failing, interrupted
from tests.support.every_route import assert_problem
from tests.support.world import DAY, HOUR, MINUTE, Reply, User, World, everything

ALICE = {"name": "陈 Alice", "email": "alice@example.com", "department": "Sales & Südwest"}
NOTHING = {"name": None, "email": None, "department": None}


def signed_in(world: World, user: str = "alice", /, *, tenant: str = "main", **claims: str) -> User:
    """A client whose token has these claims."""
    return User(world, Caller(tenant, user, False, Profile(**claims)))


def me(user: User) -> Any:
    reply = user.request("GET", "/v1/me")
    assert reply.status == 200, reply.text
    return reply.json


def put_user(user: User, name: str, body: Any, **headers: str) -> Reply:
    return user.request("PUT", f"/v1/users/{name}", body, **headers)


def pages(user: User, path: str, limit: int, query: str = "") -> Iterator[Any]:
    """The items of all pages of a list."""
    cursor: str | None = ""
    while cursor is not None:
        page = user.request("GET", f"{path}?limit={limit}{query}{cursor and f'&cursor={cursor}'}").json
        assert len(page["items"]) <= limit
        yield from page["items"]
        cursor = page["next_cursor"]


def personal(body: Any) -> Any:
    return {name: body[name] for name in NOTHING}


# GET /me


def test_me_stores_and_returns_what_the_token_states(world: World) -> None:
    world.pool()

    first = signed_in(world, **ALICE).request("GET", "/v1/me")
    later = me(signed_in(world))

    assert first.json == later == {
        "user_id": "alice", **ALICE, "seen": True, "left": False, "version": 1, "admin": False,
        "pools": [{"id": "p", "name": "P", "status": "open", "role": "member"}],
    }  # fmt: skip
    assert first.headers["ETag"] == '"1"'


def test_me_stores_only_claims_that_differ(world: World) -> None:
    me(signed_in(world, **ALICE))

    with counted(world) as unchanged:
        me(signed_in(world, **ALICE))
    moved = me(signed_in(world, department="Support"))

    assert "TransactWriteItems" not in unchanged
    assert personal(moved) == ALICE | {"department": "Support"}
    assert moved["version"] == 2


def test_me_lists_the_pools_of_the_caller_with_the_role_in_each(world: World) -> None:
    world.pool("p")
    world.pool("q", members="bob")
    world.pool("r", members="quinn")
    world.root.request("PUT", "/v1/pools/q/members/alice", {"role": "manager"})
    world.root.request("POST", "/v1/pools/q/pause")

    assert [(each["id"], each["role"], each["status"]) for each in me(world.alice)["pools"]] == [
        ("p", "member", "open"), ("q", "manager", "paused"),
    ]  # fmt: skip
    assert [each["id"] for each in me(world.mona)["pools"]] == ["p", "q", "r"]


def test_me_works_without_a_pool_and_names_an_admin(world: World) -> None:
    assert me(world.alice) == {
        "user_id": "alice", **NOTHING, "seen": True, "left": False, "version": 1, "admin": False, "pools": [],
    }  # fmt: skip
    assert me(world.root)["admin"] is True


def test_concurrent_calls_of_me_store_the_user_once(memory_world: World) -> None:
    alice = signed_in(memory_world, **ALICE)

    with interrupted(memory_world, "TransactWriteItems", lambda: me(alice)):
        mine = me(alice)

    assert personal(mine) == ALICE and mine["version"] == 1


def test_a_malformed_pool_does_not_stop_me(memory_world: World) -> None:
    memory_world.pool("p")
    memory_world.pool("q")
    memory_world.table.connection.items["T#main#POOLS", "p"]["policy"] = {"S": "{"}  # type: ignore[attr-defined]

    assert [each["id"] for each in me(memory_world.alice)["pools"]] == ["q"]
    del memory_world.table.connection.items["T#main#POOLS", "p"]  # type: ignore[attr-defined]


# Admins


def test_what_an_admin_sets_wins_over_every_token(world: World) -> None:
    me(signed_in(world, **ALICE))

    put = put_user(world.root, "alice", {"name": "Alice Chen"})
    mine = me(signed_in(world, name="A. Chen", department="Support"))

    assert put.json == {"user_id": "alice", **ALICE, "name": "Alice Chen", "seen": True, "left": False, "version": 2}
    assert personal(mine) == {"name": "Alice Chen", "email": "alice@example.com", "department": "Support"}


def test_null_empties_a_member_and_returns_it_to_the_token(world: World) -> None:
    put_user(world.root, "alice", {"name": "Alice Chen", "department": "Sales"})

    emptied = put_user(world.root, "alice", {"name": None}).json
    mine = me(signed_in(world, **ALICE))

    assert personal(emptied) == NOTHING | {"department": "Sales"}
    assert personal(mine) == ALICE | {"department": "Sales"}


def test_a_forgotten_user_stays_empty_whatever_the_token_states(world: World) -> None:
    world.pool()
    me(signed_in(world, **ALICE))

    forgotten = put_user(world.root, "alice", {"forget": True}).json
    mine = me(signed_in(world, **ALICE))

    assert personal(forgotten) == personal(mine) == NOTHING
    assert forgotten["seen"] is True
    stored = json.dumps(list(everything(world.table)), default=str, ensure_ascii=False)
    assert [text for text in ALICE.values() if text in stored] == []


def test_an_admin_names_a_user_who_has_never_called_me(world: World) -> None:
    mona = world.pool()

    put = put_user(world.root, "bob", {"name": "Bob Li"}).json

    assert (put["name"], put["seen"], put["version"]) == ("Bob Li", False, 1)
    member = mona.get("/members/bob").json
    assert (member["name"], member["seen"]) == ("Bob Li", False)


def test_a_user_is_put_by_subject_or_by_id(world: World) -> None:
    by_subject = put_user(world.root, quote("auth0|erin", safe=""), {"name": "Erin"}).json

    again = put_user(world.root, by_subject["user_id"], {"department": "Sales"}).json

    assert personal(again) == NOTHING | {"name": "Erin", "department": "Sales"}
    assert put_user(world.root, "me", {"name": "Erin"}).code == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""}, {"name": "\u3164"}, {"name": "a\u202eb"}, {"name": "x" * 201}, {"name": 7}, {"email": "none"},
        {"email": ""}, {"email": "a@b.c" + "x" * 250}, {"department": "\x00"}, {"department": "x" * 201},
        {"forget": None}, {"forget": 1}, {"seen": True}, {"user_id": "bob"}, {"version": 3}, {"left": True},
    ],
    ids=str,
)  # fmt: skip
def test_an_invalid_member_of_a_user_is_rejected(no_store: World, body: dict[str, Any]) -> None:
    assert_problem(put_user(no_store.root, "alice", body), 422, "invalid_request")


def test_only_an_admin_lists_and_puts_users(world: World) -> None:
    world.pool()

    for user in (world.alice, world.mona):
        assert user.request("GET", "/v1/users").code == "not_admin"
        assert put_user(user, "alice", {"name": "Alice"}).code == "not_admin"
    assert world.root.request("GET", "/v1/users").json == {"items": [], "next_cursor": None}


def test_users_are_listed_once_by_id_at_any_page_size(world: World) -> None:
    for name in ("dora", "alice", "carl", "bob"):
        me(signed_in(world, name, name=name.title()))

    for limit in (1, 2, 3, 100):
        listed = list(pages(world.root, "/v1/users", limit))
        assert [each["name"] for each in listed] == ["Alice", "Bob", "Carl", "Dora"], limit


def test_a_change_of_a_user_honors_if_match(world: World) -> None:
    assert put_user(world.root, "alice", {"name": "A"}, if_match='"1"').code == "version_conflict"
    first = put_user(world.root, "alice", {"name": "A"})

    stale = put_user(world.root, "alice", {"name": "B"}, if_match='"7"')
    good = put_user(world.root, "alice", {"name": "B"}, if_match=first.headers["ETag"])

    assert (stale.status, stale.code) == (412, "version_conflict")
    assert (good.json["name"], good.headers["ETag"]) == ("B", '"2"')


def test_a_put_and_a_call_of_me_at_once_both_have_their_effect(memory_world: World) -> None:
    world = memory_world

    with interrupted(world, "TransactWriteItems", lambda: me(signed_in(world, **ALICE))):
        put = put_user(world.root, "alice", {"department": "Support"}).json

    assert personal(put) == ALICE | {"department": "Support"}
    assert put["seen"] is True


def test_a_replayed_put_shows_the_user_as_now_and_its_record_holds_nothing_personal(world: World) -> None:
    first = put_user(world.root, "alice", {"name": NAME, "email": EMAIL}, idempotency_key="k")
    stored = json.dumps([each for each in everything(world.table) if "#K#" in each["pk"]["S"]], default=str)
    put_user(world.root, "alice", {"forget": True})

    again = put_user(world.root, "alice", {"name": NAME, "email": EMAIL}, idempotency_key="k")

    assert first.json["name"] == NAME and NAME not in stored and EMAIL not in stored
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json | NOTHING


def test_users_of_another_tenant_are_invisible(world: World) -> None:
    mona = world.pool()
    me(signed_in(world, tenant="acme", **ALICE))
    put_user(world.user("root", admin=True, tenant="acme"), "mona", {"name": "Mona of Acme"})

    assert world.root.request("GET", "/v1/users").json["items"] == []
    assert [(each["name"], each["seen"]) for each in mona.get("/members").json["items"]] == [(None, False)] * 3
    assert me(world.alice)["name"] is None


def test_no_name_address_or_department_reaches_a_log(world: World, logs: LogCapture) -> None:
    mona = world.pool(customers=1)
    alice = signed_in(world, name=NAME, email=EMAIL, department="Canary department")
    me(alice)
    put_user(world.root, "bob", {"name": NAME, "email": EMAIL, "department": "Canary department"})

    for reply in (
        alice.claim("c1"), alice.request("GET", "/v1/me/customers"), mona.get("/members"), mona.get("/customers"),
        put_user(world.root, "bob", {"name": NAME + "\x00"}), world.root.request("GET", "/v1/users"),
    ):  # fmt: skip
        assert reply.status in (200, 422)

    assert logs.leaks() == []


def test_a_name_is_stored_in_the_partition_of_users_only(world: World) -> None:
    mona = world.pool(customers=2, claim_ttl="P7D")
    alice = signed_in(world, name=NAME, email=EMAIL, department="Canary department")
    me(alice)
    put_user(world.root, "bob", {"name": NAME, "email": EMAIL}, idempotency_key="k")

    alice.claim("c1", idempotency_key="k")
    alice.post("/customers/c1/follow-up", {"note": "called"}, idempotency_key="f")
    mona.post("/assign", {"customer_ids": ["c2"], "to": "bob"}, idempotency_key="a")
    mona.put("/members/alice", {"role": "member"}, idempotency_key="m")
    mona.delete("/members/bob?held=release", idempotency_key="d")

    partitions = {item["pk"]["S"] for item in everything(world.table) if "anary" in json.dumps(item, default=str)}
    assert partitions == {"T#main#USERS"}


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_call_of_me_that_dies_anywhere_is_completed_by_the_next(memory_world: World, call: int, moment: str) -> None:
    memory_world.pool()
    alice = signed_in(memory_world, **ALICE)

    with pytest.raises(Crash), failing(memory_world, call, moment, operation=""):
        me(alice)
    with memory_world.process():
        mine = me(alice)

    assert personal(mine) == ALICE and (mine["seen"], mine["version"]) == (True, 1)


# Names in answers


def test_answers_that_name_users_carry_their_names(world: World) -> None:
    mona = world.pool(customers=2)
    me(signed_in(world, **ALICE))
    put_user(world.root, "mona", {"name": "Mona"})
    world.alice.claim("c1")
    alice, both = {"alice": {"name": ALICE["name"]}}, {"alice": {"name": ALICE["name"]}, "mona": {"name": "Mona"}}

    assert mona.customer("c1")["people"] == alice
    assert mona.get("/customers").json["people"] == alice
    assert "people" not in mona.get("/customers").json["items"][0]
    assert mona.get("/customers?state=claimed").json["people"] == alice
    assert mona.get("/customers/c1/history").json["people"] == both
    assert mona.get("/members").json["people"] == both
    assert mona.get("/members/alice").json["people"] == alice
    assert mona.get("/stats").json["people"] == both
    assert "people" not in mona.customer("c2")


def test_answers_that_name_users_outside_of_customers_carry_their_names(world: World) -> None:
    mona = world.pool(customers=1)
    me(signed_in(world, **ALICE))
    alice = {"alice": {"name": ALICE["name"]}}
    world.alice.claim("c1")
    version = mona.get().headers["ETag"]
    shorter = {"policy": {"claim_ttl": "P1D"}, "apply_to": "all", "dry_run": True}
    row = {"id": "new", "name": "New", "holder": "alice"}

    assert mona.get("/log").json["people"] == alice
    assert mona.patch("", shorter, if_match=version).json["people"] == alice
    assert mona.post("/import", {"rows": [row], "dry_run": True}).json["people"] == alice
    assert (
        world.root.request("POST", "/v1/users/alice/leave", {"held": "release", "private": "deposit"}).json["people"]
        == alice
    )
    assert world.root.request("GET", "/v1/users/alice/leave").json["people"] == alice
    assert mona.delete("/members/alice").json["people"] == alice


def test_a_user_without_a_name_is_not_among_the_people(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")

    assert "people" not in mona.customer("c1")
    assert "people" not in mona.get("/customers/c1/history").json


def test_a_list_reads_names_once_a_minute(world: World) -> None:
    mona = world.pool(customers=3)
    me(signed_in(world, **ALICE))
    world.alice.claim_batch(["c1", "c2"])

    with world.process():
        mona.get("/customers?state=available")  # reads the pool
        with counted(world) as first:
            named = mona.get("/customers?state=claimed").json
        with counted(world) as second:
            mona.get("/customers?state=claimed")
        world.clock.forward(MINUTE)
        mona.get("/customers?state=available")
        with counted(world) as later:
            mona.get("/customers?state=claimed")

    assert named["people"] == {"alice": {"name": ALICE["name"]}}
    assert first["BatchGetItem"] == later["BatchGetItem"] == 2
    assert second["BatchGetItem"] == 1


def test_a_name_in_another_process_is_at_most_a_minute_old(world: World) -> None:
    mona = world.pool(customers=1)
    me(signed_in(world, **ALICE))
    world.alice.claim("c1")
    other = world.another_process()
    with world.process(other):
        mona.customer("c1")

    put_user(world.root, "alice", {"forget": True})
    with world.process(other):
        before = mona.customer("c1")
        world.clock.forward(MINUTE)
        after = mona.customer("c1")

    assert "people" not in mona.customer("c1") and "people" not in after
    assert before["people"] == {"alice": {"name": ALICE["name"]}}


def test_a_warm_claim_is_one_request_and_carries_a_known_name(world: World) -> None:
    world.pool(customers=2)
    me(signed_in(world, **ALICE))
    world.alice.customer("c1")
    world.alice.customer("c2")

    with counted(world) as claiming:
        claimed = world.alice.claim("c1").json
    with counted(world) as in_a_batch:
        batch = world.alice.claim_batch(["c2"]).json

    assert claiming == in_a_batch == {"TransactWriteItems": 1}
    assert claimed["people"] == batch["people"] == {"alice": {"name": ALICE["name"]}}
    assert "people" not in batch["results"][0]["customer"]


def test_a_claim_in_a_process_that_knows_no_names_reads_none(world: World) -> None:
    world.pool(customers=1)
    me(signed_in(world, **ALICE))

    with world.process():
        world.alice.get("/customers/c1/eligibility")
        with counted(world) as claiming:
            claimed = world.alice.claim("c1")

    assert "BatchGetItem" not in claiming and "people" not in claimed.json


def test_masks_hide_customers_and_not_the_names_of_users(world: World) -> None:
    mona = world.pool(masked_fields=["name", "phone"])
    mona.create("c1", name="Acme Trading")
    me(signed_in(world, name="Alice 13812345678"))
    world.alice.claim("c1")

    seen = world.bob.customer("c1")

    assert seen["name"] == "A****" and seen["masked"]
    assert seen["people"] == {"alice": {"name": "Alice 13812345678"}}


# Members


def test_a_member_is_seen_from_their_first_call_of_me_on(world: World) -> None:
    mona = world.pool()
    typo = mona.put("/members/alcie", {"role": "member"}).json
    before = {each["user_id"]: each["seen"] for each in mona.get("/members").json["items"]}

    me(signed_in(world, **ALICE))
    listed = {each["user_id"]: (each["name"], each["seen"]) for each in mona.get("/members").json["items"]}

    assert (typo["name"], typo["seen"]) == (None, False)
    assert before == {"alcie": False, "alice": False, "bob": False, "mona": False}
    assert listed == {
        "alcie": (None, False), "alice": (ALICE["name"], True), "bob": (None, False), "mona": (None, False),
    }  # fmt: skip
    own = world.alice.get("/members/me").json
    assert (own["name"], own["seen"]) == (ALICE["name"], True)


def test_another_process_shows_a_member_as_seen_at_once(world: World) -> None:
    mona = world.pool()
    other = world.another_process()
    with world.process(other):
        assert mona.get("/members/alice").json["seen"] is False
    world.clock.forward(1)

    me(signed_in(world, **ALICE))

    with world.process(other):
        assert mona.get("/members/alice").json["seen"] is True


def test_the_list_of_members_takes_one_read_more_for_names(world: World) -> None:
    mona = world.pool()

    with counted(world) as listing:
        mona.get("/members")

    assert listing["BatchGetItem"] <= 2 and listing["Query"] == 1


def test_a_member_shows_the_number_of_their_pins(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", pin_limit=2, customers=2)
    world.alice.claim_batch(["c1", "c2"])

    world.alice.post("/customers/c1/pin", {"until": "2026-06-03T00:00:00Z"})

    assert world.alice.get("/members/me").json["pins"] == mona.get("/members/alice").json["pins"] == 1
    assert mona.get("/members/bob").json["pins"] == 0


def test_a_replayed_put_of_a_member_has_name_and_seen_as_now(world: World) -> None:
    mona = world.pool()
    first = mona.put("/members/carl", {"role": "member"}, idempotency_key="k").json

    me(signed_in(world, "carl", name="Carl"))
    again = mona.put("/members/carl", {"role": "member"}, idempotency_key="k").json

    assert again == first | {"name": "Carl", "seen": True}


# GET /me/customers


def own(user: User, query: str = "", limit: int = 100) -> list[tuple[str, str]]:
    """The pool and id of each customer, over all pages."""
    return [(each["pool_id"], each["id"]) for each in pages(user, "/v1/me/customers", limit, query)]


def three_pools(world: World) -> None:
    """Alice holds p/c1 to p/c3 and q/c1 to q/c2, and owns p/c4 and q/c3; in r she is no member."""
    for pool, ttl in (("p", "P7D"), ("q", "P3D"), ("r", "P1D")):
        world.pool(pool, members="bob" if pool == "r" else "alice bob", claim_ttl=ttl)
        world.fill(5, pool)
    for pool, ids in (("p", ["c3", "c1", "c2", "c4"]), ("q", ["c2", "c1", "c3"])):
        for each in ids:
            world.clock.forward(MINUTE)
            assert world.user("alice", pool=pool).claim(each).status == 200
    for pool, each in (("q", "c3"), ("p", "c4")):
        world.clock.forward(MINUTE)
        assert world.user("mona", pool=pool).post(f"/customers/{each}/convert").status == 200
    assert world.user("bob", pool="r").claim("c1").status == 200
    assert world.user("bob", pool="q").claim("c4").status == 200


HELD = [("q", "c2"), ("q", "c1"), ("p", "c3"), ("p", "c1"), ("p", "c2")]
OWNED = [("p", "c4"), ("q", "c3")]  # without a deadline, by pool


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_own_customers_are_listed_over_all_pools_by_deadline(world: World, limit: int) -> None:
    three_pools(world)

    assert own(world.alice, "", limit) == own(world.alice, "&sort=expires_at", limit) == [*HELD, *OWNED]
    assert own(world.alice, "&state=claimed", limit) == HELD
    assert own(world.alice, "&state=private", limit) == OWNED
    assert own(world.bob, "", limit) == [("r", "c1"), ("q", "c4")]
    assert own(world.user("stranger"), "", limit) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_own_customers_without_a_deadline_are_each_listed_once(world: World, limit: int) -> None:
    for pool in ("p", "q", "r"):
        world.pool(pool)
        world.user("alice", pool=pool).claim_batch(world.fill(3, pool))

    expected = [(pool, each) for pool in ("p", "q", "r") for each in ("c1", "c2", "c3")]
    assert own(world.alice, "", limit) == own(world.alice, "&state=claimed", limit) == expected


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_own_customers_are_sorted_by_name_or_last_follow_up(world: World, limit: int) -> None:
    three_pools(world)
    for at, (pool, each) in enumerate([("p", "c2"), ("q", "c1"), ("p", "c4")]):
        alice = world.user("alice", pool=pool)
        alice.patch(f"/customers/{each}", {"name": f"{'Ｂaｃ'[at]}…"})
        world.clock.forward(MINUTE)
        alice.post(f"/customers/{each}/follow-up", {"note": "called"})

    by_name = own(world.alice, "&sort=name", limit)
    by_contact = own(world.alice, "&sort=last_follow_up_at&state=claimed", limit)

    assert by_name[:3] == [("q", "c1"), ("p", "c2"), ("p", "c4")] and len(by_name) == 7
    assert by_contact == [("p", "c1"), ("p", "c3"), ("q", "c2"), ("p", "c2"), ("q", "c1")]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_own_customers_are_sorted_by_the_time_when_they_entered_their_pool(world: World, limit: int) -> None:
    for pool in ("q", "p", "r"):
        world.pool(pool)
        alice = world.user("alice", pool=pool)
        alice.claim_batch(world.fill(1, pool))
    alice.post("/customers/c1/win")
    alice.post("/customers/c1/deposit")
    alice.claim("c1")

    newest = own(world.alice, "&sort=-entered_pool_at", limit)

    assert newest == [("r", "c1"), ("p", "c1"), ("q", "c1")]
    assert own(world.alice, "&sort=-entered_pool_at&state=private", limit) == []


@pytest.mark.parametrize("query", ["state=available", "sort=rank", "sort=-name", "state=", "holder=alice", "limit=0"])
def test_own_customers_reject_an_unknown_state_or_order(no_store: World, query: str) -> None:
    refused = no_store.alice.request("GET", f"/v1/me/customers?{query}")

    assert_problem(refused, 422, "invalid_request")


def test_a_cursor_of_own_customers_is_bound_to_user_state_and_order(world: World) -> None:
    three_pools(world)
    cursor = world.alice.request("GET", "/v1/me/customers?limit=1").json["next_cursor"]

    for user, query in (
        (world.bob, ""), (world.alice, "&sort=name"), (world.alice, "&state=claimed"), (world.root, ""),
        (world.user("alice", tenant="acme"), ""),
    ):  # fmt: skip
        refused = user.request("GET", f"/v1/me/customers?cursor={cursor}{query}")
        assert_problem(refused, 400, "invalid_cursor", query)


def test_own_customers_show_masked_fields_until_the_claim_expires(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", masked_fields=["phone"])
    mona.create("c1", fields={"phone": "13812345678"})
    world.alice.claim("c1")

    def phone() -> Any:
        return world.alice.request("GET", "/v1/me/customers").json["items"][0]["fields"]["phone"]

    before = phone()
    world.clock.forward(HOUR)

    assert (before, phone()) == ("13812345678", "138****5678")


def test_own_customers_of_a_former_pool_are_not_listed(world: World) -> None:
    mona = world.pool(customers=2)
    world.alice.claim("c1")

    mona.delete("/members/alice?held=release")

    assert own(world.alice) == []
    assert [each["id"] for each in me(world.alice)["pools"]] == []


def test_own_customers_take_a_query_per_pool_and_one_read(world: World) -> None:
    three_pools(world)
    world.clock.forward(DAY)
    me(signed_in(world, **ALICE))

    with counted(world) as listing:
        world.alice.request("GET", "/v1/me/customers?limit=20")
    with counted(world) as by_name:
        world.alice.request("GET", "/v1/me/customers?limit=20&sort=name")

    assert listing == by_name == {"Query": 1 + 2, "BatchGetItem": 1}


def test_me_takes_three_reads_and_a_write_where_something_differs(world: World) -> None:
    world.pool()

    with counted(world) as first:
        me(signed_in(world, **ALICE))
    with counted(world) as again:
        me(signed_in(world, **ALICE))

    assert first == {"Query": 1, "BatchGetItem": 2, "TransactWriteItems": 1}
    assert again == {"Query": 1, "BatchGetItem": 2}
