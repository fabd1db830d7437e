"""Leaving the company: the marks, what becomes of the customers in all pools, and work that is cut short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.table import Put
from tests.support.canaries import LogCapture
from tests.support.dynamodb_calls import Crash, counted, failing, interrupted
from tests.support.world import HOUR, Reply, World

RELEASE: dict[str, Any] = {"held": "release", "private": "deposit"}
TO_BOB: dict[str, Any] = {"held": "transfer", "private": "transfer", "to": "bob"}


def leave(world: World, answers: dict[str, Any] = RELEASE, user: str = "alice", **headers: str) -> Reply:
    return world.root.request("POST", f"/v1/users/{user}/leave", answers, **headers)


def progress(world: World, user: str = "alice") -> Any:
    return world.root.request("GET", f"/v1/users/{user}/leave").json


def put_user(world: World, body: dict[str, Any], **headers: str) -> Reply:
    return world.root.request("PUT", "/v1/users/alice", body, **headers)


def put_member(world: World, user: str = "alice", pool: str = "p", **limits: int) -> Reply:
    return world.user("root", admin=True, pool=pool).put(f"/members/{user}", {"role": "member"} | limits)


def cut_short(world: World, write: int, answers: dict[str, Any] = RELEASE, **headers: str) -> None:
    """Let alice leave; the process dies before that transaction. 1 marks the user, 2 the members, 3 moves customers."""
    with pytest.raises(Crash), failing(world, write):
        leave(world, answers, **headers)
    world.service = world.another_process()


def holders(world: World, pool: str = "p") -> dict[str, tuple[str, str | None]]:
    return {each["id"]: (each["state"], each["holder"]) for each in world.user("mona", pool=pool).walk("/customers")}


def two_pools(world: World, **policy: Any) -> None:
    """In p alice holds c1 and c2 and owns c3; in q she holds c1. Bob is a member of both."""
    world.pool(customers=4, **policy)
    world.pool("q", customers=2)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.post("/customers/c3/win")
    world.user("alice", pool="q").claim("c1")


# The answers


def test_rule_33_leaving_releases_and_deposits_everything_in_all_pools(world: World) -> None:
    two_pools(world)

    done = leave(world)

    expected = {"user_id": "alice", "state": "done", "moved": 4, "remaining": 0, "not_transferred": 0}
    assert (done.status, done.json) == (200, expected)
    assert progress(world) == expected
    assert {*holders(world).values(), *holders(world, "q").values()} == {("available", None)}
    assert [world.mona.events(each)[-1] for each in ("c1", "c3")] == ["reclaimed", "deposited"]
    (event,) = world.bob.get("/customers/c1/history").json["items"][-1:]
    assert (event["by"], event["holder"], event["reason"], event["masked"]) == ("root", "alice", "user left", False)


def test_leaving_transfers_claims_and_private_customers(world: World) -> None:
    two_pools(world)

    done = leave(world, TO_BOB)

    assert (done.json["moved"], done.json["not_transferred"]) == (4, 0)
    assert holders(world)["c1"] == holders(world, "q")["c1"] == ("claimed", "bob")
    assert holders(world)["c3"] == ("private", "bob")


def test_what_the_recipient_cannot_get_is_released_or_deposited_and_counted(world: World) -> None:
    two_pools(world)
    world.pool("without-bob", members="alice", customers=1)
    world.user("alice", pool="without-bob").claim("c1")
    put_member(world, "bob", holding_limit=1, private_limit=0)

    done = leave(world, TO_BOB)

    assert (done.json["state"], done.json["moved"], done.json["not_transferred"]) == ("done", 5, 3)
    assert [*holders(world).values()].count(("claimed", "bob")) == 1
    assert holders(world)["c3"] == holders(world, "without-bob")["c1"] == ("available", None)
    assert holders(world, "q")["c1"] == ("claimed", "bob")


def test_a_recipient_makes_room_with_their_expired_claims(world: World) -> None:
    world.pool(holding_limit=1, claim_ttl="PT2H", customers=2)
    world.bob.claim("c2")
    world.clock.forward(HOUR)
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    done = leave(world, TO_BOB)

    assert (done.json["moved"], done.json["not_transferred"]) == (1, 0)
    assert holders(world) == {"c1": ("claimed", "bob"), "c2": ("available", None)}


def test_held_and_private_customers_have_answers_of_their_own(world: World) -> None:
    two_pools(world)

    leave(world, {"held": "release", "private": "transfer", "to": "bob"})

    assert (holders(world)["c1"], holders(world)["c3"]) == (("available", None), ("private", "bob"))


@pytest.mark.parametrize("answers", [RELEASE, TO_BOB], ids=lambda answers: answers["held"])
@pytest.mark.parametrize("status", ["paused", "closed", "closed to private"])
def test_leaving_works_in_pools_of_every_status(world: World, status: str, answers: dict[str, Any]) -> None:
    two_pools(world, win="holder")
    if status == "paused":
        world.root.post("/pause")
    else:
        world.root.post("/close", {"mode": "to_private" if status == "closed to private" else "drain"})

    done = leave(world, answers)

    assert (done.status, done.json["state"], done.json["remaining"]) == (200, "done", 0)
    assert "alice" not in {holder for _, holder in holders(world).values()}
    assert holders(world)["c3"] == (("available", None) if answers is RELEASE else ("private", "bob"))


def test_expired_claims_of_a_leaver_are_returned_as_expired(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=2)
    world.alice.claim_batch(["c1", "c2"])
    world.clock.forward(HOUR)

    done = leave(world, TO_BOB)

    assert (done.json["state"], done.json["moved"]) == ("done", 0)
    assert world.mona.events("c1")[-1] == "expired"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "held: is required"),
        ({"held": "release"}, "private: is required"),
        ({"held": "transfer", "private": "deposit"}, "to: requires a transfer, and a transfer requires it"),
        (RELEASE | {"to": "bob"}, "to: requires a transfer, and a transfer requires it"),
        (TO_BOB | {"to": "alice"}, "to: must be another user"),
        ({"held": "deposit", "private": "deposit"}, "held: must be one of release, transfer"),
    ],
    ids=str,
)
def test_a_leave_without_valid_answers_is_refused(no_store: World, body: dict[str, Any], kind: str) -> None:
    refused = leave(no_store, body)

    assert (refused.status, refused.code, refused.json["errors"]) == (422, "invalid_request", [kind])


def test_only_admins_let_a_user_leave_and_read_the_progress(world: World) -> None:
    world.pool()

    refused = world.mona.request("POST", "/v1/users/alice/leave", RELEASE)
    unread = world.alice.request("GET", "/v1/users/alice/leave")

    assert (refused.code, unread.code) == ("not_admin", "not_admin")
    assert world.root.request("GET", "/v1/users/alice/leave").code == "not_found"
    assert world.root.request("POST", "/v1/users/me/leave", RELEASE).code == "not_found"


# The marks


def receiving(world: World) -> dict[str, Callable[[], Reply]]:
    """Every request that would give alice a customer. She holds c1, c2 and c3; the win of c2 is requested."""
    mona = world.mona
    return {
        "claim": lambda: world.alice.claim("c4"),
        "claim-next": world.alice.claim_next,
        "assign": lambda: mona.post("/customers/c4/assign", {"to": "alice"}),
        "transfer": lambda: mona.post("/customers/c5/transfer", {"to": "alice"}),
        "transfer of a private customer": lambda: mona.post("/customers/c6/transfer", {"to": "alice"}),
        "create a private customer": lambda: mona.post("/customers", {"id": "c7", "name": "C", "private_of": "alice"}),
        "convert": lambda: mona.post("/customers/c4/convert", {"to": "alice"}),
        "convert to the holder": lambda: mona.post("/customers/c1/convert"),
        "request a win": lambda: world.alice.post("/customers/c1/win"),
        "win": lambda: mona.post("/customers/c1/win"),
        "approve a win": lambda: mona.post("/customers/c2/win/approve"),
        "join a pool": lambda: put_member(world, pool="q"),
    }


def with_unfinished_leave(world: World) -> None:
    world.pool(customers=6, win="approval")
    world.pool("q", members="bob")
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.post("/customers/c2/win")
    world.bob.claim_batch(["c5", "c6"])
    world.mona.post("/customers/c6/convert")
    cut_short(world, 3)


def test_nothing_gives_a_customer_to_a_user_who_leaves(world: World) -> None:
    with_unfinished_leave(world)

    replies = {name: send() for name, send in receiving(world).items()}

    assert {name: (reply.status, reply.json.get("code")) for name, reply in replies.items()} == dict.fromkeys(
        replies, (409, "user_left")
    )
    batch = world.mona.post("/assign", {"customer_ids": ["c4", "c5"], "to": "alice"})
    assert batch.results == ["user_left", "user_left"]
    rows = [{"id": each, "name": each, "holder": "alice"} for each in ("c4", "new")]
    assert world.mona.post("/import", {"rows": rows, "on_duplicate": "update"}).results == ["user_left", "user_left"]
    assert "user_left" in [each["code"] for each in world.alice.get("/customers/c4/eligibility").json["blocking"]]


def test_a_user_who_leaves_may_still_give_back_and_record_contacts(world: World) -> None:
    with_unfinished_leave(world)

    released = world.alice.release("c1")
    recorded = world.alice.post("/customers/c3/follow-up", {"note": "handed over"})

    assert (released.status, recorded.status) == (200, 200)


def test_closing_to_private_reclaims_the_claims_of_a_user_who_leaves(world: World) -> None:
    with_unfinished_leave(world)

    world.root.post("/close", {"mode": "to_private"})

    assert (holders(world)["c1"], holders(world)["c5"]) == (("available", None), ("private", "bob"))


def test_taking_a_leave_back_lets_the_user_claim_and_join_again(world: World) -> None:
    two_pools(world)
    leave(world)
    left = [each["left"] for each in world.root.request("GET", "/v1/users").json["items"]]

    returned = put_user(world, {"left": False, "name": "Alice"})

    assert left == [True]
    assert (returned.status, returned.json["left"], returned.json["name"]) == (200, False, "Alice")
    assert returned.headers["ETag"] == '"2"'
    assert world.alice.claim("c1").status == 200
    world.pool("r", members="bob")
    assert put_member(world, pool="r").status == 200
    assert world.root.request("GET", "/v1/users/alice/leave").code == "not_found"


def test_taking_a_leave_back_ends_the_work_that_was_cut_short(world: World) -> None:
    two_pools(world)
    cut_short(world, 3)

    returned = put_user(world, {"left": False})
    world.run_schedule()

    assert returned.json["left"] is False
    assert holders(world)["c1"] == ("claimed", "alice")


@pytest.mark.parametrize("write", [2, 3])
def test_the_schedule_ends_a_return_that_was_cut_short(world: World, write: int) -> None:
    two_pools(world)
    cut_short(world, write)
    with pytest.raises(Crash), failing(world, 2):
        put_user(world, {"left": False})
    world.service = world.another_process()
    assert put_member(world, pool="r").code == "not_found"

    world.run_schedule()

    assert world.alice.claim("c4").status == 200
    assert [each["left"] for each in world.root.request("GET", "/v1/users").json["items"]] == [False]


def test_a_user_who_has_not_left_is_unchanged_by_taking_a_leave_back(world: World) -> None:
    world.pool(customers=1)

    answer = put_user(world, {"left": False})
    refused = put_user(world, {"left": True})

    assert (answer.status, answer.json["left"]) == (200, False)
    assert refused.json["errors"] == ["left: can only be false: send POST /leave"]
    assert world.alice.claim("c1").status == 200


def test_a_member_added_while_the_leave_begins_is_refused_or_marked(world: World) -> None:
    two_pools(world)
    world.pool("r", members="bob", customers=1)
    added: list[Reply] = []

    with interrupted(
        world, "TransactWriteItems",
        lambda: added.append(put_member(world, pool="r")), lambda: added.append(put_member(world, pool="q")),
    ):  # fmt: skip
        leave(world)

    assert added[0].status == 200 and added[1].status in (200, 409)
    assert world.user("alice", pool="r").claim("c1").code == "user_left"


def test_a_pool_created_meanwhile_does_not_get_the_user_as_a_member(world: World) -> None:
    two_pools(world)
    cut_short(world, 2)

    world.pool("r", members="bob")
    refused = put_member(world, pool="r")
    world.run_schedule()

    assert (refused.status, refused.code) == (409, "user_left")
    assert progress(world)["state"] == "done"


def test_a_member_removed_while_being_marked_stops_nothing(world: World) -> None:
    two_pools(world)

    def remove() -> None:
        assert world.user("mona", pool="q").delete("/members/alice?held=release").status == 200

    with interrupted(world, "TransactWriteItems", lambda: None, remove):
        done = leave(world)

    assert (done.json["state"], done.json["moved"]) == ("done", 3)
    assert world.alice.claim("c1").code == "user_left"


def test_changing_the_limits_of_a_marked_member_keeps_the_mark(world: World) -> None:
    two_pools(world)
    leave(world)

    changed = put_member(world, holding_limit=9)

    assert changed.status == 200
    assert world.alice.claim("c1").code == "user_left"


def test_a_user_never_seen_can_leave_and_is_listed(world: World) -> None:
    world.pool()

    done = leave(world, user="auth0%7Czoe")

    assert (done.status, done.json["state"]) == (200, "done")
    (listed,) = world.root.request("GET", "/v1/users").json["items"]
    assert (listed["user_id"], listed["seen"], listed["left"]) == (done.json["user_id"], False, True)
    assert put_member(world, "auth0%7Czoe").code == "user_left"


def test_a_user_leaves_one_tenant_only(world: World) -> None:
    two_pools(world)
    world.pool("p", tenant="acme", customers=1)

    leave(world)

    assert world.user("alice", tenant="acme").claim("c1").status == 200


# Work that is cut short


@pytest.mark.parametrize("write", range(2, 7))
def test_the_schedule_continues_a_leave_killed_at_any_transaction(world: World, write: int) -> None:
    two_pools(world)
    put_member(world, "bob", "q", holding_limit=0)
    cut_short(world, write, TO_BOB)
    before = progress(world)

    world.run_schedule()
    world.run_schedule()

    assert before["state"] == "running" and before["moved"] + before["remaining"] == 4
    done = {"user_id": "alice", "state": "done", "moved": 4, "remaining": 0, "not_transferred": 1}
    assert progress(world) == done
    assert [event for event in world.mona.events("c1") if event == "transferred"] == ["transferred"]


def test_a_repetition_under_the_key_continues_the_leave_and_has_one_answer(world: World) -> None:
    two_pools(world)
    cut_short(world, 4, idempotency_key="k")

    repeated = leave(world, idempotency_key="k")
    again = leave(world, idempotency_key="k")

    assert (repeated.status, repeated.json["moved"]) == (200, 4)
    assert (again.status, again.text, again.headers["Idempotent-Replayed"]) == (200, repeated.text, "true")


def test_two_processes_continue_one_leave_and_count_each_customer_once(world: World) -> None:
    two_pools(world)
    runs = [world.run_schedule] * 8

    with interrupted(world, "TransactWriteItems", lambda: None, *runs):
        done = leave(world, TO_BOB)

    assert (done.json["state"], done.json["moved"]) == ("done", 4)


def test_another_request_to_leave_replaces_the_answers(world: World) -> None:
    two_pools(world)
    cut_short(world, 4)  # the claims in p are released

    done = leave(world, TO_BOB)

    assert (done.json["state"], done.json["moved"], done.json["not_transferred"]) == ("done", 4, 0)
    assert (holders(world)["c1"], holders(world)["c3"]) == (("available", None), ("private", "bob"))


def test_other_answers_given_meanwhile_end_the_work_for_the_earlier_ones(world: World) -> None:
    two_pools(world)

    with interrupted(world, "TransactWriteItems", lambda: None, lambda: None, lambda: leave(world, TO_BOB)):
        earlier = leave(world)

    assert (earlier.json["state"], earlier.json["moved"]) == ("done", 4)
    assert {*holders(world).values()} == {("claimed", "bob"), ("private", "bob"), ("available", None)}
    assert holders(world, "q")["c1"] == ("claimed", "bob")


def test_leaving_again_later_changes_nothing(world: World) -> None:
    two_pools(world)
    first = leave(world)

    again = leave(world, TO_BOB)

    assert again.json == first.json


def test_a_second_leave_after_a_return_is_counted_from_zero(world: World) -> None:
    two_pools(world)
    leave(world)
    put_user(world, {"left": False})
    world.alice.claim("c1")

    done = leave(world)

    assert (done.json["state"], done.json["moved"]) == ("done", 1)


def test_a_round_without_time_leaves_the_work_to_the_next_one(world: World) -> None:
    two_pools(world)
    cut_short(world, 3)

    world.run_schedule(seconds=1.0)
    waiting = progress(world)
    world.run_schedule()

    assert (waiting["state"], waiting["remaining"]) == ("running", 4)
    assert progress(world)["state"] == "done"


def test_a_malformed_customer_keeps_the_leave_running_until_it_is_repaired(world: World, logs: LogCapture) -> None:
    two_pools(world)
    key = keys.customer_key("main", "p", "c1")
    sound = world.table.get([key])[key]
    world.table.write([Put(key, sound | {"tail": {"S": "["}})])
    world.service = world.another_process()

    accepted = leave(world, TO_BOB)
    world.table.write([Put(key, sound)])
    world.run_schedule()

    assert (accepted.status, accepted.json["state"]) == (202, "running")
    assert (accepted.json["moved"], accepted.json["remaining"]) == (3, 1)
    assert progress(world) == accepted.json | {"state": "done", "moved": 4, "remaining": 0}
    assert any("malformed" in text for text in logs.messages)


@pytest.mark.parametrize("which", ["pool", "member"])
def test_a_malformed_pool_or_member_does_not_stop_the_other_pools(world: World, which: str) -> None:
    two_pools(world)
    key = keys.pool_key("main", "p") if which == "pool" else keys.member_key("main", "p", "alice")
    sound = world.table.get([key])[key]
    world.table.write([Put(key, sound | {"policy" if which == "pool" else "held": {"S": "{"}})])
    world.service = world.another_process()

    accepted = leave(world)
    spoiled = world.table.get([key])[key]
    repaired = {name: content for name, content in spoiled.items() if name not in ("policy", "held")} | {
        name: sound[name] for name in ("policy", "held") if name in sound
    }
    world.table.write([Put(key, repaired)])
    world.run_schedule()

    assert (accepted.status, accepted.json["state"]) == (202, "running")
    assert holders(world, "q")["c1"] == ("available", None)
    assert progress(world)["state"] == "done"


def test_a_malformed_user_does_not_stop_the_leaves_of_others(world: World) -> None:
    two_pools(world)
    cut_short(world, 3)
    world.root.request("PUT", "/v1/users/zoe", {"name": "Zoe"})
    key = keys.user_key("main", "zoe")
    sound = world.table.get([key])[key]
    listed = {"due": {"S": keys.unfinished_leaves()}, "due_at": {"N": "1"}, "leave_id": {"S": "x"}}
    world.table.write([Put(key, sound | listed)])

    reports = [world.run_schedule() for _ in range(2)]
    world.table.write([Put(key, sound)])

    assert [report.failed for report in reports] == [1, 1]
    assert progress(world)["state"] == "done"


# People


def test_an_admin_who_leaves_gives_back_their_own_customers(world: World) -> None:
    world.pool(members="root bob", customers=2)
    world.root.claim_batch(["c1", "c2"])
    world.mona.post("/customers/c2/convert")

    done = leave(world, TO_BOB, user="root")
    refused = world.root.claim("c1")

    assert (done.json["state"], done.json["moved"]) == ("done", 2)
    assert holders(world) == {"c1": ("claimed", "bob"), "c2": ("private", "bob")}
    assert refused.code == "user_left"


def test_an_admin_who_leaves_may_release_everything(world: World) -> None:
    world.pool(members="root bob", customers=2)
    world.root.claim_batch(["c1", "c2"])
    world.mona.post("/customers/c2/convert")

    done = leave(world, user="root")

    assert done.json["moved"] == 2
    assert holders(world) == dict.fromkeys(("c1", "c2"), ("available", None))


def test_nobody_who_has_left_is_named_as_a_recipient(world: World) -> None:
    two_pools(world)
    leave(world, user="bob")

    refused = leave(world, TO_BOB)

    assert (refused.status, refused.code) == (409, "user_left")
    assert world.alice.claim("c4").status == 200


def test_of_two_who_leave_to_each_other_one_is_refused(world: World) -> None:
    two_pools(world)
    refusals: list[Reply] = []

    def bob_leaves() -> None:
        refusals.append(leave(world, TO_BOB | {"to": "alice"}, user="bob"))

    with interrupted(world, "TransactWriteItems", lambda: None, bob_leaves):
        done = leave(world, TO_BOB)

    assert (done.status, refusals[0].code) == (200, "user_left")


def test_a_recipient_who_leaves_meanwhile_gets_nothing_more(world: World) -> None:
    two_pools(world)

    with interrupted(world, "TransactWriteItems", lambda: None, lambda: None, lambda: leave(world, user="bob")):
        done = leave(world, TO_BOB)

    assert (done.json["state"], done.json["moved"], done.json["not_transferred"]) == ("done", 4, 4)
    assert {holder for pool in "pq" for _, holder in holders(world, pool).values()} == {None}


# Costs


def test_the_requests_of_a_leave_are_counted(memory_world: World) -> None:
    two_pools(memory_world)

    with counted(memory_world) as made:
        leave(memory_world)
    with counted(memory_world) as read:
        progress(memory_world)

    # The user and the marks: 2 reads and 2 writes. Pools and members: 1 query and 3 reads, of the members again after
    # the marks and after the moves. For each pool 4 queries (claims and private customers, the expired ones and all)
    # and a transaction for each kind of customer. At the end 1 write, and 2 reads of the user.
    assert made == {"BatchGetItem": 6, "Query": 1 + 2 * 4, "TransactWriteItems": 2 + 3 + 1}
    assert read == {"BatchGetItem": 1}


def test_a_schedule_makes_one_query_for_leaves_and_one_for_erasures(memory_world: World) -> None:
    two_pools(memory_world)
    memory_world.run_schedule()  # the hourly search is over

    with counted(memory_world) as swept:
        memory_world.sweep()
    with counted(memory_world) as scheduled:
        memory_world.run_schedule()

    assert scheduled["Query"] == swept["Query"] + 2


def test_more_memberships_than_a_transaction_holds_are_all_marked(memory_world: World) -> None:
    for number in range(120):
        memory_world.root.request("POST", "/v1/pools", {"id": f"p{number:03d}", "name": "P"})
        put_member(memory_world, pool=f"p{number:03d}")

    with counted(memory_world) as made:
        done = leave(memory_world)
    returned = put_user(memory_world, {"left": False})

    assert (done.json["state"], made["TransactWriteItems"]) == ("done", 1 + 2 + 1)
    assert returned.json["left"] is False
