"""Races for the last room under a private limit, in a pool that does not return what has expired (rule 31).

No order of the requests may leave a member with more private customers before their deadline than the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chalicelib.model.times import rfc3339
from tests.proofs.race_runner import Race, Request, earlier, race, request_by, run_sweep
from tests.support.world import HOUR, World

LIMIT = 1
CUSTOMERS = tuple(f"c{number}" for number in range(1, 7))


def at_the_limit(world: World, status: str = "paused", **policy: Any) -> None:
    """Alice owns c1, whose deadline has come; she holds c2 and c3, bob c5 and carl c6. Bob owns c4."""
    world.pool(members="alice bob carl", customers=6, private_ttl="PT1H", private_limit=LIMIT, **policy)
    for user, customer in (("alice", "c1"), ("alice", "c2"), ("alice", "c3"), ("bob", "c5"), ("carl", "c6")):
        assert world.user(user).claim(customer).status == 200
    won = world.alice.post("/customers/c1/win")
    world.clock.forward(HOUR // 2)
    assert (won.status, world.mona.post("/customers/c4/convert", {"to": "bob"}).status) == (200, 200)
    world.clock.forward(HOUR // 2)
    if status != "open":
        assert world.root.post("/pause").status == 200


def owned(world: World, user: str) -> list[str]:
    """Return the private customers of the user before their deadline."""
    now = rfc3339(world.clock())
    listed = world.mona.walk(f"/customers?holder={user}&state=private")
    return [each["id"] for each in listed if each["expires_at"] > now]


def within_the_limit(world: World, results: Sequence[Any]) -> None:
    for user in ("alice", "bob", "carl"):
        assert len(owned(world, user)) <= LIMIT, f"{user} owns {owned(world, user)}"
    assert all(each.status < 500 for each in results if not isinstance(each, int)), results


def race_of(*requests: Request, serial: bool = True) -> Race:
    return Race(requests, within_the_limit, serial=serial, cached=CUSTOMERS)


def by_alice(customer: str) -> Request:
    return request_by("alice", "POST", f"/v1/pools/p/customers/{customer}/win")


def by_mona(customer: str, verb: str, **body: Any) -> Request:
    return request_by("mona", "POST", f"/v1/pools/p/customers/{customer}/{verb}", body)


def change_of_status(verb: str, **body: Any) -> Request:
    return request_by("root", "POST", f"/v1/pools/p/{verb}", body or None)


@race
def two_wins_in_the_room_of_one_expired_customer(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), by_alice("c3"))


@race
def a_win_and_a_transfer_and_a_creation_in_the_room_of_one_expired_customer(world: World) -> Race:
    at_the_limit(world)
    create = request_by("mona", "POST", "/v1/pools/p/customers", {"id": "new", "name": "New", "private_of": "alice"})
    return race_of(by_alice("c2"), by_mona("c4", "transfer", to="alice"), create)


@race
def a_win_in_a_pause_and_a_sweep(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), run_sweep)


@race
def a_win_in_a_pause_and_the_end_of_it_and_a_sweep(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), change_of_status("resume"), run_sweep, serial=False)


@race
def two_wins_at_the_limit_and_a_pause(world: World) -> Race:
    at_the_limit(world, "open")
    return race_of(by_alice("c2"), by_alice("c3"), change_of_status("pause"), serial=False)


@race
def a_win_in_a_pause_and_a_closing_to_private(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), change_of_status("close", mode="to_private"), serial=False)


@race
def a_closing_to_private_and_a_sweep_and_a_transfer(world: World) -> Race:
    at_the_limit(world)
    close = change_of_status("close", mode="to_private")
    return race_of(close, run_sweep, by_mona("c4", "transfer", to="alice"), serial=False)


@race
def a_win_in_a_pause_and_a_conversion_of_the_expired_customer_for_its_owner(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), by_mona("c1", "convert", to="alice"))


@race
def a_win_in_a_pause_and_a_conversion_of_the_expired_customer_for_another(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), by_mona("c1", "convert", to="carl"))


@race
def a_win_in_a_pause_and_a_follow_up_a_millisecond_before_the_deadline(world: World) -> Race:
    at_the_limit(world)
    follow_up = request_by("alice", "POST", "/v1/pools/p/customers/c1/follow-up", {"note": "rang"})
    return race_of(by_alice("c2"), earlier(1, follow_up), serial=False)


@race
def a_win_in_a_pause_and_a_later_deadline_for_all_a_millisecond_before_it(world: World) -> Race:
    """The change is unsure if its process is too late: repeated, it is complete."""
    at_the_limit(world)
    body = {"policy": {"private_ttl": "PT9H"}, "apply_to": "all"}
    version = world.mona.get().json["version"]
    change = request_by("mona", "PATCH", "/v1/pools/p", body, if_match=f"{version}", idempotency_key="k")

    def check(world: World, results: list[Any]) -> None:
        assert results[1].status == 200 or results[1].code == "outcome_unknown"
        assert change(world).status == 200
        within_the_limit(world, results[:1])

    return Race([by_alice("c2"), earlier(1, change)], check, serial=False, cached=CUSTOMERS)


@race
def a_win_in_a_pause_and_an_erasure_of_the_expired_customer(world: World) -> Race:
    at_the_limit(world)
    return race_of(by_alice("c2"), by_mona("c1", "erase", reason="requested", force=True))


@race
def a_win_in_a_pause_and_a_removal_of_the_owner(world: World) -> Race:
    at_the_limit(world)
    path = "/v1/pools/p/members/alice?held=transfer&private=transfer&to=carl"
    return race_of(by_alice("c2"), request_by("mona", "DELETE", path), serial=False)
