"""Play one schedule of one race again, as a failed proof has reported it:

    .venv/bin/python -m tests.proofs.replay two_edits_and_a_claim cold whole 101

The turns select the worker that continues at each DynamoDB call, counted from the one that ran last; after them each
runs to its end. `torn` reads batches in parts. Exit with the failure, or print the calls of a correct schedule.
"""

from __future__ import annotations

import sys
from typing import Any, get_args

from tests.proofs.race_runner import Arena, Memories
from tests.proofs.races import RACES


def main(name: str, memories: Memories, reading: str, turns: str) -> None:
    (set_up,) = [each for each in RACES if each.__name__ == name]
    ran = Arena(set_up, memories).run([int(turn) for turn in turns], torn=reading == "torn")
    print(f"correct after {ran.description()}")


if __name__ == "__main__":
    names, known, readings = {each.__name__ for each in RACES}, get_args(Memories), ("torn", "whole")
    given: list[Any] = sys.argv[1:]
    if len(given) != 4 or not (given[0] in names and given[1] in known and given[2] in readings and given[3].isdigit()):
        raise SystemExit(f"usage: RACE {'|'.join(known)} {'|'.join(readings)} TURNS, as the failure reports them")
    main(*given)
