"""What claims and releases cost in write units, counted, with the sizes that ids and names have in practice."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import MINUTE, User, World

CUSTOMER = "crm-20260101-000123"
AGENTS = tuple(f"zhang-wei-{number:02d}" for number in range(8))


@pytest.fixture
def engine() -> Metered:
    return Metered()


@pytest.fixture
def agents(engine: Metered) -> list[User]:
    """Agents of a pool with one customer."""
    world, draw = World(memory_table(engine)), random.Random(1)
    world.new_id = lambda: f"{draw.getrandbits(128):032x}"
    world.service = world.another_process()
    mona = world.pool("east-china", holding_limit=20, daily_claim_limit=50, claim_ttl="P7D", members=" ".join(AGENTS))
    fields = {"phone": "13810029999", "city": "Shanghai"}
    assert mona.create(CUSTOMER, name="Shanghai Longhua Precision Co., Ltd.", fields=fields).status == 201
    engine.reset()
    return [world.user(name, pool="east-china") for name in AGENTS]


def test_a_warm_claim_takes_seven_write_units(engine: Metered, agents: list[User]) -> None:
    assert agents[0].claim(CUSTOMER).status == 200

    # Out of the list of those who wait and into the holder's; into the list of deadlines.
    assert engine.bill == {"customer": 2, "member": 2, "index place": 2, "index due": 1}


def test_a_release_takes_seven_write_units(engine: Metered, agents: list[User]) -> None:
    agents[0].claim(CUSTOMER)
    engine.reset()

    assert agents[0].release(CUSTOMER).status == 200

    assert engine.bill == {"customer": 2, "member": 2, "index place": 2, "index due": 1}


def test_an_idempotency_key_adds_two_write_units(engine: Metered, agents: list[User]) -> None:
    assert agents[0].claim(CUSTOMER, idempotency_key="k").status == 200

    assert engine.bill == {"customer": 2, "member": 2, "index place": 2, "index due": 1, "answer": 2}


def test_over_a_long_history_claims_take_seven_to_nine_write_units(engine: Metered, agents: list[User]) -> None:
    taken: list[int] = []
    for agent in itertools.islice(itertools.cycle(agents), 40):
        agent.world.clock.forward(10 * MINUTE)
        engine.reset()
        assert agent.claim(CUSTOMER).status == 200
        taken.append(engine.write_units)
        agent.world.clock.forward(10 * MINUTE)
        assert agent.release(CUSTOMER).status == 200

    # Two more where older events get a page of their own, which saves the item a kilobyte.
    assert Counter(taken) == {7: 22, 9: 18}
