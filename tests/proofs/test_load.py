"""A few seconds of load over HTTP on a faulty network, with the sweep running. `make load` runs longer."""

from __future__ import annotations

import pytest

from chalicelib.dynamodb.table import Table
from tests.proofs.load import load

pytestmark = [pytest.mark.race, pytest.mark.exhaustive]


def test_concurrent_clients_on_a_faulty_network_lose_and_repeat_nothing(real_table: Table) -> None:
    figures = load(real_table, seconds=8, people=16, share=0.03)

    print(figures.told())
    assert figures.befell.total() and figures.swept and figures.begun
