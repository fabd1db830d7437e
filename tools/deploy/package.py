"""`make package STAGE=dev`: what a stage deploys, as a template and a zip in `build/<stage>/`; twice, it is the same.

Chalice makes both from a clean copy of the project. `tools.deploy.template` adds the resources that Chalice leaves out,
and `tools.deploy.bundle` makes the zip small. Packaging calls no AWS account and includes nothing from the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.deploy.bundle import bundle
from tools.deploy.dependencies import dependencies
from tools.deploy.stages import STAGES, Stage, stage_named
from tools.deploy.template import merged
from tools.environment import run
from tools.paths import BUILD, PROJECT
from tools.problems import run_tool


@dataclass(frozen=True)
class Package:
    """What was made: `template` names `code` beside it."""

    template: Path
    code: Path


def package(stage: Stage) -> Package:
    """Makes both. Raises `Unusable` with the last words of chalice or pip."""
    made = Package(BUILD / stage.name / "sam.json", BUILD / stage.name / "deployment.zip")
    with tempfile.TemporaryDirectory() as folder:
        out = chalice_package(stage, Path(folder))
        template = json.loads((out / "sam.json").read_text(encoding="utf-8"))
        made.template.parent.mkdir(parents=True, exist_ok=True)
        bundle(out / "deployment.zip", dependencies(architecture_in(template)), made.code)
        made.template.write_text(json.dumps(template, indent=2) + "\n", encoding="utf-8")
    return made


def chalice_package(stage: Stage, scratch: Path) -> Path:
    """The folder with chalice's template and a zip of the code alone."""
    project, out = scratch / "project", scratch / "out"
    ignored = shutil.ignore_patterns("__pycache__", "deployments", "deployed", "venv")
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(PROJECT / name, project / name, ignore=ignored)
    shutil.copyfile(PROJECT / "app.py", project / "app.py")
    (project / "requirements.txt").write_text("")  # tools.deploy.dependencies brings them, for the right processor
    _set_architecture(project / ".chalice" / "config.json", stage)
    additions = scratch / "additions.json"
    additions.write_text(json.dumps(merged(stage)), encoding="utf-8")
    chalice = [sys.executable, "-c", "from chalice.cli import main; main()"]
    arguments = ["package", "--stage", stage.name, "--merge-template", str(additions), str(out)]
    # Packaging needs a region to know how AWS calls its services, and no credentials.
    settings = ["AWS_DEFAULT_REGION=us-east-1", f"AWS_CONFIG_FILE={os.devnull}", "PYTHONDONTWRITEBYTECODE=1"]
    run(["env", "-C", str(project), "-u", "AWS_PROFILE", *settings, *chalice, *arguments], "chalice cannot package it")
    return out


def _set_architecture(config: Path, stage: Stage) -> None:
    if stage.architecture is not None:
        settings: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
        settings["stages"][stage.name]["lambda_architecture"] = stage.architecture
        config.write_text(json.dumps(settings), encoding="utf-8")


def architecture_in(template: dict[str, Any]) -> str:
    """The processor that the functions are for."""
    return str(template["Resources"]["APIHandler"]["Properties"]["Architectures"][0])


def main() -> int:
    parser = argparse.ArgumentParser(prog="make package", description=__doc__)
    parser.add_argument("stage", nargs="?", default="dev", help=f"one of {', '.join(STAGES)}")
    made = package(stage_named(parser.parse_args().stage))
    size = made.code.stat().st_size / 1024 / 1024
    print(f"{made.template.relative_to(PROJECT)}\n{made.code.relative_to(PROJECT)}  {size:.1f} MB")
    return 0


if __name__ == "__main__":
    run_tool(main)
