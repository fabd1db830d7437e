"""Races: a few requests that are sent at once, and what must be true however their calls of the engine interleave.

Each function of `races_of_…` sets its world up and says who does what. A proof plays it in schedule after schedule,
each time from the world as it was set up. Unless a race says otherwise, its answers and the whole table afterwards must
be those of some order in which the requests might have come one by one. A new file is found by its name.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.proofs.race_runner import SetUp, registered

for each in sorted(Path(__file__).parent.glob("races_of_*.py")):
    import_module(f"tests.proofs.{each.stem}")

RACES: tuple[SetUp, ...] = tuple(registered)
