"""The environments: one lock, the files exported from it, and a set-up that repairs itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.pages import ROOT, text_of
from tools.environment import installed_uv
from tools.lock import EXPORTS, export


def locked() -> list[dict[str, object]]:
    return list(tomllib.loads(text_of("uv.lock"))["package"])


def pinned(file: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", text_of(file), re.MULTILINE))


def copy_to(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


def creating(folder: Path, group: str) -> subprocess.Popen[str]:
    """Start the program that creates an environment."""
    command = [sys.executable, "-m", "tools.environment", str(folder), group]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_lock_agrees_with_the_groups_of_the_project() -> None:
    check = [str(installed_uv()), "lock", "--check", "--offline"]

    checked = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, f"run make lock\n{checked.stderr}"


def test_the_requirement_files_are_the_export_of_the_lock(tmp_path: Path) -> None:
    copy_to(tmp_path, "pyproject.toml", "uv.lock")

    export(tmp_path)

    for file in EXPORTS:
        assert (tmp_path / file).read_text(encoding="utf-8") == text_of(file), f"{file}: run make lock"


def test_every_locked_package_comes_from_pypi_with_a_hash() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", text_of("uv.lock")))

    published = [each for each in locked() if "virtual" not in dict(each["source"])]  # type: ignore[call-overload]

    assert hosts == {"pypi.org", "files.pythonhosted.org"}
    assert len(published) > 100
    for each in published:
        files = [*each.get("wheels", []), each.get("sdist")]  # type: ignore[misc]
        assert all(file["hash"].startswith("sha256:") for file in files if file), each["name"]


def test_the_requirements_contain_no_development_package() -> None:
    development = {"boto3", "chalice", "click", "hypothesis", "moto", "mypy", "pip", "pytest", "ruff", "setuptools"}

    deployed = pinned("requirements.txt")

    assert {"botocore", "cryptography", "msgspec", "pynamodb"} <= deployed
    assert deployed.isdisjoint(development)
    assert pinned("requirements-uv.txt") == {"uv"}


def test_two_set_ups_at_the_same_time_create_one_working_environment(tmp_path: Path) -> None:
    folder = tmp_path / ".venv"

    outputs = [started.communicate()[0] for started in [creating(folder, "lambda-runtime") for _ in range(2)]]

    assert sorted(outputs) == ["", f"Creating {folder} ...\n"]
    subprocess.run([folder / "bin" / "python", "-c", "import awslambdaric"], check=True)


def test_an_interrupted_set_up_is_repaired_by_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / ".venv"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "half.py").write_text("an interrupted write")

    repaired = creating(folder, "lambda-runtime")

    assert repaired.communicate()[0] == f"Creating {folder} ...\n"
    assert not (folder / "lib" / "half.py").exists()
    subprocess.run([folder / "bin" / "python", "-c", "import awslambdaric"], check=True)


def test_a_set_up_for_another_lock_replaces_a_link_and_not_the_environment_behind_it(tmp_path: Path) -> None:
    shared, link = tmp_path / "shared", tmp_path / ".venv"
    shared.mkdir()
    (shared / "ready").write_text("another lock")
    link.symlink_to(shared)

    created = creating(link, "lambda-runtime")

    assert created.communicate()[0] == f"Creating {link} ...\n"
    assert (shared / "ready").read_text() == "another lock"
    assert not link.is_symlink()


@pytest.mark.parametrize("answer", [None, "exit 1"])
def test_make_reports_a_missing_or_old_python_in_one_line(tmp_path: Path, answer: str | None) -> None:
    copy_to(tmp_path, "Makefile", "uv.lock", "requirements-uv.txt")
    python = tmp_path / "python"
    if answer is not None:
        python.write_text(f"#!/bin/sh\n{answer}\n")
        python.chmod(0o755)
    settings = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    make = ["make", "-s", "check", f"PYTHON={python}"]

    made = subprocess.run(make, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)

    first, *rest = made.stderr.splitlines()
    assert made.returncode != 0
    assert first == f'"{python}" is missing or older than Python 3.11: name another one, for example PYTHON=python3.12'
    assert all(line.startswith("make: ***") for line in rest)
