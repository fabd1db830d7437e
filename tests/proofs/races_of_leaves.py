"""Races of a user who leaves the company against whatever would give them a customer, and against other leaves."""

from __future__ import annotations

from typing import Any

from tests.proofs.race_runner import Race, Request, codes, race, request_by
from tests.support.world import Reply, World

RELEASE = {"held": "release", "private": "deposit"}
TO_BOB = {"held": "transfer", "private": "transfer", "to": "bob"}


def leaving(answers: dict[str, Any] = RELEASE, user: str = "alice") -> Request:
    return request_by("root", "POST", f"/v1/users/{user}/leave", answers)


def verb(user: str, name: str, customer: str = "c1", **body: Any) -> Request:
    return request_by(user, "POST", f"/v1/pools/p/customers/{customer}/{name}", body)


def schedule(world: World) -> int:
    return world.run_schedule().failed


def ended(world: World, user: str = "alice") -> Reply:
    """Let the schedule end the leave. Return the progress, and check that the user has nothing."""
    world.run_schedule()
    reply = world.root.request("GET", f"/v1/users/{user}/leave")
    assert (reply.json["state"], reply.json["remaining"]) == ("done", 0)
    assert user not in {each["holder"] for each in world.user("mona").walk("/customers")}
    return reply


def _holding(world: World, **policy: Any) -> None:
    """Alice holds c1 and owns c2; c3 is available, and carl holds c4."""
    world.pool(members="alice bob carl", **policy)
    world.fill(4)
    world.alice.claim_batch(["c1", "c2"])
    world.mona.post("/customers/c2/convert")
    world.user("carl").claim("c4")


def _refused_or_moved(world: World, results: list[Any]) -> None:
    """Check that the leaver got nothing, or that it was disposed of."""
    assert results[0].status in (200, 202)
    moved = ended(world).json["moved"]
    assert codes(results[1:]) == (["user_left"] if moved == 2 else ["ok"])


@race
def a_leave_and_a_claim(world: World) -> Race:
    _holding(world)
    return Race([leaving(), verb("alice", "claim", "c3")], _refused_or_moved, cached=("c1", "c2", "c3"))


@race
def a_leave_and_a_claim_of_the_next(world: World) -> Race:
    _holding(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[1].status == 200 or results[1].code == "user_left"
        ended(world)

    return Race([leaving(), lambda w: w.alice.claim_next()], check, serial=False)


@race
def a_leave_and_an_assignment(world: World) -> Race:
    _holding(world)
    return Race([leaving(), verb("mona", "assign", "c3", to="alice")], _refused_or_moved, cached=("c1", "c3"))


@race
def a_leave_and_a_transfer_to_the_leaver(world: World) -> Race:
    _holding(world)
    return Race([leaving(TO_BOB), verb("mona", "transfer", "c4", to="alice")], _refused_or_moved, cached=("c1", "c4"))


@race
def a_leave_and_a_win(world: World) -> Race:
    _holding(world, win="holder")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[1:])[0] in ("ok", "user_left", "not_claimed", "not_holder")
        assert ended(world).json["moved"] == 2

    return Race([leaving(), verb("alice", "win")], check, serial=False)


@race
def a_leave_and_an_approval(world: World) -> Race:
    _holding(world, win="approval")
    world.alice.post("/customers/c1/win")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[1:])[0] in ("ok", "user_left", "not_claimed", "win_not_requested")
        assert ended(world).json["moved"] == 2

    return Race([leaving(TO_BOB), verb("mona", "win/approve")], check, serial=False)


@race
def a_leave_and_a_release(world: World) -> Race:
    _holding(world)

    def check(world: World, results: list[Any]) -> None:
        released = results[1].status == 200
        assert released or results[1].code == "not_claimed"
        assert ended(world).json["moved"] == 2 - released

    return Race([leaving(), verb("alice", "release")], check, cached=("c1", "c2"))


@race
def a_leave_while_the_user_joins_another_pool(world: World) -> Race:
    _holding(world)
    world.pool("q", members="bob", customers=1)
    joins = request_by("root", "PUT", "/v1/pools/q/members/alice", {"role": "member"})

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[1:]) in (["ok"], ["user_left"])
        ended(world)
        assert world.user("alice", pool="q").claim("c1").code in ("user_left", "not_a_member")

    return Race([leaving(), joins], check, cached=())


@race
def a_leave_and_a_removal(world: World) -> Race:
    _holding(world)
    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice?held=transfer&private=deposit&to=carl")

    def check(world: World, results: list[Any]) -> None:
        assert [reply.status for reply in results] in ([200, 200], [202, 200])
        ended(world)
        assert world.mona.get("/members/alice").status == 404

    return Race([leaving(TO_BOB), remove], check, serial=False)


@race
def two_requests_to_leave_with_different_answers(world: World) -> Race:
    _holding(world)

    def check(world: World, results: list[Any]) -> None:
        assert all(reply.status in (200, 202) for reply in results)
        assert ended(world).json["moved"] == 2

    return Race([leaving(), leaving(TO_BOB)], check, serial=False)


@race
def a_leave_that_two_rounds_of_the_schedule_continue(world: World) -> Race:
    _holding(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status in (200, 202) and results[1:] == [0, 0]
        assert ended(world).json["moved"] == 2

    return Race([leaving(TO_BOB), schedule, schedule], check, serial=False)


@race
def a_leave_that_is_taken_back_at_once(world: World) -> Race:
    _holding(world)
    back = request_by("root", "PUT", "/v1/users/alice", {"left": False})

    def check(world: World, results: list[Any]) -> None:
        world.run_schedule()
        assert results[1].status == 200
        left = world.root.request("GET", "/v1/users/alice/leave")
        claimed = world.alice.claim("c3")
        assert (left.status, claimed.status) in ((404, 200), (200, 409))
        assert results[0].status in (200, 202) or (left.status, results[0].status) == (404, 404)

    return Race([leaving(), back, verb("alice", "claim", "c3")], check, serial=False, cached=("c1", "c3"))


@race
def the_recipient_leaves_too(world: World) -> Race:
    _holding(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[1].status in (200, 202)
        assert results[0].status in (200, 202) or results[0].code == "user_left"
        ended(world, "bob")
        if results[0].status != 409:
            assert ended(world).json["moved"] == 2

    return Race([leaving(TO_BOB), leaving(user="bob")], check, serial=False)


@race
def a_leave_and_a_closing_to_private(world: World) -> Race:
    _holding(world)
    close = request_by("root", "POST", "/v1/pools/p/close", {"mode": "to_private"})

    def check(world: World, results: list[Any]) -> None:
        assert results[1].status == 200
        ended(world)
        assert world.mona.customer("c4")["state"] == "private"

    return Race([leaving(), close], check, serial=False)
