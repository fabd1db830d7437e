"""The package, built once for all tests, and the environment of an emulated AWS account."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tools.deploy.package import Package, package
from tools.deploy.stages import STAGES


def account(endpoint: str) -> dict[str, str]:
    """Return the environment variables with which the AWS CLI and botocore use an emulator."""
    return {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "e2e", "AWS_SECRET_ACCESS_KEY": "e2e",
        "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip


@pytest.fixture(scope="session")
def packaged() -> Package:
    return package(STAGES["e2e"])


@pytest.fixture(scope="session")
def unpacked(packaged: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that Lambda has under /var/task."""
    root = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(packaged.code) as code:
        code.extractall(root)
    return root
