"""The stages. Their settings are in .chalice/config.json and in the mapping `Stages` of infra/template.yaml."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from tools.problems import Unusable


@dataclass(frozen=True)
class Stage:
    """A stage. `architecture` overrides the one of .chalice/config.json."""

    name: str
    architecture: str | None = None

    @property
    def stack(self) -> str:
        return f"customer-pool-{self.name}"


# The emulator runs the functions on this machine, so they are packaged for its processor.
_THIS_MACHINE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"

STAGES = {stage.name: stage for stage in (Stage("dev"), Stage("prod"), Stage("e2e", architecture=_THIS_MACHINE))}


def stage_named(name: str) -> Stage:
    """Return a stage by its name. Raise `Unusable` for an unknown one."""
    if name not in STAGES:
        raise Unusable(f"STAGE={name} is unknown: choose one of {', '.join(STAGES)}")
    return STAGES[name]
