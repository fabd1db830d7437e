"""Suppression: a customer that is not to be contacted is claimed by nobody, and no other one gets its contacts."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import items, keys
from tests.support.audit import assert_sound
from tests.support.canaries import EMAIL, FIELDS, NAME, PHONE
from tests.support.undo_requests import imported, undo, undo_results
from tests.support.world import DAY, Reply, User, World, everything

OTHER = "+86 138 1002 8888"


def suppress(user: User, customer: str = "c1", **body: Any) -> Reply:
    headers = {name: body.pop(name) for name in ("idempotency_key", "if_match") if name in body}
    return user.post(f"/customers/{customer}/suppress", body, **headers)


def unsuppress(user: User, customer: str = "c1", **headers: str) -> Reply:
    return user.post(f"/customers/{customer}/unsuppress", **headers)


def with_contacts(world: World, **policy: Any) -> User:
    """Customer c1 with a phone number and an e-mail address."""
    mona = world.pool(**policy)
    assert mona.create("c1", name=NAME, fields=FIELDS).status == 201
    return mona


def suppressions(world: World) -> list[dict[str, Any]]:
    return [items.deserialize_item(item) for item in everything(world.table) if "#SUPPRESSED#" in item["pk"]["S"]]


# The customer


def test_a_suppressed_customer_stays_available_and_nobody_gets_it(world: World) -> None:
    mona = with_contacts(world)

    reply = suppress(mona)

    assert (reply.status, reply.json["state"], reply.json["version"]) == (200, "available", 2)
    assert reply.json["suppressed_at"] == "2026-06-01T08:00:00.000Z" and reply.json["available_at"] is None
    refused = [
        world.alice.claim("c1"),
        mona.post("/customers/c1/assign", {"to": "bob"}),
        mona.post("/customers/c1/convert", {"to": "bob"}),
    ]
    assert [(each.status, each.code) for each in refused] == [(409, "suppressed")] * 3
    assert mona.post("/customers/c1/transfer", {"to": "bob"}).code == "not_claimed"
    assert world.alice.claim_next(5).json["items"] == []
    assert mona.events("c1") == ["created", "suppressed"]


def test_an_import_that_names_a_holder_for_a_suppressed_customer_is_refused(world: World) -> None:
    mona = with_contacts(world)
    suppress(mona)

    rows = [{"id": "c1", "name": "New name", "holder": "bob"}]
    reply = mona.post("/import", {"rows": rows, "on_duplicate": "update"})

    assert reply.results == ["suppressed"]
    assert mona.customer("c1")["name"] == NAME and world.bob.held() == 0


def test_eligibility_names_the_suppression_after_the_state(world: World) -> None:
    mona = with_contacts(world, embargo="P1D")
    suppress(mona)

    blocking = world.alice.get("/customers/c1/eligibility").json["blocking"]

    assert [each["code"] for each in blocking] == ["suppressed", "embargoed"]


def test_suppressed_customers_have_a_list_of_their_own(world: World) -> None:
    mona = with_contacts(world, max_returns=1)
    world.fill(2, prefix="d")
    world.alice.claim("d1")
    world.alice.release("d1")
    for customer in ("c1", "d1"):
        suppress(mona, customer)

    lists = {state: mona.customer_ids(f"state={state}") for state in ("suppressed", "available", "set_aside")}

    assert lists == {"suppressed": ["c1", "d1"], "available": ["d2"], "set_aside": []}
    assert mona.customer_ids("state=suppressed&holder=bob") == []
    assert mona.customer_ids("state=suppressed&q=canary") == ["c1"]
    assert mona.customer_ids("state=available&sort=name") == ["d2"]
    assert sorted(mona.customer_ids()) == ["c1", "d1", "d2"]
    unsuppress(mona, "d1")
    assert mona.customer_ids("state=set_aside") == ["d1"]


def test_a_suppressed_customer_is_in_no_total(world: World) -> None:
    mona = with_contacts(world)
    world.fill(1, prefix="d")

    suppress(mona)
    now = mona.get("/stats").json["now"]
    unsuppress(mona)

    assert now.items() >= {"available": 1, "claimed": 0, "private": 0, "set_aside": 0}.items()
    assert mona.get("/stats").json["now"]["available"] == 2
    assert mona.get("/stats").json["totals"]["entered"] == 2


def test_only_managers_and_admins_suppress(world: World) -> None:
    mona = with_contacts(world)

    replies = [suppress(world.alice), unsuppress(world.alice), suppress(world.user("eve"))]

    assert [reply.code for reply in replies] == ["not_manager", "not_manager", "not_a_member"]
    assert suppress(world.root).status == unsuppress(world.root).status == 200
    assert suppress(mona, "nobody").status == unsuppress(mona, "nobody").status == 404
    assert suppress(mona, "no id").status == unsuppress(mona, "no id").status == 404


def test_a_held_customer_is_suppressed_with_force_only(world: World) -> None:
    mona = with_contacts(world, cooldown="P1D", holding_limit=1)
    world.alice.claim("c1")

    refused = suppress(mona)
    forced = suppress(mona, force=True)

    assert (refused.status, refused.code) == (409, "already_claimed")
    assert (forced.json["state"], forced.json["holder"], forced.json["claim_id"]) == ("available", None, None)
    assert (forced.json["version"], world.alice.held()) == (3, 0)
    event = mona.get("/customers/c1/history").json["items"][-1]
    assert (event["type"], event["from_state"], event["to_state"]) == ("suppressed", "claimed", "available")
    assert (event["by"], event["holder"]) == ("mona", "alice")
    unsuppress(mona)
    assert world.alice.claim("c1").code == "cooldown"
    assert mona.get("/stats").json["totals"]["released"] == 1


def test_a_private_customer_is_suppressed_with_force_only(world: World) -> None:
    mona = with_contacts(world, embargo="P1D")
    world.clock.forward(DAY)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win")

    refused = suppress(mona)
    forced = suppress(mona, force=True)

    assert refused.code == "already_claimed"
    assert (forced.json["state"], forced.json["holder"], forced.json["won_at"]) == ("available", None, None)
    assert world.alice.get("/members/me").json["private"] == 0
    unsuppress(mona)
    assert world.bob.claim("c1").code == "embargoed"


def test_an_expired_claim_is_no_claim_when_its_customer_is_suppressed(world: World) -> None:
    mona = with_contacts(world, claim_ttl="PT1H")
    world.alice.claim("c1")
    world.clock.forward(DAY)

    reply = suppress(mona)

    assert reply.status == 200 and world.alice.held() == 0
    assert mona.events("c1") == ["created", "claimed", "expired", "suppressed"]


def test_suppressing_twice_or_ending_nothing_changes_nothing(world: World) -> None:
    mona = with_contacts(world)

    before = unsuppress(mona)
    first = suppress(mona)
    again = suppress(mona, force=True)

    assert (before.status, before.json["version"]) == (200, 1)
    assert again.status == 200 and again.json == first.json
    assert len(mona.events("c1")) == 2


def test_the_customer_may_be_claimed_after_the_suppression(world: World) -> None:
    mona = with_contacts(world)
    suppress(mona)
    world.clock.forward(DAY)

    reply = unsuppress(mona)

    assert (reply.status, reply.json["suppressed_at"]) == (200, None)
    assert reply.json["available_at"] == "2026-06-02T08:00:00.000Z"
    assert world.alice.claim("c1").status == 200
    assert mona.events("c1") == ["created", "suppressed", "unsuppressed", "claimed"]
    assert suppressions(world) == []


def test_both_verbs_honor_the_version_and_the_idempotency_key(world: World) -> None:
    mona = with_contacts(world)

    stale = suppress(mona, if_match='"9"')
    first, again = (suppress(mona, if_match='"1"', idempotency_key="a") for _ in range(2))
    ended, ended_again = (unsuppress(mona, idempotency_key="b") for _ in range(2))

    assert (stale.status, stale.code) == (412, "version_conflict")
    assert first.text == again.text and again.headers["Idempotent-Replayed"] == "true"
    assert ended.text == ended_again.text and mona.events("c1") == ["created", "suppressed", "unsuppressed"]


def test_a_suppressed_customer_is_in_a_paused_pool_and_in_a_closed_one(world: World) -> None:
    mona = with_contacts(world)
    world.root.post("/pause")
    paused = suppress(mona)
    world.root.post("/resume")
    world.root.post("/close", {"mode": "drain"})

    closed = unsuppress(mona)

    assert paused.status == closed.status == 200


# Its contacts


def writers(world: World, mona: User, contact: dict[str, str]) -> dict[str, str]:
    """Send the contact by each verb that writes one. Return the code of each."""
    new = {"name": "N", "fields": contact}
    there = world.user("mona", pool="q")
    codes = {
        "create": mona.create("n1", fields=contact),
        "create although it exists": mona.create("n2", fields=contact, on_duplicate="allow"),
        "create a private customer": mona.create("n3", fields=contact, private_of="bob"),
        "create elsewhere": there.create("n4", fields=contact),
        "edit": mona.patch("/customers/other", {"fields": contact}),
        "deposit": world.root.post("/customers/private/deposit", {"pool": "q"}),
    }
    found = {name: "ok" if reply.status < 300 else reply.code for name, reply in codes.items()}
    batches = {
        "import": mona.post("/import", {"rows": [{"id": "n5", **new}]}),
        "import by key": there.post("/import", {"rows": [new], "key": "auto"}),
        "import an update": mona.post("/import", {"rows": [{"id": "other", **new}], "on_duplicate": "update"}),
        "edit several": mona.post("/edit", {"customer_ids": ["other"], "fields": contact}),
    }
    return found | {name: reply.results[0] for name, reply in batches.items()}


@pytest.mark.parametrize("contact", [{"phone": "+86 138-1002-9999"}, {"email": EMAIL.upper()}])
def test_nobody_of_the_tenant_gets_a_contact_of_a_suppressed_customer(world: World, contact: dict[str, str]) -> None:
    mona = with_contacts(world)
    world.pool("q")
    mona.create("other")
    mona.create("private", fields=contact, private_of="alice", on_duplicate="allow")

    suppress(mona)

    assert set(writers(world, mona, contact).values()) == {"suppressed"}
    assert mona.customer("other")["version"] == 1
    assert_sound(world.table)


def test_everybody_gets_the_contacts_again_after_the_suppression(world: World) -> None:
    mona = with_contacts(world)
    world.pool("q")
    mona.create("other")
    mona.create("private", fields=FIELDS, private_of="alice", on_duplicate="allow")
    suppress(mona)
    unsuppress(mona)

    codes = writers(world, mona, {"phone": PHONE})

    assert set(codes.values()) == {"duplicate_customer", "ok"}  # never `suppressed`


def test_another_tenant_has_its_own_suppressions(world: World) -> None:
    suppress(with_contacts(world))

    elsewhere = world.pool(tenant="acme")

    assert elsewhere.create("c1", fields=FIELDS).status == 201


def test_two_suppressed_customers_with_one_number_both_hold_it(world: World) -> None:
    mona = with_contacts(world)
    mona.create("c2", fields={"phone": PHONE}, on_duplicate="allow")
    suppress(mona, "c1")
    suppress(mona, "c2")

    unsuppress(mona, "c2")
    still = mona.create("n1", fields={"phone": PHONE}, on_duplicate="allow")
    unsuppress(mona, "c1")

    assert still.code == "suppressed"
    assert mona.create("n1", fields={"phone": PHONE}, on_duplicate="allow").status == 201
    assert suppressions(world) == []


def test_a_changed_number_of_a_suppressed_customer_is_suppressed_in_place_of_the_old_one(world: World) -> None:
    mona = with_contacts(world)
    suppress(mona)

    same = mona.patch("/customers/c1", {"fields": {"phone": "138 1002 9999", "city": "Bonn"}})
    changed = mona.patch("/customers/c1", {"fields": {"phone": OTHER}})

    assert (same.status, changed.status) == (200, 200)
    assert mona.create("n1", fields={"phone": OTHER}).code == "suppressed"
    assert mona.create("n2", fields={"phone": PHONE}).status == 201
    assert mona.create("n3", fields={"email": EMAIL}).code == "suppressed"
    assert_sound(world.table)


def test_two_customers_do_not_exchange_a_suppressed_number_in_one_batch(world: World) -> None:
    mona = with_contacts(world)
    mona.create("c2")
    suppress(mona)
    body = {"customer_ids": ["c1", "c2"], "fields": {"phone": OTHER}}

    atomic = mona.post("/edit", body | {"atomic": True})
    single = mona.post("/edit", body)

    assert (atomic.status, atomic.results) == (409, ["ok", "suppressed"])
    assert single.results == ["ok", "suppressed"]
    assert mona.customer("c2")["version"] == 1 and mona.customer("c1")["fields"]["phone"] == OTHER


def test_a_dry_run_names_the_rows_with_a_suppressed_contact(world: World) -> None:
    mona = with_contacts(world)
    suppress(mona)
    rows = [{"name": "A", "fields": {"phone": PHONE}}, {"name": "B", "fields": {"phone": OTHER}}]

    tried = {key: mona.post("/import", {"rows": rows, "key": key, "dry_run": True}).results for key in ("id", "phone")}

    assert tried == {"id": ["suppressed", "ok"], "phone": ["suppressed", "ok"]}


def test_the_undo_of_an_import_does_not_bring_a_suppressed_contact_back(world: World) -> None:
    mona = with_contacts(world)
    mona.create("other", fields={"phone": PHONE}, on_duplicate="allow")
    name = imported(mona, {"id": "other", "name": "Other", "fields": {"phone": OTHER}})
    suppress(mona)

    undone = undo(mona, name)

    assert undo_results(undone) == {"other": "suppressed"}
    assert mona.customer("other")["fields"]["phone"] == OTHER


def test_a_suppressed_customer_is_found_by_an_import_and_stays_suppressed(world: World) -> None:
    mona = with_contacts(world)
    suppress(mona)
    rows = [{"name": "Renamed", "fields": {"phone": PHONE, "city": "Bonn"}}]

    modes = {
        mode: mona.post("/import", {"rows": rows, "key": "phone", "on_duplicate": mode}).results
        for mode in ("reject", "skip", "update")
    }

    assert modes == {"reject": ["suppressed"], "skip": ["ok"], "update": ["ok"]}
    shown = mona.customer("c1")
    assert shown["name"] == "Renamed" and shown["suppressed_at"] is not None


def test_the_tenant_stores_digests_only(world: World) -> None:
    mona = with_contacts(world)

    suppress(mona)

    stored = suppressions(world)
    assert len(stored) == 2 and all(each["pk"].rpartition("#")[2].startswith("1.") for each in stored)
    assert not [each for each in stored if PHONE in str(each) or "canary" in str(each).lower()]


# Erased customers


def erase(user: User, customer: str = "c1", **body: Any) -> Reply:
    return user.post(f"/customers/{customer}/erase", {"reason": "requested"} | body)


def test_an_erased_customer_stays_suppressed_until_the_suppression_ends(world: World) -> None:
    mona = with_contacts(world)

    erased = erase(mona, suppress=True)
    listed = mona.get("/erased").json["items"]
    refused = mona.create("n1", fields={"phone": PHONE})
    first, again = unsuppress(mona), unsuppress(mona)

    assert erased.status == 200 and [each["suppressed"] for each in listed] == [True]
    assert refused.code == "suppressed"
    assert (first.status, first.json) == (200, erased.json) and again.json == first.json
    assert [each["suppressed"] for each in mona.get("/erased").json["items"]] == [False]
    assert mona.create("n1", fields={"phone": PHONE}).status == 201
    assert mona.create("c1").code == "suppressed" and mona.get("/customers/c1").status == 404
    assert suppress(mona).status == 404 and suppressions(world) == []


def test_a_customer_that_is_erased_without_suppression_leaves_no_digest(world: World) -> None:
    mona = with_contacts(world)
    suppress(mona)

    erase(mona)

    assert suppressions(world) == []
    assert [each["suppressed"] for each in mona.get("/erased").json["items"]] == [False]
    assert mona.create("n1", fields=FIELDS).status == 201


def test_a_suppressed_customer_that_is_erased_stays_suppressed_on_request(world: World) -> None:
    mona = with_contacts(world)
    mona.create("c2", fields=FIELDS, on_duplicate="allow")
    suppress(mona)

    reply = mona.post("/erase", {"customer_ids": ["c1", "c2"], "reason": "requested", "suppress": True})

    assert reply.results == ["ok", "ok"] and [each["count"] for each in suppressions(world)] == [2, 2]
    unsuppress(mona, "c1")
    assert mona.create("n1", fields=FIELDS).code == "suppressed"
    unsuppress(mona, "c2")
    assert suppressions(world) == []


def test_two_suppressed_customers_with_one_number_are_erased_at_once(world: World) -> None:
    mona = with_contacts(world)
    mona.create("c2", fields=FIELDS, on_duplicate="allow")
    for customer in ("c1", "c2"):
        suppress(mona, customer)

    reply = mona.post("/erase", {"customer_ids": ["c1", "c2"], "reason": "requested", "atomic": True})

    assert reply.results == ["ok", "ok"] and suppressions(world) == []


def test_only_managers_end_the_suppression_of_an_erased_customer(world: World) -> None:
    mona = with_contacts(world)
    erase(mona, suppress=True)

    assert unsuppress(world.alice).code == "not_manager"
    assert unsuppress(world.root, idempotency_key="k").text == unsuppress(world.root, idempotency_key="k").text
    key = keys.customer_key("main", "p", "c1")
    assert items.tombstone_record(world.table.get([key])[key]).digests == ()
