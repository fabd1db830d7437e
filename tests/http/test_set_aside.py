"""Setting aside: a customer returned too often waits for a manager (rule 19)."""

from __future__ import annotations

from tests.support.world import DAY, World


def test_a_customer_is_set_aside_for_review_after_too_many_returns(world: World) -> None:
    mona = world.pool(max_returns=2, customers=2)
    for name in ("alice", "bob"):
        world.user(name).claim("c1")
        returned = world.user(name).release("c1").json

    assert returned["set_aside_at"] is not None
    assert world.alice.claim("c1").code == "set_aside"
    assert mona.post("/customers/c1/assign", {"to": "bob"}).code == "set_aside"
    assert world.bob.claim_next(5).ids == ["c2"]
    assert world.bob.events("c1")[-2:] == ["released", "set_aside"]


def test_a_manager_lists_and_restores_customers_set_aside(world: World) -> None:
    mona = world.pool(max_returns=1, customers=2)
    world.alice.claim("c1")
    world.alice.release("c1")
    listed = {state: mona.get(f"/customers?state={state}").json["items"] for state in ("set_aside", "available")}

    refused = world.alice.post("/customers/c1/restore")
    restored = mona.post("/customers/c1/restore")

    assert [[each["id"] for each in items] for items in listed.values()] == [["c1"], ["c2"]]
    assert refused.code == "not_manager"
    assert (restored.status, restored.json["set_aside_at"], restored.json["returns"]) == (200, None, 0)
    assert world.bob.claim("c1").status == 200
    assert mona.get("/stats").json["now"].items() >= {"available": 1, "claimed": 1, "set_aside": 0}.items()


def test_restoring_a_customer_not_set_aside_changes_nothing(world: World) -> None:
    mona = world.pool(max_returns=1, customers=1)
    before = mona.customer("c1")

    assert mona.post("/customers/c1/restore").json == before
    assert mona.post("/customers/nobody/restore").status == 404


def test_an_expired_claim_whose_return_sets_aside_cannot_be_claimed_before_a_sweep(world: World) -> None:
    mona = world.pool(max_returns=1, claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    world.clock.forward(2 * DAY)

    before = world.bob.claim("c1").code
    nothing = world.bob.claim_next().json["items"]
    assert world.sweep().returned == 1
    after = world.bob.claim("c1").code

    assert before == after == "set_aside"
    assert nothing == []
    assert mona.get("/stats").json["now"].items() >= {"available": 0, "claimed": 0, "set_aside": 1}.items()


def test_an_expired_claim_whose_return_sets_aside_can_be_restored_before_a_sweep(world: World) -> None:
    mona = world.pool(max_returns=1, claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    world.clock.forward(2 * DAY)

    restored = mona.post("/customers/c1/restore").json

    assert (restored["state"], restored["holder"], restored["returns"]) == ("available", None, 0)
    assert mona.events("c1") == ["imported", "claimed", "expired", "set_aside", "restored"]
    assert world.bob.claim("c1").status == 200


def test_a_refused_claim_names_set_aside_as_its_reason(world: World) -> None:
    world.pool(max_returns=1, customers=1)
    world.alice.claim("c1")
    world.alice.release("c1")

    shown = world.bob.get("/customers/c1/eligibility").json

    assert [rule["code"] for rule in shown["blocking"]] == ["set_aside"]


def test_a_customer_set_aside_can_be_converted(world: World) -> None:
    mona = world.pool(max_returns=1, customers=1)
    world.alice.claim("c1")
    world.alice.release("c1")

    converted = mona.post("/customers/c1/convert", {"to": "bob"}).json

    assert (converted["state"], converted["set_aside_at"]) == ("private", None)
