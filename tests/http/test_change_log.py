"""The log of changes: who changed which rule, field, status or member, and when (rule 17)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, START, Reply, User, World, everything


def change(user: User, **body: Any) -> Reply:
    version = user.get().headers["ETag"]
    return user.request("PATCH", f"/v1/pools/{user.pool}", body, if_match=version)


def entries(user: User, query: str = "") -> list[tuple[str, str, Any, Any]]:
    """Return the log without the members that the world adds: by whom, what, old and new."""
    listed = [(each["by"], each["what"], each["old"], each["new"]) for each in user.walk(f"/log{query}")]
    return [each for each in listed if not (each[1].startswith("member:") and each[0] == "root" and each[2] is None)]


def test_rule_17_the_log_names_who_changed_which_rule_and_member(world: World) -> None:
    mona = world.pool(holding_limit=5)
    world.clock.forward(DAY)

    change(mona, name="Field sales", policy={"holding_limit": 7, "cooldown": "P1D"})
    mona.put("/members/alice", {"role": "member", "holding_limit": 3})
    mona.request("PATCH", "/v1/pools/p/members/alice", {"private_limit": 2})
    mona.delete("/members/bob")

    assert entries(mona) == [
        ("mona", "name", {"name": "P"}, {"name": "Field sales"}),
        ("mona", "policy", {"holding_limit": 5, "cooldown": None}, {"holding_limit": 7, "cooldown": "P1D"}),
        ("mona", "member:alice", {"holding_limit": None}, {"holding_limit": 3}),
        ("mona", "member:alice", {"private_limit": None}, {"private_limit": 2}),
        ("mona", "member:bob", {"role": "member", "holding_limit": None, "private_limit": None, "takes": None}, None),
    ]
    first, *_, last = mona.walk("/log")
    assert (first["what"], first["by"], first["old"]) == ("member:alice", "root", None)
    assert last["at"] == rfc3339(START + DAY)


def test_a_change_of_status_is_logged_once(world: World) -> None:
    world.pool()

    for verb, body in (
        ("pause", None),
        ("pause", None),
        ("resume", None),
        ("close", {"mode": "drain"}),
        ("open", None),
    ):
        world.clock.forward(1)
        assert world.root.post(f"/{verb}", body).status == 200

    assert entries(world.mona) == [
        ("root", "status", {"status": "open"}, {"status": "paused"}),
        ("root", "status", {"status": "paused"}, {"status": "open"}),
        ("root", "status", {"status": "open", "closing": None}, {"status": "closed", "closing": "drain"}),
        ("root", "status", {"status": "closed", "closing": "drain"}, {"status": "open", "closing": None}),
    ]


def test_a_change_of_fields_names_the_definitions_that_differ(world: World) -> None:
    mona = world.pool()
    fields = [{"key": "phone", "label": {"en": "Phone", "zh": "电话"}, "type": "phone"}]

    assert change(mona, fields=fields).status == 200
    assert change(mona, fields=[fields[0] | {"required": True}]).status == 200

    assert [(what, old and set(old), set(new)) for _, what, old, new in entries(mona)][-1] == (
        "fields", {"phone"}, {"phone"}
    )  # fmt: skip


@pytest.mark.parametrize("body", [{"policy": {"holding_limit": 0}, "dry_run": True}, {"policy": {"win": "holder"}}, {}])
def test_what_changes_nothing_is_not_logged(world: World, body: dict[str, Any]) -> None:
    mona = world.pool()

    assert change(mona, **body).status == 200
    assert mona.put("/members/alice", {"role": "member"}).status == 200
    assert world.alice.put("/members/bob", {"role": "member", "holding_limit": 1}).code == "not_manager"
    assert mona.request("PATCH", "/v1/pools/p", {"name": "Other"}, if_match='"77"').code == "version_conflict"

    assert entries(mona) == []


def test_a_repeated_change_is_logged_once(world: World) -> None:
    mona = world.pool()
    request = ("PATCH", "/v1/pools/p", {"policy": {"claim_ttl": "P1D"}, "apply_to": "all"})

    first, again = (mona.request(*request, if_match='"1"', idempotency_key="k") for _ in range(2))

    assert (first.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert entries(mona) == [("mona", "policy", {"claim_ttl": None}, {"claim_ttl": "P1D"})]


def test_the_log_is_listed_by_days_of_the_pool_and_by_pages(world: World) -> None:
    mona = world.pool(time_zone="Asia/Shanghai")
    for limit in range(1, 6):
        world.clock.forward(DAY)
        change(mona, policy={"holding_limit": limit})

    limits = [new["holding_limit"] for *_, new in entries(mona, "?from=2026-06-03&to=2026-06-05")]
    for size in (1, 2, 100):
        assert [each["at"] for page in mona.pages("/log", size) for each in page] == [
            each["at"] for each in mona.walk("/log")
        ]

    assert limits == [2, 3, 4]
    assert entries(mona, "?from=2026-06-06") == [("mona", "policy", {"holding_limit": 4}, {"holding_limit": 5})]
    assert entries(mona, "?to=2026-06-01") == [] == entries(mona, "?from=2027-06-01") == entries(mona, "?to=0001-01-01")
    assert mona.get("/log?from=2026-06-03&to=2026-06-02").code == "invalid_request"
    for bad in ("from=9999-12-31", "from=0001-01-01", "to=9999-12-31"):
        assert mona.get(f"/log?{bad}").status == 200


def test_an_entry_is_shown_for_400_days_and_has_an_end_for_the_table(world: World) -> None:
    mona = world.pool()
    change(mona, name="Other")
    stored = [item for item in everything(world.table) if item["pk"]["S"] == keys.log_of("main", "p")]

    world.clock.forward(400 * DAY)
    shown = entries(mona)
    world.clock.forward(1)

    assert {item["ttl"]["N"] for item in stored} == {str((START + 400 * DAY) // 1000)}
    assert len(shown) == 1 and entries(mona) == []


def test_only_managers_read_the_log(world: World) -> None:
    mona = world.pool()

    assert (world.alice.get("/log").status, world.alice.get("/log").code) == (403, "not_manager")
    assert world.root.get("/log").status == mona.get("/log").status == 200


def test_a_page_of_the_log_names_its_users_in_few_requests(world: World) -> None:
    mona = world.pool()
    world.root.request("PUT", "/v1/users/root", {"name": "Rita Root"})
    mona.get("/log?limit=1")

    with counted(world) as calls:
        page = mona.get("/log").json

    assert page["people"] == {"root": {"name": "Rita Root"}}
    assert calls["Query"] == 1 and calls.total() <= 3


def test_a_deleted_pool_leaves_no_log_to_a_later_one_with_its_id(world: World) -> None:
    mona = world.pool()
    change(mona, name="Other")
    for user in ("alice", "bob", "mona"):
        world.root.delete(f"/members/{user}")

    assert world.root.request("DELETE", "/v1/pools/p").status == 200
    world.pool()

    assert entries(world.mona) == []
    assert [each["what"] for each in world.mona.walk("/log")] == ["member:alice", "member:bob", "member:mona"]


def test_a_malformed_entry_is_left_out(world: World) -> None:
    mona = world.pool()
    change(mona, name="Other")
    key = next(item for item in everything(world.table) if item["sk"]["S"].endswith("#name"))
    client: Any = world.table.connection.client
    client.put_item(TableName=world.table.name, Item=key | {"old": {"S": "{"}})

    assert entries(mona) == []
