"""The zip that Lambda gets: the code and what it imports, compiled, and equal byte for byte when made again.

chalice leaves compiled files out and data of four hundred services in; both cost start-up time. What is kept of
botocore is said here: a function that calls another service needs a line in `OPERATIONS`. Nothing here knows about
templates.
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

# Each service that a function calls, with the operations that it calls. The description of all others goes.
OPERATIONS = {"dynamodb": ("BatchGetItem", "Query", "TransactWriteItems"), "events": ("PutEvents",)}

ROOT = "/var/task"  # where Lambda unpacks it, for tracebacks
# METADATA stays, for those who look for packages with known faults.
UNUSED = (
    "bin/*", "*/tests/*", "*/__pycache__/*", "*.pyi", "*/py.typed", "*.c", "*.h", "*.pxd", "*.tar.gz",
    "*.dist-info/[!M]*", "*.dist-info/licenses/*", "botocore/data/*", "cffi/*", "pycparser/*",
    "phonenumbers/shortdata/region_*",  # read for emergency numbers and the like, which nobody looks for
)  # fmt: skip
SHARED_DATA = ("_retry.json", "sdk-default-configuration.json")
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


def bundle(code: Path, dependencies: Path, target: Path) -> None:
    """Writes `target` from the zip that chalice made of the code and a folder of dependencies."""
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
    """Relative names, in one order everywhere."""
    yield from sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# What botocore knows about AWS. Without a service's set of rules for its endpoints it takes them from the table of all
# endpoints, as it always did: one line of a table, where the rules are worked through at every call.


def _write_service_data(data: Path, target: Path) -> None:
    for name in SHARED_DATA:
        _write_json(target / name, _read_json(data / name))
    _write_json(target / "endpoints.json", _endpoints(_read_json(data / "endpoints.json")))
    for service, operations in OPERATIONS.items():
        version = max(path.name for path in (data / service).iterdir())
        described = _described(_read_json(data / service / version / "service-2.json"), operations)
        _write_json(target / service / version / "service-2.json", described)


def _endpoints(known: dict[str, Any]) -> dict[str, Any]:
    for partition in known["partitions"]:
        partition["services"] = {name: told for name, told in partition["services"].items() if name in OPERATIONS}
    return known


def _described(service: dict[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """The description of a service, of those operations only, and without the prose."""
    kept = {name: service["operations"][name] for name in operations}
    wanted, found = [*_shapes_in(kept)], dict[str, Any]()
    while wanted:
        if (name := wanted.pop()) not in found:
            found[name] = service["shapes"][name]
            wanted += _shapes_in(found[name])
    shapes = {name: found[name] for name in sorted(found)}
    described = {"version": "2.0", "metadata": service["metadata"], "operations": kept, "shapes": shapes}
    return dict(_without_prose(described))


def _shapes_in(part: Any) -> Iterator[str]:
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _shapes_in(inner)
    if isinstance(part, dict) and isinstance(part.get("shape"), str):
        yield part["shape"]


def _without_prose(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: _without_prose(inner)
            for name, inner in part.items()
            if not (name in ("documentation", "documentationUrl") and isinstance(inner, str))
        }
    return [_without_prose(inner) for inner in part] if isinstance(part, list) else part


def _read_json(path: Path) -> Any:
    packed = path.with_name(f"{path.name}.gz")
    return json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes())


def _write_json(path: Path, content: Any) -> None:
    """Unpacked, because Lambda's zip is packed already and this is read at every start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


# The zip


def _compile(tree: Path) -> None:
    """Beside each source, its compiled form, marked as never to be compared with it: files in Lambda do not change.

    Tracebacks name the line, and do not underline the part of it, which would be a fifth of all that is read.
    """
    compiling = [
        sys.executable,
        "-I",
        "-X",
        "no_debug_ranges",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
    ]
    where = ["-s", str(tree), "-p", ROOT, str(tree)]
    run(["env", "PYTHONHASHSEED=0", *compiling, *where], "could not compile the package")


def _write_zip(tree: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in _files(tree):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (tree / name).read_bytes())
    draft.replace(target)
