"""Plays one schedule of one race again, as a proof that failed has told it:

    .venv/bin/python -m tests.proofs.again two_edits_and_a_claim cold whole 101

The turns say at each call of the engine who goes on, counted from the request that went last; after them each goes on
to its end. `torn` reads batches in parts. Ends with the failure, or with the calls of a schedule that came out right.
"""

from __future__ import annotations

import sys
from typing import get_args

from tests.proofs.race_runner import Arena, Memories
from tests.proofs.races import RACES


def main(name: str, memories: Memories, reading: str, turns: str) -> None:
    (set_up,) = [each for each in RACES if each.__name__ == name]
    ran = Arena(set_up, memories).run([int(turn) for turn in turns], torn=reading == "torn")
    print(f"all is right after {ran.told()}")


if __name__ == "__main__":
    names, known, readings = {each.__name__ for each in RACES}, get_args(Memories), ("torn", "whole")
    asked = sys.argv[1:]
    if len(asked) != 4 or not (asked[0] in names and asked[1] in known and asked[2] in readings and asked[3].isdigit()):
        raise SystemExit(f"say: RACE {'|'.join(known)} {'|'.join(readings)} TURNS, as the failure has told them")
    main(*asked)
