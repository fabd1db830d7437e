"""Build the zip for Lambda: the code and its dependencies with compiled files, reproducible byte for byte.

Chalice's own zip has no compiled files and the data of four hundred services; both slow down a cold start. A function
that calls another AWS operation needs it in `OPERATIONS`.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tools.environment import run

# The services and operations that the functions call. botocore's data of all others is removed.
OPERATIONS = {
    "dynamodb": ("BatchGetItem", "Query", "TransactWriteItems"),
    "dynamodbstreams": ("DescribeStream",),
    "events": ("PutEvents",),
    "lambda": ("Invoke",),
    "sqs": ("SendMessage",),
}

ROOT = "/var/task"  # where Lambda unpacks the zip; tracebacks name it
# METADATA is kept for vulnerability scanners.
UNUSED = (
    "bin/*", "*/tests/*", "*/__pycache__/*", "*.pyi", "*/py.typed", "*.c", "*.h", "*.pxd", "*.tar.gz",
    "*.dist-info/[!M]*", "*.dist-info/licenses/*", "botocore/data/*", "cffi/*", "pycparser/*",
    "phonenumbers/shortdata/region_*",  # emergency and other short numbers, which the service never parses
)  # fmt: skip
SHARED_DATA = ("_retry.json", "sdk-default-configuration.json")
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the earliest timestamp of a zip entry


def bundle(code: Path, dependencies: Path, target: Path) -> None:
    """Write `target` from Chalice's zip of the code and a folder of dependencies."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _copy_used(dependencies, tree)
        _write_service_data(dependencies / "botocore" / "data", tree / "botocore" / "data")
        with zipfile.ZipFile(code) as archive:
            archive.extractall(tree)
        _compile(tree)
        _write_zip(tree, target)


def _copy_used(dependencies: Path, tree: Path) -> None:
    for name in _files(dependencies):
        if not any(fnmatch(name, unused) for unused in UNUSED):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dependencies / name, tree / name)


def _files(folder: Path) -> Iterator[str]:
    """Return the relative names of all files, sorted."""
    yield from sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# botocore's data. botocore evaluates the endpoint rules of a service at every call; without them it reads the endpoint
# from endpoints.json.


def _write_service_data(data: Path, target: Path) -> None:
    for name in SHARED_DATA:
        _write_json(target / name, _read_json(data / name))
    _write_json(target / "endpoints.json", _endpoints(_read_json(data / "endpoints.json")))
    for service, operations in OPERATIONS.items():
        version = max(path.name for path in (data / service).iterdir())
        model = _pruned(_read_json(data / service / version / "service-2.json"), operations)
        _write_json(target / service / version / "service-2.json", model)


def _endpoints(known: dict[str, Any]) -> dict[str, Any]:
    for partition in known["partitions"]:
        partition["services"] = {name: data for name, data in partition["services"].items() if name in OPERATIONS}
    return known


def _pruned(service: dict[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """Return a service model with those operations only, and without documentation."""
    kept = {name: service["operations"][name] for name in operations}
    wanted, found = [*_shapes_in(kept)], dict[str, Any]()
    while wanted:
        if (name := wanted.pop()) not in found:
            found[name] = service["shapes"][name]
            wanted += _shapes_in(found[name])
    shapes = {name: found[name] for name in sorted(found)}
    model = {"version": "2.0", "metadata": service["metadata"], "operations": kept, "shapes": shapes}
    return dict(_without_documentation(model))


def _shapes_in(part: Any) -> Iterator[str]:
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _shapes_in(inner)
    if isinstance(part, dict) and isinstance(part.get("shape"), str):
        yield part["shape"]


def _without_documentation(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: _without_documentation(inner)
            for name, inner in part.items()
            if not (name in ("documentation", "documentationUrl") and isinstance(inner, str))
        }
    return [_without_documentation(inner) for inner in part] if isinstance(part, list) else part


def _read_json(path: Path) -> Any:
    packed = path.with_name(f"{path.name}.gz")
    return json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes())


def _write_json(path: Path, content: Any) -> None:
    """Write uncompressed JSON: the zip is compressed already, and every cold start reads the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


# The zip


def _compile(tree: Path) -> None:
    """Compile each source into an unchecked file beside it, since files in Lambda do not change.

    Without debug ranges: they are a fifth of the compiled bytes and only underline a part of a line in a traceback.
    """
    python = ["env", "PYTHONHASHSEED=0", sys.executable, "-I", "-X", "no_debug_ranges"]
    compiling = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    run([*python, *compiling, "-s", str(tree), "-p", ROOT, str(tree)], "could not compile the package")


def _write_zip(tree: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in _files(tree):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (tree / name).read_bytes())
    draft.replace(target)
