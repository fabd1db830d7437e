"""What is in the package and what is not, and that it stands alone."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from chalicelib.api import console
from tools.deploy.bundle import OPERATIONS
from tools.deploy.dependencies import dependencies
from tools.deploy.package import SBOM, Package
from tools.paths import PROJECT

pytestmark = pytest.mark.e2e

MEGABYTE = 1024 * 1024


def names(packaged: Package) -> list[str]:
    with zipfile.ZipFile(packaged.code) as code:
        return code.namelist()


def test_the_package_is_small(packaged: Package) -> None:
    with zipfile.ZipFile(packaged.code) as code:
        unpacked = sum(entry.file_size for entry in code.infolist())

    assert packaged.code.stat().st_size < 10 * MEGABYTE
    assert unpacked < 30 * MEGABYTE


def test_every_source_has_an_unchecked_compiled_file(packaged: Package) -> None:
    present = set(names(packaged))
    tag = sys.implementation.cache_tag

    for name in sorted(each for each in present if each.endswith(".py")):
        folder, _, stem = name[:-3].rpartition("/")
        assert f"{folder}/__pycache__/{stem}.{tag}.pyc".lstrip("/") in present
    with zipfile.ZipFile(packaged.code) as code:
        compiled = code.read(f"__pycache__/app.{tag}.pyc")
    assert compiled[4:8] == (0b01).to_bytes(4, "little")  # PEP 552: by hash, and the source is not looked at


def test_the_package_contains_only_what_runs(packaged: Package) -> None:
    tops = {name.partition("/")[0] for name in names(packaged)}
    services = {
        name.split("/")[2] for name in names(packaged) if name.startswith("botocore/data/") and name.count("/") > 2
    }

    assert tops.isdisjoint({"tools", "tests", "benchmarks", "boto3", "s3transfer", "pip", "setuptools", "moto"})
    assert tops.isdisjoint({"cffi", "pycparser"})
    assert {name for name in names(packaged) if name.startswith("chalice/") and name.endswith(".py")} == {
        "chalice/__init__.py",
        "chalice/app.py",
    }
    assert services == set(OPERATIONS)


def test_the_package_contains_no_build_time_or_path(packaged: Package) -> None:
    with zipfile.ZipFile(packaged.code) as code:
        assert {entry.date_time for entry in code.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert code.namelist() == sorted(code.namelist())
        for name in code.namelist():
            assert str(PROJECT).encode() not in code.read(name), name


def test_the_bill_of_materials_lists_every_library_of_the_package_with_its_digests(packaged: Package) -> None:
    bill = json.loads(packaged.template.with_name(SBOM).read_text())
    listed = {(each["name"], each["version"]): each for each in bill["components"]}

    folders = {name.partition("/")[0] for name in names(packaged) if ".dist-info/" in name}
    packed = {
        (name.replace("_", "-").lower(), rest) for name, _, rest in (each[:-10].partition("-") for each in folders)
    }

    assert bill["bomFormat"] == "CycloneDX"
    assert {name for name, _ in packed} >= {"botocore", "cryptography", "msgspec"}
    assert listed.keys() - packed == {("chalice", version("chalice"))}
    assert packed <= listed.keys()
    for name in packed:
        assert any(each["hashes"][0]["alg"] == "SHA-256" for each in listed[name]["externalReferences"]), name


ENDPOINT = """
import sys; sys.path.insert(0, sys.argv[1])
import app
print(app.service().backend.table.connection.client.meta.endpoint_url)
"""


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("us-east-1", "https://dynamodb.us-east-1.amazonaws.com"),
        ("eu-central-1", "https://dynamodb.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ("xx-new-9", "https://dynamodb.xx-new-9.amazonaws.com"),
    ],
)
def test_the_package_resolves_dynamodb_in_every_region(unpacked: Path, region: str, address: str) -> None:
    assert run(unpacked, ENDPOINT, region) == address


ZONE = """
import sys; sys.path.insert(0, sys.argv[1])
from zoneinfo import ZoneInfo, reset_tzpath
reset_tzpath(())
from chalicelib.model.times import listed_zone
assert str(listed_zone("Asia/Shanghai")) == "Asia/Shanghai"
print(ZoneInfo("Asia/Shanghai"))
"""


def test_the_package_contains_time_zone_data(unpacked: Path) -> None:
    assert run(unpacked, ZONE, "us-east-1") == "Asia/Shanghai"


def test_third_party_sources_are_unmodified(unpacked: Path, packaged: Package) -> None:
    published = dependencies(packaged.architecture)
    sources = [path.relative_to(published) for path in published.rglob("*.py")]

    packed = [name for name in sources if (unpacked / name).exists()]

    assert len(packed) > 300
    assert [name for name in packed if (unpacked / name).read_bytes() != (published / name).read_bytes()] == []


NUMBERS = """
import sys; sys.path.insert(0, sys.argv[1])
from chalicelib.domain import masking
from chalicelib.model import normalization
assert "phonenumbers" not in sys.modules
print(masking.in_text("021-62345678, +1 202 555 0123", "CN"), normalization.known_region("HK"))
"""


def test_the_packaged_library_finds_phone_numbers_in_text(unpacked: Path) -> None:
    assert run(unpacked, NUMBERS, "us-east-1") == "021****5678, +12****0123 HK"


CONSOLE = """
import sys; sys.path.insert(0, sys.argv[1])
from chalicelib.api import console
print(len(console.page().text + console.scripts()["main"]))
"""


def test_the_package_contains_the_console_unchanged(unpacked: Path) -> None:
    assert int(run(unpacked, CONSOLE, "us-east-1")) == len(console.page().text + console.scripts()["main"])


def run(root: Path, program: str, region: str) -> str:
    """In a clean interpreter, with nothing to import from but the standard library and the package."""
    settings = {"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(root)],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
