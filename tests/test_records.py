"""Pools, members and customers as records: who may make and see them, how they are listed, and what is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.test_one_effect import walk
from tests.world import DAY, HOUR, MINUTE, Reply, User, World

# Pools


def new_pool(user: User, pool: str = "q", **policy: Any) -> Reply:
    return user.request("POST", "/v1/pools", {"id": pool, "name": "Q", "policy": policy})


def test_a_pool_is_made_by_an_admin_and_by_nobody_else(world: World) -> None:
    mona = world.pool()

    made = new_pool(world.user("root", admin=True), holding_limit=3)

    assert made.status == 201 and made.headers["ETag"] == '"1"'
    assert (made.json["id"], made.json["status"], made.json["policy"]["holding_limit"]) == ("q", "open", 3)
    for other in (mona, world.user("alice"), world.user("stranger")):
        assert (new_pool(other, "r").status, new_pool(other, "r").code) == (403, "not_admin")


def test_a_pool_that_exists_is_not_made_again_but_another_tenant_has_ids_of_its_own(world: World) -> None:
    world.pool("q", holding_limit=3)
    root = world.user("root", admin=True, pool="q")

    again = new_pool(root, "q", holding_limit=9)

    assert again.status == 409
    assert root.get().json["policy"]["holding_limit"] == 3
    assert new_pool(world.user("root", admin=True, tenant="acme"), "q").status == 201


BAD_RULES = {
    "holding_limit": [-1, 1.5, "3", True, 1_000_001, [], {}],
    "daily_claim_limit": [-1, "many"],
    "claim_ttl": [
        "",
        "P",
        "PT",
        "P0D",
        "PT0S",
        "P1Y",
        "P1M",
        "-P1D",
        "P1.5D",
        "7 days",
        "p7d",
        "P36601D",
        7,
        "P１D",
        "P7D ",
    ],
    "idle_ttl": ["never"],
    "cooldown": ["P", 0],
    "embargo": ["PT0H"],
    "extension": ["P1DT"],
    "max_hold": ["P" + "9" * 400 + "D"],
    "max_returns": [0],
    "reason_required": [1, "yes"],
    "masked_fields": ["phone", [1], ["x" * 65], ["f"] * 33],
    "reminders": ["P1D", ["soon"], ["P1D"] * 9],
    "time_zone": ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "America", "UTC\x00", 8, "x" * 5_000],
    "sweep_breaker": [0, 1.1, -0.1, "half"],
    "claim_tll": ["P7D"],
}


@pytest.mark.parametrize("rule", BAD_RULES)
def test_a_policy_with_a_rule_that_means_nothing_is_refused_and_the_rule_is_named(world: World, rule: str) -> None:
    root = world.user("root", admin=True)

    for wrong in BAD_RULES[rule]:
        refused = new_pool(root, **{rule: wrong})
        assert (refused.status, refused.code) == (422, "policy_invalid"), (wrong, refused.text)
        assert rule in refused.json["errors"][0], wrong
    assert root.request("GET", "/v1/pools/q").status == 404


@pytest.mark.parametrize("policy", [None, [], "", 7])
def test_a_policy_that_is_no_object_is_refused(world: World, policy: Any) -> None:
    root = world.user("root", admin=True)

    assert root.request("POST", "/v1/pools", {"id": "q", "name": "Q", "policy": policy}).code == "policy_invalid"


def test_every_rule_may_be_absent(world: World) -> None:
    rules = new_pool(world.user("root", admin=True)).json["policy"]

    assert len(rules) == 19
    assert {each for each in rules.values() if each != []} == {None}


@pytest.mark.parametrize("rule", ["masked_fields", "reminders", "claim_ttl"])
def test_null_switches_a_rule_off(world: World, rule: str) -> None:
    assert new_pool(world.user("root", admin=True), **{rule: None}).status == 201


def test_a_pool_is_seen_by_its_members_and_admins_only(world: World) -> None:
    world.pool("p")
    world.pool("q", members="alice")
    world.pool("p", tenant="acme")

    def seen(user: User) -> list[str]:
        return pools_of(user)

    assert seen(world.user("root", admin=True)) == ["p", "q"]
    assert seen(world.user("alice")) == ["p", "q"]
    assert seen(world.user("bob")) == ["p"]
    assert seen(world.user("stranger")) == []
    assert world.user("bob", pool="q").get().code == "not_a_member"
    assert world.user("root", admin=True).get().status == world.user("bob").get().status == 200


def pools_of(user: User, limit: int = 1) -> list[str]:
    """The ids of the listed pools, page by page."""
    ids, cursor = [], ""
    while True:
        page = user.request("GET", f"/v1/pools?limit={limit}{cursor}").json
        ids += [pool["id"] for pool in page["items"]]
        if page["next_cursor"] is None:
            return ids
        cursor = f"&cursor={page['next_cursor']}"


# Members


def put(user: User, name: str, **body: Any) -> Reply:
    return user.request("PUT", f"/v1/pools/p/members/{name}", {"role": "member"} | body)


def test_an_admin_puts_anybody_and_a_manager_only_members(world: World) -> None:
    mona, root = world.pool(), world.user("root", admin=True)

    assert put(root, "max", role="manager").status == 200
    assert put(mona, "carl").status == 200
    assert put(mona, "carl", role="manager").code == "not_admin"
    assert put(mona, "max").code == "not_admin"
    assert put(mona, "mona", holding_limit=99).code == "not_admin"
    assert put(world.user("alice"), "carl").code == "not_manager"
    assert put(world.user("alice"), "alice", holding_limit=99).code == "not_manager"
    assert put(world.user("stranger"), "stranger").code == "not_a_member"
    assert mona.get("/members/max").json["role"] == "manager"


def test_a_member_who_is_put_again_keeps_what_they_hold_and_have_claimed(world: World) -> None:
    mona = world.pool(holding_limit=5, daily_claim_limit=5)
    world.fill(3)
    world.user("alice").claim_batch(["c1", "c2"])

    changed = put(mona, "alice", holding_limit=2)

    assert changed.json == mona.get("/members/alice").json
    assert [changed.json[name] for name in ("held", "headroom", "claimed_today", "version")] == [2, 0, 2, 2]
    assert put(mona, "alice").json["holding_limit"] == 5
    assert world.user("alice").claim("c3").status == 200


def test_somebody_who_left_and_came_back_starts_afresh(world: World) -> None:
    mona = world.pool(holding_limit=1)
    world.fill(2)
    world.user("bob").claim("c1")
    mona.request("DELETE", "/v1/pools/p/members/bob?held=release")

    put(mona, "bob")

    assert world.user("bob").held() == 0 and world.user("bob").claim("c2").status == 200


def test_a_member_may_not_remove_themself_and_a_refused_removal_changes_nothing(world: World) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1")

    refused = alice.request("DELETE", "/v1/pools/p/members/alice?held=release")

    assert (refused.status, refused.code) == (403, "not_manager")
    assert alice.customer("c1")["holder"] == "alice"


def test_me_is_whoever_asks_and_others_are_for_managers_to_see(world: World) -> None:
    mona, alice = world.pool(), world.user("alice")

    assert alice.get("/members/me").json == alice.get("/members/alice").json == mona.get("/members/alice").json
    assert alice.get("/members/bob").code == alice.get("/members").code == "not_manager"
    assert world.user("stranger").get("/members/me").code == "not_a_member"
    assert world.user("stranger").get("/members").code == "not_a_member"
    assert mona.get("/members/nobody").status == 404
    assert put(mona, "me").status == 404


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_members_are_listed_exactly_once_by_id(world: World, limit: int) -> None:
    mona = world.pool(members="dora alice carl bob")

    pages = list(pages_of(mona, "/members", limit))

    assert [each["user_id"] for page in pages for each in page] == ["alice", "bob", "carl", "dora", "mona"]
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize(
    "body", [{}, {"role": "admin"}, {"role": None}, {"holding_limit": -1}, {"holding_limit": "1"}, {"held": 0}]
)
def test_a_member_without_a_role_of_a_pool_is_refused(world: World, body: dict[str, Any]) -> None:
    root = world.user("root", admin=True)
    world.pool()
    sent = body if "role" in body or not body else {"role": "member"} | body

    assert root.request("PUT", "/v1/pools/p/members/carl", sent).code == "invalid_request"


# Customers


def create(user: User, customer: str | None = "new", **said: Any) -> Reply:
    return user.post("/customers", {"name": "New"} | ({"id": customer} if customer else {}) | said)


def test_a_customer_is_made_by_a_manager_and_enters_available(world: World) -> None:
    mona = world.pool(embargo="PT1H")

    made = create(mona, fields={"phone": "13812345678", "vip": True, "age": 7, "score": 1.5, "note": None}, priority=3)

    assert made.status == 201 and made.headers["ETag"] == '"1"'
    assert made.json == mona.customer("new")
    assert (made.json["state"], made.json["holder"], made.json["priority"]) == ("available", None, 3)
    assert made.json["fields"] == {"phone": "13812345678", "vip": True, "age": 7, "score": 1.5, "note": None}
    assert made.json["available_at"] == "2026-06-01T09:00:00.000Z"
    assert mona.events("new") == ["created"]
    assert create(world.user("alice"), "x").code == "not_manager"
    assert create(world.user("root", admin=True), "x").code == "not_a_member"


def test_a_customer_without_an_id_gets_one_that_is_an_id(world: World) -> None:
    mona = world.pool()

    first, second = create(mona, None).json["id"], create(mona, None).json["id"]

    assert first != second and mona.customer(first)["name"] == "New"


@pytest.mark.parametrize("later", [0, MINUTE])
def test_a_customer_is_not_made_twice(world: World, later: int) -> None:
    mona = world.pool()
    create(mona, name="First")
    world.clock.forward(later)

    again = create(mona, name="Second")

    assert (again.status, again.code) == (409, "duplicate_customer")
    assert mona.customer("new")["name"] == "First"


def test_an_edit_that_lost_a_race_is_not_told_that_it_was_made(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    mona.customer("c1")
    mine, world.service = world.service, world.another_process()
    mona.request("PATCH", "/v1/pools/p/customers/c1", {"name": "Theirs"})
    world.service = mine

    edited = mona.request("PATCH", "/v1/pools/p/customers/c1", {"priority": 7})

    assert edited.status == 200 and mona.customer("c1")["priority"] == 7


BAD_CUSTOMERS: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "x" * 201},
    {"name": None},
    {"id": "a#b"},
    {"id": ""},
    {"id": "x" * 65},
    {"id": "a\n"},
    {"priority": 1001},
    {"priority": 1.5},
    {"fields": None},
    {"fields": {"a": {}}},
    {"fields": {"a": [1]}},
    {"fields": {"": 1}},
    {"fields": {"x" * 65: 1}},
    {"fields": {"a": "x" * 4_096}},
    {"fields": {str(n): "客户" * 10 for n in range(100)}},
    {"state": "claimed"},
    {"holder": "alice"},
    {"version": 9},
]


@pytest.mark.parametrize("said", BAD_CUSTOMERS, ids=lambda said: str(said)[:40])
def test_a_customer_that_is_none_is_refused_alone_and_in_an_import(world: World, said: dict[str, Any]) -> None:
    mona = world.pool()

    alone = create(mona, **said)
    imported = mona.post("/import", {"rows": [{"id": "new", "name": "New"} | said, {"id": "ok", "name": "Ok"}]})

    assert (alone.status, alone.code) == (422, "invalid_request")
    assert imported.results == ["invalid_request", "ok"] and imported.json["results"][0]["errors"]
    assert [each["id"] for each in walk(mona, "/customers")] == ["ok"]


def test_the_largest_customer_that_may_be_is_kept_whole(world: World) -> None:
    mona = world.pool()
    fields = {"note": "客" * 1_300, "huge": 10**40}

    create(mona, "x" * 64, name="户" * 200, fields=fields, priority=-1000)

    assert mona.customer("x" * 64)["fields"] == fields
    assert mona.claim("x" * 64).json["name"] == "户" * 200


# Import


def rows_of(*rows: dict[str, Any], **how: Any) -> dict[str, Any]:
    return {"rows": [{"name": f"Row {number}"} | row for number, row in enumerate(rows)]} | how


@pytest.mark.parametrize(
    ("mode", "result", "name"),
    [("skip", "ok", "Customer c1"), ("update", "ok", "Row 0"), ("reject", "duplicate_customer", "Customer c1")],
)
def test_a_row_that_exists_is_skipped_updated_or_rejected_as_asked(
    world: World, mode: str, result: str, name: str
) -> None:
    mona = world.pool()
    world.fill(1)

    reply = mona.post("/import", rows_of({"id": "c1"}, {"id": "c2"}, on_duplicate=mode))

    assert (reply.status, reply.results) == (200, [result, "ok"])
    assert mona.customer("c1")["name"] == name and mona.customer("c2")["name"] == "Row 1"


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_an_import_never_touches_the_holder_the_state_or_the_clock(world: World, mode: str) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(3)
    world.user("alice").claim("c1")
    mona.post("/customers/c2/convert", {"to": "bob"})
    world.clock.forward(HOUR)
    kept = ("state", "holder", "claim_id", "claimed_at", "expires_at", "available_at", "entered_pool_at", "returns")
    before = [[mona.customer(each)[name] for name in kept] for each in ("c1", "c2", "c3")]

    mona.post("/import", rows_of({"id": "c1"}, {"id": "c2"}, {"id": "c3"}, on_duplicate=mode))

    assert [[mona.customer(each)[name] for name in kept] for each in ("c1", "c2", "c3")] == before
    assert world.user("alice").held() == 1


def test_an_update_that_says_nothing_new_makes_no_event(world: World) -> None:
    mona = world.pool()
    rows = rows_of({"id": "c1", "fields": {"a": 1}}, on_duplicate="update")
    mona.post("/import", rows)

    assert mona.post("/import", rows).results == ["ok"]
    assert mona.events("c1") == ["imported"]


def test_every_row_that_failed_comes_back_with_its_reason_and_the_others_are_there(world: World) -> None:
    mona = world.pool()
    rows = [{"id": "a", "name": "A"}, 7, {"id": "b"}, {"id": "a", "name": "A again"}, None, {"name": "No id"}]

    reply = mona.post("/import", {"rows": rows})

    assert reply.results == [
        "ok",
        "invalid_request",
        "invalid_request",
        "duplicate_in_request",
        "invalid_request",
        "ok",
    ]
    assert [each["id"] for each in reply.json["results"]][:5] == ["a", "", "b", "a", ""]
    assert all(each["detail"] for each in reply.json["results"] if not each["ok"])
    assert mona.customer("a")["name"] == "A"


def test_a_row_that_failed_does_not_make_a_later_good_one_a_duplicate(world: World) -> None:
    mona = world.pool()

    reply = mona.post("/import", {"rows": [{"id": "a"}, {"id": "a", "name": "Good"}]})

    assert reply.results == ["invalid_request", "ok"] and mona.customer("a")["name"] == "Good"


@pytest.mark.parametrize("rows", [[], [{"name": "N"}] * 101])
def test_an_import_takes_1_to_100_rows(world: World, rows: list[Any]) -> None:
    mona = world.pool()

    assert mona.post("/import", {"rows": rows}).code == ("batch_too_large" if rows else "invalid_request")


def test_an_import_is_for_managers(world: World) -> None:
    world.pool()
    world.fill(1)
    rows = rows_of({"id": "c1"}, {"id": "x"}, on_duplicate="skip")

    replies = [world.user(name).post("/import", rows) for name in ("alice", "stranger")]

    assert [(reply.status, reply.code) for reply in replies] == [(403, "not_manager"), (403, "not_a_member")]
    assert "Customer" not in replies[0].text + replies[1].text


# Lists


def pages_of(user: User, path: str, limit: int) -> Iterator[list[Any]]:
    cursor, joint = "", "&" if "?" in path else "?"
    while True:
        page = user.get(f"{path}{joint}limit={limit}{cursor}").json
        assert len(page["items"]) <= limit
        yield page["items"]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


@pytest.fixture
def mixed(world: World) -> World:
    """Twelve customers: c1, c2 are alice's, c3, c4 bob's, c5, c6 his private ones; six are free, c12 first."""
    mona = world.pool(claim_ttl="P7D")
    world.fill(12)
    world.user("alice").claim_batch(["c1", "c2"])
    mona.post("/assign", {"customer_ids": ["c3", "c4"], "to": "bob"})
    mona.post("/convert", {"customer_ids": ["c5", "c6"], "to": "bob"})
    mona.request("PATCH", "/v1/pools/p/customers/c12", {"priority": 5})
    return world


LISTS = {
    "": ["c1", "c10", "c11", "c12", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"],
    "?state=available": ["c12", "c10", "c11", "c7", "c8", "c9"],
    "?state=claimed": ["c1", "c2", "c3", "c4"],
    "?state=private": ["c5", "c6"],
    "?holder=alice": ["c1", "c2"],
    "?state=claimed&holder=bob": ["c3", "c4"],
    "?state=private&holder=me": ["c5", "c6"],
    "?holder=nobody": [],
}


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 100])
@pytest.mark.parametrize("query", LISTS)
def test_a_list_shows_everything_exactly_once_whatever_the_page(mixed: World, query: str, limit: int) -> None:
    pages = list(pages_of(mixed.user("bob"), f"/customers{query}", limit))

    listed = [each["id"] for page in pages for each in page]
    assert sorted(listed) == sorted(LISTS[query]) and listed[:1] == LISTS[query][:1]
    assert all(len(page) == limit for page in pages[:-1]) and (pages[-1] or len(pages) == 1)


def test_a_holders_list_has_their_private_customers_too(mixed: World) -> None:
    held = walk(mixed.user("bob"), "/customers?holder=me")

    assert sorted(each["id"] for each in held) == ["c3", "c4", "c5", "c6"]


def test_available_customers_are_listed_best_first_and_claims_by_deadline(world: World) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(3)
    create(mona, "later")
    create(mona, "urgent", priority=1)
    world.clock.forward(DAY)
    for each in ("c2", "c1"):
        world.user("alice").claim(each)
        world.clock.forward(MINUTE)

    assert [each["id"] for each in walk(mona, "/customers?state=available")] == ["urgent", "c3", "later"]
    assert [each["id"] for each in walk(mona, "/customers?state=claimed")] == ["c2", "c1"]


def test_a_list_is_for_members_only(world: World) -> None:
    world.pool()
    world.fill(1)

    for path in ("/customers", "/customers/c1", "/customers/c1/history", "/customers/c1/eligibility"):
        for user in (world.user("stranger"), world.user("root", admin=True)):
            assert user.get(path).code == "not_a_member", path


def test_twenty_is_the_length_of_a_page_that_nobody_gave_one(world: World) -> None:
    mona = world.pool()
    world.fill(21)

    assert len(mona.get("/customers").json["items"]) == 20


# History


def test_a_long_history_is_told_in_order_whatever_the_page(world: World) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")
    for number in range(35):
        alice.claim("c1")
        alice.release("c1", reason=f"round {number} " + "理由" * (number % 7) * 9)

    for limit in (1, 7, 16, 50, 100):
        events = [each for page in pages_of(alice, "/customers/c1/history", limit) for each in page]
        assert [each["seq"] for each in events] == list(range(1, 72)), limit
        assert [each["type"] for each in events] == ["imported"] + ["claimed", "released"] * 35
    assert alice.customer("c1")["version"] == 71
    assert [each["reason"].split()[1] for each in events[2::2]] == [str(number) for number in range(35)]


def test_an_event_tells_who_when_and_from_where_to_where(world: World) -> None:
    world.pool(claim_ttl="P1D")
    world.fill(1)
    claimed = world.user("alice").claim("c1").json
    world.user("mona").release("c1", reason="too slow")

    told = world.user("bob").get("/customers/c1/history").json["items"]

    assert [(each["type"], each["by"], each["from_state"], each["to_state"]) for each in told] == [
        ("imported", "mona", None, "available"),
        ("claimed", "alice", "available", "claimed"),
        ("reclaimed", "mona", "claimed", "available"),
    ]
    assert [(each["holder"], each["claim_id"]) for each in told[1:]] == [("alice", claimed["claim_id"])] * 2
    assert (told[1]["expires_at"], told[2]["reason"]) == (claimed["expires_at"], "too slow")


def test_a_history_read_while_it_grows_tells_nothing_twice(world: World) -> None:
    world.pool()
    world.fill(1)
    alice, events = world.user("alice"), world.table.connection.client.meta.events

    def goes_on(**_: Any) -> None:
        events.unregister("before-call.dynamodb.Query", goes_on)
        for _ in range(6):
            alice.claim("c1")
            alice.release("c1", reason="because")

    for _ in range(6):
        alice.claim("c1")
        alice.release("c1", reason="because")
    events.register("before-call.dynamodb.Query", goes_on)

    told = [each["seq"] for each in alice.get("/customers/c1/history?limit=100").json["items"]]

    assert told == list(range(1, len(told) + 1))


# Masking


def masked_pool(world: World) -> User:
    mona = world.pool(masked_fields=["name", "phone"])
    fields = {"phone": "13812345678", "city": "上海"}
    create(mona, "c1", name="Acme Trading", fields=fields)
    create(mona, "c2", name="Other", fields=fields)
    return mona


def hidden(customer: dict[str, Any]) -> bool:
    """Whether all that the policy masks is masked, and the answer says so; or nothing is."""
    masked = customer["fields"]["phone"] == "138****5678" and "****" in customer["name"]
    assert masked == customer["masked"] and customer["fields"]["city"] == "上海"
    assert masked or "****" not in str(customer)
    return masked


def test_only_the_holder_and_managers_see_masked_fields_on_every_path(world: World) -> None:
    mona, alice, bob = masked_pool(world), world.user("alice"), world.user("bob")

    assert not hidden(alice.claim("c1").json) and not hidden(alice.claim_batch(["c1"]).json["results"][0]["customer"])
    assert not hidden(alice.customer("c1")) and hidden(bob.customer("c1")) and not hidden(mona.customer("c1"))
    for query in ("", "?state=claimed", "?holder=alice"):
        assert [hidden(each) for each in walk(alice, f"/customers{query}") if each["id"] == "c1"] == [False]
        assert [hidden(each) for each in walk(bob, f"/customers{query}") if each["id"] == "c1"] == [True]
        assert [hidden(each) for each in walk(mona, f"/customers{query}") if each["id"] == "c1"] == [False]
    assert hidden(alice.release("c1").json) and hidden(alice.customer("c1"))
    assert not hidden(bob.claim_next(1).json["items"][0])
    for path in ("/customers/c1/history", "/customers/c1/eligibility", "/members/me"):
        assert "1381234" not in alice.get(path).text and "Acme" not in alice.get(path).text


def test_a_batch_that_came_to_nothing_shows_no_more_than_a_list(world: World) -> None:
    masked_pool(world)

    refused = world.user("alice").claim_batch(["c1", "c2", "nobody"], atomic=True)
    assigned = world.user("alice").post("/assign", {"customer_ids": ["c1"], "to": "alice", "atomic": True})

    assert refused.status == 409 and [hidden(each["customer"]) for each in refused.json["results"][:2]] == [True, True]
    assert assigned.status in (403, 409) and "1381234" not in assigned.text


def test_a_lapsed_holder_sees_no_more_than_others(world: World) -> None:
    world.pool(claim_ttl="PT1H", masked_fields=["phone"])
    world.user("mona").post("/customers", {"id": "c1", "name": "A", "fields": {"phone": "13812345678"}})
    alice = world.user("alice")
    alice.claim("c1")
    world.clock.forward(HOUR)

    assert alice.customer("c1")["fields"]["phone"] == "138****5678"


def test_an_edit_of_what_is_masked_does_not_write_the_mask(world: World) -> None:
    mona = masked_pool(world)

    mona.request("PATCH", "/v1/pools/p/customers/c1", {"fields": {"city": "北京"}})

    assert mona.customer("c1")["fields"] == {"phone": "13812345678", "city": "北京"}


@pytest.mark.parametrize("value", ["A", 7, "王"])
def test_a_mask_hides_a_short_value_too(world: World, value: Any) -> None:
    mona = world.pool(masked_fields=["grade"])
    create(mona, "c1", fields={"grade": value})

    assert str(value) not in str(world.user("alice").customer("c1")["fields"]["grade"])


def test_a_manager_who_takes_a_customer_back_sees_it_whole(world: World) -> None:
    mona = masked_pool(world)
    world.user("alice").claim("c1")

    assert not hidden(mona.release("c1").json)
