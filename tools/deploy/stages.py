"""The stages that can be deployed, and what differs between them beside the accounts they live in.

What chalice itself knows how to say (memory, timeouts, architecture) stands in `.chalice/config.json`, by stage where
it differs. This is the rest.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

from tools.problems import Unusable


@dataclass(frozen=True)
class Stage:
    """`rate` and `burst` are requests a second, over all callers; `log_days` is how long logs are kept.

    `architecture` is None where `.chalice/config.json` decides.
    """

    name: str
    rate: int
    burst: int
    log_days: int
    architecture: str | None = None

    @property
    def stack(self) -> str:
        return f"customer-pool-{self.name}"


# The emulator runs the functions on this very machine, so they have to be built for it.
_HERE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"

STAGES = {
    stage.name: stage
    for stage in (
        Stage("dev", rate=50, burst=100, log_days=14),
        Stage("prod", rate=1_000, burst=2_000, log_days=90),
        Stage("e2e", rate=1_000, burst=2_000, log_days=1, architecture=_HERE),
    )
}


def stage_named(name: str) -> Stage:
    """The stage a person asked for. Raises `Unusable` for a name that is none."""
    if name not in STAGES:
        raise Unusable(f"STAGE={name} is unknown: choose one of {', '.join(STAGES)}")
    return STAGES[name]
