"""`make vendor`: fetch the packages of the console from npm and write their files to `chalicelib/page/vendor/`.

`manifest.json` there names each file: its package, exact version, path in the package and SHA-256. To update a package,
change its version there and run the target, which writes the new digest. A file that differs from the digest of an
unchanged version is an error: a published version never changes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from tools.paths import PROJECT
from tools.problems import Unusable, run_tool

FOLDER: Final = PROJECT / "chalicelib" / "page" / "vendor"
MANIFEST: Final = FOLDER / "manifest.json"


def read_manifest() -> dict[str, dict[str, str]]:
    """Return the entries of the manifest by file name."""
    entries: dict[str, dict[str, str]] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return entries


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refresh() -> list[str]:
    """Write every file of the manifest, and the digests of new versions. Return the names of the files."""
    entries = read_manifest()
    with tempfile.TemporaryDirectory() as scratch:
        archives: dict[str, Path] = {}
        for name, entry in entries.items():
            wanted = f"{entry['package']}@{entry['version']}"
            if wanted not in archives:
                archives[wanted] = _pack(wanted, Path(scratch))
            content = _member(archives[wanted], entry["path"])
            if entry.get("digest_of") == entry["version"] and entry["sha256"] != digest(content):
                raise Unusable(f"{name} of {wanted} is not the file that was vendored")
            entry |= {"digest_of": entry["version"], "sha256": digest(content)}
            (FOLDER / name).write_bytes(content)
    MANIFEST.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return list(entries)


def _pack(wanted: str, scratch: Path) -> Path:
    """Download a package. Return its archive."""
    command = ["npm", "pack", "--silent", "--json", wanted]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise Unusable("the packages come from npm: install npm first") from None
    except subprocess.CalledProcessError as failed:
        raise Unusable(f"npm cannot fetch {wanted}: {failed.stderr.strip()}") from None
    described: list[dict[str, Any]] = json.loads(done.stdout)
    return scratch / Path(str(described[0]["filename"]).replace("@", "").replace("/", "-")).name


def _member(archive: Path, path: str) -> bytes:
    with tarfile.open(archive) as opened:
        file = opened.extractfile(f"package/{path}")
        assert file is not None, path
        return file.read()


def main() -> int:
    print("\n".join(refresh()))
    return 0


if __name__ == "__main__":
    run_tool(main)
