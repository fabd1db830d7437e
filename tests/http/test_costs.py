"""Counted costs. The cost of a sweep depends on the number of due claims, never on the size of the pool; requests cost
what docs/costs.md states.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.support.large_pools import Cost, cost_of_sweep
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.pages import tables
from tests.support.world import Reply, World

# Four queries and a read find the pool that is due, three pages the claims and one the private customers. Each
# transaction has as many customers as find room beside the twenty members' counters; the last one stores the next
# check. The index holds whole customers, some seventeen to a read unit: 57 of the 62 units.
COST_OF_1000_DUE = Cost(queries=8, reads=1, transactions=13, read_units=62.5, write_units=5_062)


def test_a_sweep_of_a_thousand_claims_costs_two_pages_and_a_dozen_transactions() -> None:
    assert cost_of_sweep(1_000) == COST_OF_1000_DUE


@pytest.mark.parametrize(
    "customers", [2_500, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (10_000, 100_000))]
)
def test_the_cost_of_a_sweep_does_not_depend_on_pool_size(customers: int) -> None:
    assert cost_of_sweep(customers) == COST_OF_1000_DUE


# The table of docs/costs.md


class Costs:
    """Return a pool on the metered engine whose customers are in the cache of this process."""

    def __init__(self) -> None:
        self.engine = Metered()
        self.world = World(memory_table(self.engine))
        numbers = itertools.count(1)
        self.world.new_id = lambda: f"{next(numbers):032x}"  # as long as those of a process
        self.world.service = self.world.another_process()
        self.world.pool(claim_ttl="P7D", holding_limit=500, extension="P1D", members_may_extend=True)
        self.world.fill(200)
        self.alice, self.bob = self.world.alice, self.world.bob

    def measure(self, send: Callable[[], Reply], status: int = 200) -> tuple[str, str]:
        """Return the numbers of requests and of write units."""
        self.engine.reset()
        assert send().status == status
        return f"{sum(self.engine.requests.values()):,}", f"{self.engine.write_units:,.0f}"


def cost_table() -> dict[str, tuple[str, str]]:
    (table,) = (table for table in tables("docs/costs.md") if table[0][0] == "a warm claim")
    return {label: (requests, units) for label, requests, units in table}


def test_member_verbs_match_the_cost_table() -> None:
    costs = Costs()
    alice, bob = costs.alice, costs.bob

    counted = {
        "a warm claim": costs.measure(lambda: alice.claim("c1")),
        "… with an `Idempotency-Key`": costs.measure(lambda: alice.claim("c2", idempotency_key="k")),
        "a claim of a customer that another member holds": costs.measure(lambda: bob.claim("c1"), 409),
        "an extension": costs.measure(lambda: alice.post("/customers/c1/extend")),
        "a follow-up": costs.measure(lambda: alice.post("/customers/c2/follow-up", {"note": "rang"})),
        "a batch of 99 claims": costs.measure(lambda: alice.claim_batch([f"c{each}" for each in range(50, 149)])),
        "a claim-next": costs.measure(bob.claim_next),
    }

    assert counted == {label: cost_table()[label] for label in counted}


def test_a_new_customer_matches_the_cost_table() -> None:
    costs = Costs()
    mona = costs.world.mona

    counted = {
        "a new customer": costs.measure(lambda: mona.create("new"), 201),
        "… with a phone number, which no other customer may have, nor a suppressed one of the tenant": costs.measure(
            lambda: mona.create("newer", fields={"phone": "13812345678"}), 201
        ),
    }

    assert counted == {label: cost_table()[label] for label in counted}


def test_a_claim_or_release_that_moves_older_events_to_a_page_costs_two_units_more() -> None:
    costs = Costs()

    steps = (lambda: costs.alice.claim("c1"), lambda: costs.alice.release("c1"))
    counted = {costs.measure(step) for _ in range(15) for step in steps}

    plain, moving = (
        cost_table()["a warm release"],
        cost_table()["… that moves older events to an item of their own, about every sixth"],
    )
    assert counted == {plain, moving}


def test_me_and_the_names_of_users_match_the_cost_table() -> None:
    costs = Costs()
    alice = costs.alice
    costs.world.root.request("PUT", "/v1/users/alice", {"name": "Alice"})
    alice.request("GET", "/v1/me")
    alice.claim_batch([f"c{each}" for each in range(1, 21)])
    costs.world.clock.forward(60_000)
    alice.get("/customers?limit=1&state=available")  # reads the pool again

    names = costs.measure(lambda: alice.get("/customers?state=claimed&limit=20"))
    of_pools, _ = costs.measure(lambda: alice.request("GET", "/v1/me/customers?limit=20"))
    own = costs.measure(lambda: alice.request("GET", "/v1/me"))

    assert names == (cost_table()["… that names users whose names were not read within a minute"][0], "0")
    assert of_pools == str(int(cost_table()["`GET /me/customers`, and one more for each pool of the caller"][0]) + 1)
    assert own == (cost_table()["`GET /me` where nothing differs, in a tenant of at most a hundred pools"][0], "0")


def test_a_leave_matches_the_cost_table() -> None:
    costs = Costs()
    costs.alice.claim_batch([f"c{each}" for each in range(1, 21)])
    answers = {"held": "release", "private": "deposit"}

    left = costs.measure(lambda: costs.world.root.request("POST", "/v1/users/alice/leave", answers))

    assert left == cost_table()["the leave of a user who holds 20 customers of the only pool"]


def test_reading_a_pool_matches_the_cost_table() -> None:
    costs = Costs()

    counted = [costs.measure(costs.alice.get) for _ in range(2)]

    labels = ("… whose totals were not read within half a minute", "`GET /pools/{pool}`")
    assert counted == [(cost_table()[label][0], "0") for label in labels]


def test_a_list_and_a_sweep_match_the_cost_table() -> None:
    costs, swept = Costs(), cost_of_sweep(1_000)
    requests, written = costs.measure(lambda: costs.alice.get("/customers?state=available&limit=20"))

    of_all, _ = costs.measure(lambda: costs.alice.get("/customers?limit=20"))

    label = "a page of 20 of a list with `state` or `holder`, whatever the size of the pool"
    assert (requests, written) == (cost_table()[label][0], "0")
    assert of_all == cost_table()["… of all states"][0]
    assert cost_table()["a sweep of 1,000 due, whatever the size of the pool: finding them"] == (str(swept.finding), "")
    assert cost_table()["… returning them"] == (str(swept.transactions), f"{swept.write_units:,.0f}")
