"""The package, made once for all that look at it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tools.deploy.package import Package, package
from tools.deploy.stages import STAGES


@pytest.fixture(scope="session")
def packaged() -> Package:
    return package(STAGES["e2e"])


@pytest.fixture(scope="session")
def unpacked(packaged: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Lambda has it under /var/task."""
    root = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(packaged.code) as code:
        code.extractall(root)
    return root
