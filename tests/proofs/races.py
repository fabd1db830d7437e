"""Races: a few concurrent requests, and what must hold however their DynamoDB calls interleave.

Each function of `races_of_…` sets up its world and returns the requests. A proof plays them in one schedule after
another, each time from the same world. Unless a race states otherwise, its responses and the final table must be those
of some sequential order of the requests. New files are found by their names.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.proofs.race_runner import SetUp, registered

for each in sorted(Path(__file__).parent.glob("races_of_*.py")):
    import_module(f"tests.proofs.{each.stem}")

RACES: tuple[SetUp, ...] = tuple(registered)
