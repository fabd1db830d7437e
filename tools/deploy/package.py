"""`make package STAGE=dev`: build template, zip and bill of materials of a stage, reproducibly, in `build/<stage>/`.

Chalice builds both from a clean copy of the project and merges `infra/template.yaml` into its template. `bundle` adds
the dependencies to the zip and makes it small. Packaging calls no AWS account.
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

import yaml

from tools.deploy.aliases import call_aliases
from tools.deploy.bundle import bundle
from tools.deploy.dependencies import dependencies
from tools.deploy.sbom import write_sbom
from tools.deploy.stages import STAGES, Stage, stage_named
from tools.environment import run
from tools.paths import BUILD, PROJECT
from tools.problems import Unusable, run_tool

SBOM = "sbom.cdx.json"


@dataclass(frozen=True)
class Package:
    """A template, the zip beside it that it names, and the processor that both are for."""

    template: Path
    code: Path
    architecture: str


# Lambda's Pythons that the service supports, and the date on which AWS deprecates one of them.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
NEWEST_RUNTIME, DEPRECATED = (3, 14), {(3, 11): "2027-06-30"}


def runtime_warning(python: tuple[int, ...] = sys.version_info[:2]) -> str | None:
    """Return a warning about the Python that packages, which Lambda runs too. Raise `Unusable` if Lambda has none."""
    version = ".".join(map(str, python))
    if python > NEWEST_RUNTIME:
        newest = ".".join(map(str, NEWEST_RUNTIME))
        raise Unusable(f"Lambda has no Python {version}: `make clean`, then package with PYTHON=python{newest}")
    if python not in DEPRECATED:
        return None
    return f"Lambda deprecates Python {version} on {DEPRECATED[python]}: `make clean`, then use PYTHON=python3.13"


def package(stage: Stage) -> Package:
    """Build the package of a stage. Raise `Unusable` with the last line of Chalice or pip."""
    if warning := runtime_warning():
        print(warning, file=sys.stderr)
    target = BUILD / stage.name
    with tempfile.TemporaryDirectory() as folder:
        out = chalice_package(stage, Path(folder))
        made = Package(target / "sam.yaml", target / "deployment.zip", _architecture(out / "sam.yaml"))
        target.mkdir(parents=True, exist_ok=True)
        bundle(out / "deployment.zip", dependencies(made.architecture), made.code)
        shutil.copyfile(out / "sam.yaml", made.template)
        write_sbom(target / SBOM)
    return made


def chalice_package(stage: Stage, scratch: Path) -> Path:
    """Run `chalice package` without dependencies. Return the folder with the template and the zip of the code."""
    project, out = scratch / "project", scratch / "out"
    ignored = shutil.ignore_patterns("__pycache__", "deployments", "deployed", "venv")
    for name in ("chalicelib", ".chalice", "infra"):
        shutil.copytree(PROJECT / name, project / name, ignore=ignored)
    shutil.copytree(
        PROJECT / "importing", project / "vendor" / "importing", ignore=ignored
    )  # becomes a top-level package
    shutil.copyfile(PROJECT / "app.py", project / "app.py")
    (project / "requirements.txt").write_text("")  # `bundle` adds the dependencies
    _set_architecture(project / ".chalice" / "config.json", stage)
    chalice = [sys.executable, "-c", "from chalice.cli import main; main()"]
    arguments = ["package", "--stage", stage.name, "--merge-template", "infra/template.yaml", str(out)]
    # Chalice needs a region, which it does not write into the template, and no credentials.
    settings = ["AWS_DEFAULT_REGION=us-east-1", f"AWS_CONFIG_FILE={os.devnull}", "PYTHONDONTWRITEBYTECODE=1"]
    run(["env", "-C", str(project), "-u", "AWS_PROFILE", *settings, *chalice, *arguments], "chalice package failed")
    template = call_aliases(yaml.safe_load((out / "sam.yaml").read_text(encoding="utf-8")))
    (out / "sam.yaml").write_text(yaml.safe_dump(template), encoding="utf-8")
    return out


def _set_architecture(config: Path, stage: Stage) -> None:
    if stage.architecture is not None:
        settings: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
        settings["stages"][stage.name]["lambda_architecture"] = stage.architecture
        config.write_text(json.dumps(settings), encoding="utf-8")


def _architecture(template: Path) -> str:
    resources = yaml.safe_load(template.read_text(encoding="utf-8"))["Resources"]
    return str(resources["APIHandler"]["Properties"]["Architectures"][0])


def main() -> int:
    parser = argparse.ArgumentParser(prog="make package", description=__doc__)
    parser.add_argument("stage", nargs="?", default="dev", help=f"one of {', '.join(STAGES)}")
    made = package(stage_named(parser.parse_args().stage))
    size = made.code.stat().st_size / 1024 / 1024
    print(f"{made.template.relative_to(PROJECT)}\n{made.code.relative_to(PROJECT)}  {size:.1f} MB")
    print(made.template.with_name(SBOM).relative_to(PROJECT))
    return 0


if __name__ == "__main__":
    run_tool(main)
