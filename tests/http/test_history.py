"""History: every event once and in order, at any page size and during changes."""

from __future__ import annotations

from tests.support.dynamodb_calls import interrupted
from tests.support.world import World


def test_an_event_records_actor_time_and_states(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=1)
    claimed = world.alice.claim("c1").json
    world.mona.release("c1", reason="too slow")

    events = world.mona.get("/customers/c1/history").json["items"]

    assert [(each["type"], each["by"], each["from_state"], each["to_state"]) for each in events] == [
        ("imported", "mona", None, "available"),
        ("claimed", "alice", "available", "claimed"),
        ("reclaimed", "mona", "claimed", "available"),
    ]
    assert [(each["holder"], each["claim_id"]) for each in events[1:]] == [("alice", claimed["claim_id"])] * 2
    assert (events[1]["expires_at"], events[2]["reason"]) == (claimed["expires_at"], "too slow")


def test_a_long_history_is_listed_in_order_at_any_page_size(threaded: World) -> None:
    threaded.pool(customers=1)
    for number in range(35):
        threaded.alice.claim("c1")
        threaded.alice.release("c1", reason=f"round {number} " + "理由" * (number % 7) * 9)

    for limit in (1, 7, 16, 50, 100):
        events = [each for page in threaded.alice.pages("/customers/c1/history", limit) for each in page]
        assert [each["seq"] for each in events] == list(range(1, 72)), limit
        assert [each["type"] for each in events] == ["imported"] + ["claimed", "released"] * 35
    assert threaded.alice.customer("c1")["version"] == 71
    assert [each["reason"].split()[1] for each in events[2::2]] == [str(number) for number in range(35)]


def test_a_history_read_while_it_grows_repeats_no_event(world: World) -> None:
    world.pool(customers=1)

    def claim_and_release_often() -> None:
        for _ in range(6):
            world.alice.claim("c1")
            world.alice.release("c1", reason="because")

    claim_and_release_often()
    with interrupted(world, "Query", claim_and_release_often):
        numbers = [each["seq"] for each in world.alice.get("/customers/c1/history?limit=100").json["items"]]

    assert numbers == list(range(1, len(numbers) + 1))
