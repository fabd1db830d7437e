"""What the clock's work costs, counted: it depends on how much is due, never on how large the pool is."""

from __future__ import annotations

import pytest

from tests.large_pools import Cost, cost_of_sweep

# Two queries find the pools and two pages the claims. Each transaction has as many customers as find room beside the
# twenty members' counters. The index holds whole customers, at four for a read unit and a half: 65 of the 68 units.
COST_OF_A_THOUSAND = Cost(queries=4, reads=0, transactions=12, read_units=68, write_units=5_060)


def test_a_sweep_of_a_thousand_reads_two_pages_and_no_customer_and_returns_them_in_a_dozen_transactions() -> None:
    assert cost_of_sweep(1_000) == COST_OF_A_THOUSAND


@pytest.mark.parametrize(
    "customers", [2_500, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (10_000, 100_000))]
)
def test_the_same_sweep_in_a_larger_pool_costs_exactly_the_same(customers: int) -> None:
    assert cost_of_sweep(customers) == COST_OF_A_THOUSAND
