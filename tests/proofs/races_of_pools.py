"""Races of changes of a pool or its members against claims, extensions and sweeps."""

from __future__ import annotations

from typing import Any

from chalicelib.model.times import rfc3339
from tests.proofs.race_runner import Race, codes, race, request_by, run_sweep
from tests.proofs.races_of_deadlines import extend, held_for_an_hour
from tests.proofs.races_of_verbs import held, verb
from tests.support.world import DAY, HOUR, MINUTE, START, Reply, World

# The pool as a whole


def as_root(world: World, verb: str, body: Any = None) -> Reply:
    return world.user("root", admin=True).post(f"/{verb}", body)


@race
def a_pause_and_a_claim_and_an_extension(world: World) -> Race:
    world.pool(claim_ttl="PT1H", members_may_extend=True)
    world.fill(2)
    world.user("alice").claim("c1")

    def check(world: World, results: list[Any]) -> None:
        world.clock.forward(DAY)
        assert as_root(world, "resume").json["status"] == "open"
        ends = {each: world.user("mona").customer(each)["expires_at"] for each in ("c1", "c2")}
        assert ends["c1"] == rfc3339(START + 1 + (2 if results[2].status == 200 else 1) * HOUR + DAY)
        assert ends["c2"] == (rfc3339(START + 1 + HOUR + DAY) if results[1].status == 200 else None)

    return Race(
        [lambda w: as_root(w, "pause"), lambda w: w.user("bob").claim("c2"), extend], check, cached=("c1", "c2")
    )


@race
def a_resumption_and_a_follow_up(world: World) -> Race:
    world.pool(idle_ttl="PT1H", follow_up_restarts_clock=True)
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(30 * MINUTE)
    as_root(world, "pause")
    world.clock.forward(DAY)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].json["status"] == "open"
        left = HOUR if results[1].status == 200 else 30 * MINUTE
        assert world.user("mona").customer("c1")["expires_at"] == rfc3339(world.clock() + left)

    return Race([lambda w: as_root(w, "resume"), verb("alice", "follow-up", note="called")], check, serial=False)


@race
def a_resumption_and_a_sweep(world: World) -> Race:
    world.pool(claim_ttl="PT1H")
    world.fill(1)
    world.user("alice").claim("c1")
    as_root(world, "pause")
    world.clock.forward(DAY)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].json["status"] == "open" and results[1] == 0
        assert world.user("mona").customer("c1")["expires_at"] == rfc3339(world.clock() + HOUR)
        assert world.user("mona").events("c1").count("updated") == 1

    return Race([lambda w: as_root(w, "resume"), run_sweep], check, serial=False)


@race
def one_policy_for_all_claims_is_set_while_a_sweep_is_on(world: World) -> Race:
    held_for_an_hour(world)
    world.clock.forward(-1)
    body = {"policy": {"claim_ttl": "PT5H"}, "apply_to": "all"}

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200
        assert world.user("mona").customer("c1")["expires_at"] == rfc3339(START + 1 + 5 * HOUR)

    return Race([request_by("mona", "PATCH", "/v1/pools/p", body, if_match="1"), run_sweep], check, serial=False)


@race
def a_closing_and_a_claim_and_a_sweep(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim("c1")

    def check(world: World, results: list[Any]) -> None:
        world.sweep()
        assert (world.user("alice").held(), world.user("bob").held()) == (0, 0)

    closing = request_by("root", "POST", "/v1/pools/p/close", {"mode": "drain"})
    return Race([closing, lambda w: w.user("bob").claim("c2"), run_sweep], check, serial=False, cached=("c1", "c2"))


def _spreading(world: World, shards: int = 4) -> None:
    """Create a pool of three customers whose lists are about to be moved to that many shards."""
    world.pool(claim_ttl="PT1H")
    world.fill(3)
    world.user("root", admin=True).post("/spread", {"shards": shards})
    world.clock.forward(15 * MINUTE)


def _whole(world: World, taken: int) -> None:
    """Check that the lists of the pool are complete, before and after the move."""
    for _ in range(2):
        states = [each["state"] for each in world.user("mona").walk("/customers")]
        assert states.count("claimed") == taken == len(world.user("mona").walk("/customers?state=claimed"))
        assert len(world.user("mona").walk("/customers?state=available")) == 3 - taken
        world.sweep()


@race
def a_claim_while_the_pool_is_spread(world: World) -> Race:
    _spreading(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and results[1] == 0
        _whole(world, 1)

    return Race([lambda w: w.user("alice").claim("c1"), run_sweep], check)


@race
def claim_next_while_the_pool_is_spread(world: World) -> Race:
    _spreading(world)

    def check(world: World, results: list[Any]) -> None:
        assert len(results[0].json["items"]) == 2 and results[1] == 0
        _whole(world, 2)

    return Race([lambda w: w.user("alice").claim_next(2), run_sweep], check, serial=False)


@race
def a_spread_and_a_claim_and_a_release(world: World) -> Race:
    world.pool()
    world.fill(3)
    world.user("bob").claim("c2")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "ok", "ok"]
        world.clock.forward(15 * MINUTE)
        _whole(world, 1)

    spread = request_by("root", "POST", "/v1/pools/p/spread", {"shards": 4})
    both = [lambda w: w.user("alice").claim("c1"), lambda w: w.user("bob").release("c2")]
    return Race([spread, *both], check, cached=("c1", "c2"))


@race
def a_sweep_while_the_pool_is_spread(world: World) -> Race:
    world.pool(claim_ttl="PT1H")
    world.fill(3)
    world.user("alice").claim_batch(["c1", "c2"])
    world.user("root", admin=True).post("/spread", {"shards": 4})
    world.clock.forward(HOUR)

    def check(world: World, results: list[Any]) -> None:
        assert results[:2] == [0, 0] and results[2].status == 200
        assert world.user("mona").events("c1")[:3] == ["imported", "claimed", "expired"]
        _whole(world, 1)

    return Race([run_sweep, run_sweep, lambda w: w.user("bob").claim("c1")], check, cached=("c1", "c2"), serial=False)


@race
def a_pool_is_deleted_while_a_customer_enters_it(world: World) -> Race:
    world.pool()

    def check(world: World, results: list[Any]) -> None:
        deleted, created = (reply.status in (200, 201) for reply in results)
        assert not (deleted and created)
        assert (world.user("mona").get().status == 404) == deleted

    delete = request_by("root", "DELETE", "/v1/pools/p")
    return Race([delete, lambda w: w.user("mona").create("c1")], check, serial=False, cached=())


@race
def two_changes_of_one_policy(world: World) -> Race:
    world.pool(claim_ttl="PT1H")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "version_conflict"]

    def change(world: World, **policy: Any) -> Reply:
        return world.user("mona").request("PATCH", "/v1/pools/p", {"policy": policy}, if_match="1")

    return Race([lambda w: change(w, claim_ttl="PT2H"), lambda w: change(w, holding_limit=3)], check, cached=())


@race
def a_policy_for_all_claims_and_an_extension_and_a_release(world: World) -> Race:
    held(world, claim_ttl="PT1H", members_may_extend=True)
    body = {"policy": {"claim_ttl": "PT5H"}, "apply_to": "all"}

    def check(world: World, results: list[Any]) -> None:
        hours = 5 + (results[1].status == 200)
        ends = None if results[2].status == 200 else rfc3339(START + 1 + hours * HOUR)
        assert world.user("mona").customer("c1")["expires_at"] == ends

    change = request_by("mona", "PATCH", "/v1/pools/p", body, if_match="1")
    return Race([change, extend, verb("alice", "release")], check, serial=False)


# Its members


def _removed_while_claiming(world: World, remover: str) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim("c1")

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and codes(results[1:])[0] in ("ok", "not_a_member")
        states = [world.user("mona").customer(each)["state"] for each in ("c1", "c2")]
        assert states == ["available", "available"]

    remove = request_by(remover, "DELETE", "/v1/pools/p/members/alice?held=release")
    return Race([remove, lambda w: w.user("alice").claim("c2")], check, serial=False, cached=("c1", "c2"))


@race
def a_member_is_removed_while_claiming(world: World) -> Race:
    return _removed_while_claiming(world, "mona")


@race
def an_admin_removes_a_member_who_is_claiming(world: World) -> Race:
    return _removed_while_claiming(world, "root")


@race
def a_member_is_removed_while_handing_over(world: World) -> Race:
    held(world)

    def check(world: World, results: list[Any]) -> None:
        assert [reply.status for reply in results] == [200, 200]
        assert world.user("mona").customer("c1")["holder"] == "carl", "the manager gave it to carl, before or after"

    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice?held=transfer&to=bob")
    return Race([remove, verb("mona", "transfer", to="carl")], check, serial=False)


def _counted_once(world: World, claims: int) -> None:
    """Check the claims of alice in the statistics, and in her daily count if she is a member."""
    mona = world.user("mona")
    assert mona.get("/stats").json["totals"]["claimed"] == claims
    shown = mona.get("/members/alice")
    assert shown.status == 404 or shown.json["claimed_today"] == claims


@race
def a_member_is_removed_and_put_back_while_claiming(world: World) -> Race:
    world.pool(daily_claim_limit=1)
    world.fill(2)

    def check(world: World, results: list[Any]) -> None:
        done = [codes([reply])[0] for reply in results]
        assert done[:2] == ["ok", "ok"] and done[2] in ("ok", "not_a_member")
        _counted_once(world, done.count("ok") - 2)

    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice?held=release")
    put = request_by("root", "PUT", "/v1/pools/p/members/alice", {"role": "member"})
    return Race([remove, put, lambda w: w.user("alice").claim("c1")], check, serial=False, cached=("c1", "c2"))


@race
def a_member_who_used_up_the_day_is_removed_and_put_back_while_claiming(world: World) -> Race:
    world.pool(daily_claim_limit=1)
    world.fill(2)
    world.user("alice").claim("c1")
    world.user("alice").release("c1")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[2:])[0] in ("daily_limit", "not_a_member")
        _counted_once(world, 1)

    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice")
    put = request_by("root", "PUT", "/v1/pools/p/members/alice", {"role": "member"})
    return Race([remove, put, lambda w: w.user("alice").claim("c2")], check, cached=("c1", "c2"))


@race
def two_put_a_removed_member_back_and_one_removes_them_again(world: World) -> Race:
    world.pool(daily_claim_limit=2)
    world.fill(1)
    world.user("alice").claim("c1")
    world.user("alice").release("c1")
    world.user("mona").request("DELETE", "/v1/pools/p/members/alice")

    def check(world: World, results: list[Any]) -> None:
        _counted_once(world, 1)

    puts = [request_by(who, "PUT", "/v1/pools/p/members/alice", {"role": "member"}) for who in ("root", "mona")]
    return Race([*puts, request_by("mona", "DELETE", "/v1/pools/p/members/alice")], check)


@race
def an_admin_brings_a_customer_in_while_becoming_a_member_and_leaving_again(world: World) -> Race:
    world.pool()

    def check(world: World, results: list[Any]) -> None:
        shown = world.user("mona").get("/stats").json
        assert results[0].status == 201
        assert (shown["totals"]["entered"], shown["now"]["available"]) == (1, 1)

    create = request_by("root", "POST", "/v1/pools/p/customers", {"id": "c1", "name": "New"})
    put = request_by("root", "PUT", "/v1/pools/p/members/root", {"role": "member"})
    return Race([create, put, request_by("mona", "DELETE", "/v1/pools/p/members/root")], check)


@race
def an_admin_and_a_manager_give_one_customer_to_two_members(world: World) -> Race:
    world.pool()
    world.fill(1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]

    assign = request_by("root", "POST", "/v1/pools/p/customers/c1/assign", {"to": "alice"})
    return Race([assign, verb("mona", "assign", to="bob")], check)


@race
def a_member_is_removed_while_another_claims_what_they_gave_back(world: World) -> Race:
    """A removal releases only what its member still holds."""
    held(world)

    def check(world: World, results: list[Any]) -> None:
        removed, released, claimed = results
        assert removed.status == 200 and codes([released])[0] in ("ok", "not_a_member", "not_claimed", "not_holder")
        assert codes([claimed])[0] in ("ok", "already_claimed")
        assert world.user("bob").held() == (claimed.status == 200)

    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice?held=release")
    return Race([remove, verb("alice", "release"), verb("bob", "claim")], check, serial=False)


@race
def an_assignment_to_a_member_who_is_removed(world: World) -> Race:
    world.pool()
    world.fill(1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) in (["member_has_claims", "ok"], ["not_a_member", "ok"])

    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice")
    return Race([verb("mona", "assign", to="alice"), remove], check)


# Members


@race
def two_changes_of_different_settings_of_a_member_and_a_claim(world: World) -> Race:
    world.pool()
    world.fill(1)

    def check(world: World, results: list[Any]) -> None:
        member = world.user("mona").get("/members/alice").json
        assert [each.status for each in results] == [200, 200, 200]
        assert [member[each] for each in ("holding_limit", "headroom", "private_limit", "version")] == [5, 4, 7, 3]

    limits = [
        request_by("mona", "PATCH", "/v1/pools/p/members/alice", {name: limit})
        for name, limit in (("holding_limit", 5), ("private_limit", 7))
    ]
    return Race([*limits, lambda w: w.user("alice").claim("c1")], check, cached=("c1",))
