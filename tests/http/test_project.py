"""The project's metadata agrees with the service, with the changelog and with what the pipeline runs."""

from __future__ import annotations

import re
import tomllib

import yaml

from chalicelib import __version__
from chalicelib.api import openapi, routes
from tests.support.pages import ROOT, text_of


def project() -> dict[str, object]:
    return dict(tomllib.loads(text_of("pyproject.toml"))["project"])


def test_the_version_is_the_same_for_the_project_the_service_its_document_and_the_changelog() -> None:
    latest = re.search(r"^## (\d+\.\d+\.\d+)", text_of("CHANGELOG.md"), re.MULTILINE)

    document = openapi.document(tuple(routes.ROUTES))

    assert latest is not None
    assert {project()["version"], __version__, document["info"]["version"], latest[1]} == {__version__}


def test_the_pipeline_runs_the_command_of_a_clean_checkout_on_every_supported_python() -> None:
    jobs = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"]

    (job,) = jobs.values()

    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert f">={job['strategy']['matrix']['python'][0]}" == project()["requires-python"]


def test_every_form_and_setting_for_contributors_can_be_read() -> None:
    files = [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"]

    read = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]

    assert len(files) >= 6 and all(isinstance(content, dict) for content in read)
