"""A tenant's admin: a manager's verbs in every pool, without a membership, and with every counter right."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import items, keys
from tests.support.canaries import FIELDS, PHONE
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, World, everything


def test_an_admin_without_a_membership_may_use_every_manager_verb(world: World) -> None:
    world.pool(claim_ttl="P7D", extension="P1D", max_returns=1)
    world.pool("q")
    root = world.root

    done = [
        root.create("c1"),
        root.post("/import", {"rows": [{"id": "c2", "name": "C2"}, {"id": "c3", "name": "C3"}]}),
        root.patch("/customers/c1", {"name": "Renamed"}),
        root.post("/customers/c1/assign", {"to": "alice"}),
        root.post("/customers/c1/transfer", {"to": "bob"}),
        root.post("/customers/c1/extend", {"by": "PT1H"}),
        root.post("/customers/c1/pin", {"until": "2026-06-03T00:00:00Z"}),
        root.post("/customers/c1/unpin"),
        root.release("c1", reason="taken back"),
        root.post("/customers/c1/restore"),
        root.post("/customers/c2/convert", {"to": "alice"}),
        root.post("/customers/c2/deposit"),
        root.post("/customers/c3/assign", {"to": "bob"}),
        root.post("/customers/c3/win"),
        root.post("/customers/c3/deposit", {"pool": "q"}),
        root.patch("", {"policy": {"claim_ttl": "P9D"}}, if_match="1"),
        root.put("/members/carl", {"role": "manager"}),
        root.delete("/members/carl"),
    ]

    assert [(each.status, each.json.get("code")) for each in done if each.status not in (200, 201)] == []
    assert root.events("c1")[-3:] == ["reclaimed", "set_aside", "restored"]
    assert {each["by"] for each in root.walk("/customers/c1/history") if each["type"] == "assigned"} == {"root"}


def test_an_admin_who_is_a_plain_member_still_manages_the_pool(world: World) -> None:
    world.pool(members="alice anna", customers=2)
    world.alice.claim("c1")
    anna = world.user("anna", admin=True)

    assert anna.release("c1").status == 200
    assert anna.claim("c2").status == 200
    assert anna.create("c3").status == 201
    assert anna.delete("/members/alice").status == 200
    assert anna.get("/members/me").json["role"] == "member"


def test_verbs_that_need_a_counter_require_a_membership_even_from_an_admin(world: World) -> None:
    world.pool(customers=2)
    root = world.root

    refused = [
        root.claim("c1"),
        root.claim_next(),
        root.post("/customers/c1/assign", {"to": "root"}),
        root.post("/customers/c1/convert", {"to": "root"}),
        root.get("/members/me"),
    ]

    assert [(each.status, each.code) for each in refused] == [(403, "not_a_member")] * 5
    assert root.claim_batch(["c1", "c2"]).results == ["not_a_member", "not_a_member"]


def test_eligibility_lists_the_missing_membership_of_an_admin(world: World) -> None:
    world.pool(embargo="PT1H", customers=1)

    shown = world.root.get("/customers/c1/eligibility").json

    assert [each["code"] for each in shown["blocking"]] == ["not_a_member", "embargoed"]


def test_an_admin_reads_as_a_manager_and_sees_masked_fields_in_full(world: World) -> None:
    mona = world.pool(masked_fields=["phone", "name"])
    mona.create("c1", name="Zhang San", fields=FIELDS)
    root = world.root

    pages = [
        root.get(path).json["items"] for path in ("/customers", "/customers?name=zhang", f"/customers?phone={PHONE}")
    ]

    assert [each["fields"]["phone"] for page in pages for each in page] == [PHONE] * 3
    assert root.customer("c1") == mona.customer("c1") and not root.customer("c1")["masked"]
    assert root.get("/customers/c1/history").json == mona.get("/customers/c1/history").json
    assert root.get("/members").json == mona.get("/members").json
    assert root.post("/customers/c1/assign", {"to": "alice"}).json["fields"]["phone"] == PHONE


def test_an_admin_of_another_tenant_finds_nothing(world: World) -> None:
    world.pool(customers=1)
    stranger = world.user("root", admin=True, tenant="acme")

    assert {stranger.get("/customers").status, stranger.customer("c1")["status"], stranger.create("c2").status} == {404}


# Customers added by an admin


def test_customers_that_an_admin_adds_and_removes_are_counted(world: World) -> None:
    mona, root = world.pool(), world.root
    rows = {"rows": [{"id": f"c{number}", "name": "C"} for number in range(1, 6)]}

    undone = root.post("/import", rows).json["import_id"]
    root.create("c6")
    assert root.post(f"/imports/{undone}/undo").json["summary"]["failed"] == 0
    shown = mona.get("/stats").json

    assert shown["now"].items() >= {"available": 1, "claimed": 0, "set_aside": 0}.items()
    assert shown["totals"]["entered"] == 6
    assert [(row["user_id"], row["entered"]) for row in shown["by_member"] if row["entered"]] == [("root", 6)]
    assert root.request("POST", "/v1/audit", {}).json["drifted"] == 0


def test_customers_that_an_admin_adds_count_on_the_local_day_of_the_pool(world: World) -> None:
    mona, root = world.pool(time_zone="Asia/Shanghai"), world.root
    root.create("c1")
    world.clock.forward(DAY)
    root.create("c2")

    days = {row["day"]: row["entered"] for row in mona.get("/stats").json["by_day"]}

    assert days == {"2026-06-01": 1, "2026-06-02": 1}


@pytest.mark.parametrize("first", ["put", "create"])
def test_pool_counts_stay_when_an_admin_becomes_a_member_and_leaves(world: World, first: str) -> None:
    mona, root = world.pool(), world.root
    steps: dict[str, Any] = {
        "put": lambda: root.put("/members/root", {"role": "member"}),
        "create": lambda: root.create("c1"),
    }

    for step in (first, "create" if first == "put" else "put"):
        assert steps[step]().status in (200, 201)
    root.claim("c1")
    root.release("c1")
    assert root.delete("/members/root").status == 200
    shown = mona.get("/stats").json

    assert shown["now"].items() >= {"available": 1, "claimed": 0, "set_aside": 0}.items()
    (row,) = (row for row in shown["by_member"] if row["user_id"] == "root")
    assert [row[kind] for kind in ("entered", "claimed", "released", "held")] == [1, 1, 1, 0]


def test_an_admins_create_is_one_transaction(world: World) -> None:
    world.pool()
    world.root.get("/customers")

    with counted(world) as calls:
        assert world.root.create("c1").status == 201

    assert calls["TransactWriteItems"] == 1


def test_a_customer_added_and_removed_is_counted_in_the_row_of_the_pool(world: World) -> None:
    world.pool()

    undone = world.root.post("/import", {"rows": [{"id": "c1", "name": "C1"}]}).json["import_id"]
    world.root.post(f"/imports/{undone}/undo")

    key = keys.pool_counts_key("main", "p")
    row = next(
        items.deserialize_item(each) for each in everything(world.table) if (each["pk"]["S"], each["sk"]["S"]) == key
    )
    assert (row["pooled"], row["changes"]) == (0, 2)


# Removing members


def test_an_admin_removes_a_member_whose_customers_go_to_another(world: World) -> None:
    world.pool(holding_limit=2, claim_ttl="PT1H", customers=3)
    world.alice.claim_batch(["c1", "c2"])
    root = world.root

    assert root.delete("/members/alice").code == "member_has_claims"
    assert root.delete("/members/alice?held=transfer&to=root").code == "not_a_member"
    assert root.delete("/members/alice?held=transfer&to=bob").status == 200

    assert {root.customer(each)["holder"] for each in ("c1", "c2")} == {"bob"}
    world.clock.forward(HOUR)
    assert root.delete("/members/bob").status == 200


def test_an_admin_cannot_act_on_an_expired_claim(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(HOUR)
    root = world.root

    refused = [root.release("c1"), root.post("/customers/c1/extend", {"by": "PT1H"}), root.post("/customers/c1/win")]

    assert [each.code for each in refused] == ["expired"] * 3
