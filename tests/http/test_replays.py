"""Replayed responses: the facts of the first response, and of the customer only what the caller may see now."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from tests.http.test_masking import hidden, masked_pool
from tests.proofs.operations import OPERATIONS, Operation, Trial
from tests.support.canaries import EMAIL, NAME, PHONE
from tests.support.dynamodb_calls import counted
from tests.support.every_route import WITH_BODY, good_body, send, two_tenants
from tests.support.world import HOUR, Reply, User, World, everything

PERSONAL = ("name", "fields", "masked")


def facts(customer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in customer.items() if name not in PERSONAL}


def refused(reply: Reply) -> tuple[int, str, bool]:
    return reply.status, reply.code, "Idempotent-Replayed" in reply.headers


def put_member(world: World, user: str, role: str = "member") -> None:
    path = f"/v1/pools/p/members/{user}"
    assert world.root.request("PUT", path, {"role": role}).status == 200


def remove(world: World, user: str, query: str = "?held=release") -> None:
    assert world.mona.delete(f"/members/{user}{query}").status == 200


# Who gets a replay


def test_a_removed_member_gets_no_replay(world: World) -> None:
    masked_pool(world)
    requests: list[tuple[str, Any]] = [
        ("/customers/c1/claim", None),
        ("/customers/nobody/claim", None),
        ("/claim", {"customer_ids": ["c1", "nobody"]}),
        ("/claim-next", {"count": 1}),
        ("/customers/c2/release", {}),
        ("/customers/c1/assign", {"to": "bob"}),
    ]
    for number, (path, body) in enumerate(requests):
        world.alice.post(path, body, idempotency_key=f"k{number}")
    remove(world, "alice")

    again = [world.alice.post(path, body, idempotency_key=f"k{number}") for number, (path, body) in enumerate(requests)]

    assert [refused(each) for each in again] == [(403, "not_a_member", False)] * len(requests)


def test_a_member_added_again_gets_replays(world: World) -> None:
    masked_pool(world)
    first = world.alice.claim("c1", idempotency_key="k")
    remove(world, "alice")
    put_member(world, "alice")

    again = world.alice.claim("c1", idempotency_key="k")

    assert (again.status, facts(again.json)) == (200, facts(first.json))
    assert hidden(again.json) and not hidden(first.json)


def test_a_refusal_to_a_non_member_is_replayed(world: World) -> None:
    world.pool(customers=1)
    carl = world.user("carl")
    firsts = [carl.claim("c1", idempotency_key="k"), carl.claim_batch(["c1", "c1"], idempotency_key="k")]

    agains = [carl.claim("c1", idempotency_key="k"), carl.claim_batch(["c1", "c1"], idempotency_key="k")]

    assert [(each.status, each.text) for each in agains] == [(each.status, each.text) for each in firsts]
    assert all(each.headers["Idempotent-Replayed"] == "true" for each in agains)


def test_an_invalid_request_is_rejected_again_for_any_caller(world: World) -> None:
    world.pool()
    world.root.post("/pause")
    carl = world.user("carl")
    requests: list[tuple[str, Any]] = [
        ("/claim", {"customer_ids": []}),
        ("/claim", {"customer_ids": ["no id"]}),
        ("/claim-next", {}),
        ("/customers/c1/claim", None),
        ("/deposit", {"customer_ids": ["c1"], "pool": "nowhere"}),
    ]
    firsts = [carl.post(path, body, idempotency_key=f"k{number}") for number, (path, body) in enumerate(requests)]

    agains = [carl.post(path, body, idempotency_key=f"k{number}") for number, (path, body) in enumerate(requests)]

    assert [each.status for each in firsts] == [422, 200, 409, 409, 404]
    assert [(each.status, each.text) for each in agains] == [(each.status, each.text) for each in firsts]


def test_a_member_who_removed_themself_gets_that_replay(world: World) -> None:
    mona, path = world.pool(), "/v1/pools/p/members/mona"
    first = mona.request("DELETE", path, idempotency_key="k")

    again = mona.request("DELETE", path, idempotency_key="k")

    assert (first.status, again.status, again.text) == (200, 200, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_refused_self_removal_is_not_replayed_after_a_later_removal(world: World) -> None:
    mona, path = world.pool(), "/v1/pools/p/members/mona"
    world.fill(1)
    put_member(world, "bob", "manager")
    mona.claim("c1")
    first = mona.request("DELETE", path, idempotency_key="k")
    assert world.bob.request("DELETE", f"{path}?held=release").status == 200

    again = mona.request("DELETE", path, idempotency_key="k")

    assert first.code == "member_has_claims"
    assert refused(again) == (403, "not_a_member", False)


def test_the_removal_of_another_member_is_replayed_only_to_a_member(world: World) -> None:
    mona, path = world.pool(), "/v1/pools/p/members/bob"
    first = mona.request("DELETE", path, idempotency_key="k")
    assert world.mona.delete("/members/mona").status == 200

    again = mona.request("DELETE", path, idempotency_key="k")

    assert first.status == 200
    assert refused(again) == (403, "not_a_member", False)


BY_ADMINS = [each for each in OPERATIONS if each.who == "root"]


@pytest.mark.parametrize("operation", BY_ADMINS, ids=lambda operation: operation.name)
def test_a_request_of_an_admin_is_replayed_only_to_an_admin(operation: Operation) -> None:
    world = Trial(operation).begin()
    first = operation.send(world, "k")

    headers = {"if_match": operation.if_match} if operation.if_match else {}
    no_admin = world.user("root")
    by_nobody = no_admin.request(
        operation.method, f"/v1{operation.path}", operation.body, idempotency_key="k", **headers
    )

    assert first.status in (200, 201)
    assert refused(by_nobody) in [(403, "not_admin", False), (403, "not_a_member", False)]
    assert operation.send(world, "k").text == first.text


# The content of a replay


def test_a_replay_is_masked_once_the_claim_has_ended(world: World) -> None:
    masked_pool(world)
    requests = [
        lambda: world.alice.claim("c1", idempotency_key="one").json,
        lambda: world.alice.claim_batch(["c1"], idempotency_key="batch").json["results"][0]["customer"],
        lambda: world.alice.claim_next(idempotency_key="next").json["items"][0],
    ]
    firsts = [send() for send in requests]
    world.alice.release_batch(["c1", "c2"])

    agains = [send() for send in requests]

    assert [hidden(each) for each in firsts] == [False] * 3
    assert [hidden(each) for each in agains] == [True] * 3
    assert [facts(each) for each in agains] == [facts(each) for each in firsts]


def test_a_replay_to_a_former_manager_is_masked_as_for_a_member(world: World) -> None:
    mona = masked_pool(world)
    rows = {"rows": [{"id": "c1", "name": "Acme Trading"}], "on_duplicate": "update"}
    requests = [
        lambda: mona.post("/customers", {"id": "c3", "name": "Third Trading"}, idempotency_key="create"),
        lambda: mona.post("/customers/c1/assign", {"to": "bob"}, idempotency_key="assign"),
        lambda: mona.patch("/customers/c1", {"priority": 3}, idempotency_key="edit"),
        lambda: mona.post("/import", rows, idempotency_key="import"),
    ]
    firsts = [send() for send in requests]
    put_member(world, "mona")

    agains = [send() for send in requests]

    assert "****" not in "".join(each.text for each in firsts)
    assert [each.status for each in agains] == [each.status for each in firsts] == [201, 200, 200, 200]
    for first, again in zip(map(_customer, firsts), map(_customer, agains), strict=True):
        assert facts(first) == facts(again) and again["masked"] and "****" in again["name"]


def _customer(reply: Reply) -> dict[str, Any]:
    body: dict[str, Any] = reply.json
    return body["results"][0]["customer"] if "results" in body else body


def test_a_replay_is_masked_by_the_current_policy(world: World) -> None:
    mona = world.pool()
    mona.create("c1", fields={"phone": PHONE})
    world.bob.claim("c1")
    first = world.bob.release("c1", idempotency_key="k")
    mona.patch("", {"policy": {"masked_fields": ["phone"]}}, if_match="1")

    again = world.bob.release("c1", idempotency_key="k")

    assert (first.json["fields"]["phone"], first.json["masked"]) == (PHONE, False)
    assert again.json["masked"] and PHONE not in again.text


def test_a_replay_has_the_current_name_and_fields(world: World) -> None:
    mona = world.pool()
    mona.create("c1", name="Was", fields={"city": "Bonn"})
    first = mona.claim("c1", idempotency_key="k")
    mona.patch("/customers/c1", {"name": "Is", "fields": {"city": "Köln"}})

    again = mona.claim("c1", idempotency_key="k")

    assert facts(again.json) == facts(first.json) and again.headers["ETag"] == first.headers["ETag"]
    assert (again.json["name"], again.json["fields"]) == ("Is", {"city": "Köln"})


def test_a_replay_about_a_removed_customer_has_no_name_and_no_fields(world: World) -> None:
    mona = world.pool()
    rows = {"rows": [{"id": "c1", "name": NAME, "fields": {"phone": PHONE}}]}
    first = mona.post("/import", rows, idempotency_key="k")
    mona.post(f"/imports/{first.json['import_id']}/undo")

    again = mona.post("/import", rows, idempotency_key="k")
    world.clock.forward(1)
    mona.create("c1", name="Somebody else")
    replaced = mona.post("/import", rows, idempotency_key="k")

    for reply in (again, replaced):
        (shown,) = (each["customer"] for each in reply.json["results"])
        assert (shown["name"], shown["fields"], shown["masked"]) == (None, None, False)
        assert facts(shown) == facts(first.json["results"][0]["customer"])


def test_a_replay_about_a_moved_customer_is_masked_by_its_pool(world: World) -> None:
    mona = world.pool()
    world.pool("q", masked_fields=["name"])
    mona.create("c1", name=NAME)
    world.root.put("/members/alice", {"role": "manager"})
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win")
    first = world.alice.post("/customers/c1/deposit", {"pool": "q"}, idempotency_key="k")

    again = world.alice.post("/customers/c1/deposit", {"pool": "q"}, idempotency_key="k")

    assert (first.status, first.json["pool_id"], first.json["masked"]) == (200, "q", True)
    assert (again.status, again.text) == (first.status, first.text)
    assert mona.claim("c1").code == "not_found"


@pytest.mark.parametrize("form", ["one", "batch"])
def test_a_replayed_deposit_hides_the_customer_from_a_former_member_of_its_pool(world: World, form: str) -> None:
    mona = masked_pool(world)
    world.pool("q", masked_fields=["phone"])
    for step in ("claim", "win"):
        mona.post(f"/customers/c1/{step}")
    path, ids = ("/customers/c1/deposit", {}) if form == "one" else ("/deposit", {"customer_ids": ["c1"]})
    first = mona.post(path, {"pool": "q", **ids}, idempotency_key="k")
    world.root.request("DELETE", "/v1/pools/q/members/mona")

    again = mona.post(path, {"pool": "q", **ids}, idempotency_key="k")

    shown, before = _customer(again), _customer(first)
    assert world.user("mona", pool="q").get("/customers/c1").code == "not_a_member"
    assert (again.status, facts(shown), before["pool_id"]) == (200, facts(before), "q")
    assert before["name"] is not None
    assert (shown["name"], shown["fields"], shown["masked"]) == (None, None, False)


def test_a_replayed_deposit_shows_an_admin_the_customer_in_its_pool(world: World) -> None:
    mona = masked_pool(world)
    world.pool("q", masked_fields=["phone"])
    for step in ("claim", "win"):
        mona.post(f"/customers/c1/{step}")
    first = world.root.post("/customers/c1/deposit", {"pool": "q"}, idempotency_key="k")

    again = world.root.post("/customers/c1/deposit", {"pool": "q"}, idempotency_key="k")

    assert (first.status, again.status, again.text) == (200, 200, first.text)
    assert again.json["name"] is not None


def test_a_replayed_batch_of_a_hundred_has_each_customers_own_name(threaded: World) -> None:
    mona = threaded.pool(masked_fields=["phone"])
    ids = threaded.fill(100)
    first = mona.post("/assign", {"customer_ids": ids, "to": "bob"}, idempotency_key="k")

    again = mona.post("/assign", {"customer_ids": ids, "to": "bob"}, idempotency_key="k")

    assert (again.status, again.json) == (200, first.json) and first.json["summary"]["ok"] == 100


# Stored records and costs


TEXTS = (NAME.lower(), PHONE, EMAIL, "secret", "canary")


def test_no_idempotency_record_contains_personal_data(world: World) -> None:
    mona = two_tenants(world)
    own = {"name": NAME, "fields": {"phone": PHONE, "email": EMAIL, "secret": "secret"}}
    rows = [own, {"id": "c2"} | own, {"id": "secret id"} | own, {"name": NAME, "secret": 1}, {"name": "n" * 201} | own]
    requests: list[tuple[User, str, str, Any]] = [
        (mona, "POST", "/v1/pools/p/customers", {"id": "k1"} | own),
        (mona, "POST", "/v1/pools/p/import", {"rows": rows, "on_duplicate": "update"}),
        (mona, "POST", "/v1/pools/p/import", {"rows": rows, "key": "phone", "on_duplicate": "update"}),
        (mona, "PATCH", "/v1/pools/p/customers/c1", own),
        (mona, "POST", "/v1/pools/p/customers/c1/follow-up", {"note": "secret", "outcome": "secret"}),
        (mona, "POST", "/v1/pools/p/customers/c1/release", {"reason": "secret"}),
        (mona, "POST", "/v1/pools/p/claim", {"customer_ids": ["secret id", "k1"]}),
        (mona, "POST", "/v1/pools/p/claim-next", {"count": 3}),
        (mona, "POST", "/v1/pools/p/release", {"customer_ids": ["k1", "secret id"], "reason": "secret"}),
        (mona, "POST", "/v1/pools/p/extend", {"customer_ids": ["k1"], "by": "secret"}),
        (world.root, "POST", "/v1/pools", {"id": "x", "name": "X", "policy": {"time_zone": "secret"}}),
        (world.root, "POST", "/v1/pools", {"id": "x", "name": "X", "policy": {"claim_ttl": "secret", "secret 1": 1}}),
        (mona, "PATCH", "/v1/pools/p", {"policy": {"secret 1": 1}}),
        (mona, "PATCH", "/v1/pools/p", {"policy": {"claim_ttl": "secret"}}),
    ]

    for number, (who, method, path, body) in enumerate(requests):
        who.request(method, path, body, idempotency_key=f"k{number}", if_match="1" if path.endswith("/p") else "*")
    for route in WITH_BODY:
        about_customers = "/customers" in route.path or "/import" in route.path
        body = good_body(route).replace(b'"New"', f'"{NAME}"'.encode()) if about_customers else good_body(route)
        send(mona, route, body, idempotency_key="mona")
        send(world.root, route, body, idempotency_key="root")

    kept = [
        (item["pk"]["S"], zlib.decompress(item["answers"]["B"]).decode())
        for item in everything(world.table)
        if "answers" in item
    ]
    assert len(kept) > 40
    assert [(where, text) for where, text in kept if any(each in text.lower() for each in TEXTS)] == []


def test_a_repeated_claim_costs_two_reads_more_than_the_first(world: World) -> None:
    masked_pool(world)
    world.alice.get("/customers/c1")
    with counted(world) as first:
        world.alice.claim("c1", idempotency_key="k")
    world.alice.release("c1")

    with counted(world) as again:
        assert hidden(world.alice.claim("c1", idempotency_key="k").json)

    assert dict(first) == {"TransactWriteItems": 1}
    assert dict(again) == {"TransactWriteItems": 1, "BatchGetItem": 2}


def test_a_replayed_refusal_is_in_the_language_of_the_new_request(world: World) -> None:
    mona = world.pool(holding_limit=0, customers=1)
    mona.claim("c1", idempotency_key="k")

    again = mona.claim("c1", idempotency_key="k", accept_language="zh-CN")

    assert (again.code, again.json["detail"]) == ("holding_limit", "持有客户数已达上限。")


def test_a_replay_about_an_expired_claim_is_masked(world: World) -> None:
    masked_pool(world)
    world.mona.patch("", {"policy": {"claim_ttl": "PT1H"}}, if_match="1")
    first = world.alice.claim("c1", idempotency_key="k")
    world.clock.forward(HOUR)

    again = world.alice.claim("c1", idempotency_key="k")

    assert not hidden(first.json) and hidden(again.json)
    assert facts(again.json) == facts(first.json)
