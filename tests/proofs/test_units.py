"""What claims and releases cost in write units, counted, with the sizes that ids and names have in practice."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest

from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.pages import tables
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
    assert Counter(taken) == {7: 35, 9: 5}


@pytest.mark.parametrize(("column", "fields"), [(1, 0), (2, 5), (3, 8)])
def test_the_mean_units_of_a_life_are_those_of_the_page(column: int, fields: int) -> None:
    (table,) = (
        table for table in tables("docs/costs.md") if [row[0] for row in table] == ["claim", "follow-up", "release"]
    )

    taken = units_of_a_life(fields)

    assert {verb: f"{sum(units) / len(units):.1f}" for verb, units in taken.items()} == {
        row[0]: row[column] for row in table
    }
    assert taken["claim"][0] == 7


def units_of_a_life(fields: int) -> dict[str, list[int]]:
    """Return the units of 24 claims, follow-ups and releases, by eight members in turn."""
    engine = Metered()
    world, draw = World(memory_table(engine)), random.Random(1)
    world.new_id = lambda: f"{draw.getrandbits(128):032x}"
    world.service = world.another_process()
    label = {"en": "x", "zh": "x"}
    definitions = [{"key": f"f{n}", "label": label, "type": "text", "list": True} for n in range(8)]
    policy: dict[str, Any] = {"holding_limit": 20, "daily_claim_limit": 50, "claim_ttl": "P7D"}
    mona = world.pool("east-china", members=" ".join(AGENTS), fields=definitions, **policy)
    mona.create(
        CUSTOMER, name="Shanghai Longhua Precision Co., Ltd.", fields={f"f{n}": "v" * 25 for n in range(fields)}
    )
    taken: dict[str, list[int]] = {"claim": [], "follow-up": [], "release": []}
    for agent in itertools.islice(itertools.cycle(AGENTS), 24):
        for verb, units in taken.items():
            world.clock.forward(10 * MINUTE)
            engine.reset()
            body = {"outcome": "connected", "note": "wants an offer"} if verb == "follow-up" else {}
            assert world.user(agent, pool="east-china").post(f"/customers/{CUSTOMER}/{verb}", body).status == 200
            units.append(engine.write_units)
    return taken
