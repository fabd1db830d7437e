"""The bill of materials of a package: every library in the zip, with version and digests, in the format CycloneDX."""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.deploy.dependencies import SERVICE
from tools.environment import installed_uv, run
from tools.paths import PROJECT


def write_sbom(target: Path) -> None:
    """Write the export of uv.lock, and Chalice, whose runtime is in the zip. The same lock makes the same file."""
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "sbom.json"
        export = [str(installed_uv()), "export", "--quiet", "--frozen", "--only-group", SERVICE]
        options = ["--format", "cyclonedx1.5", "--output-file", str(exported), "--project", str(PROJECT)]
        run([*export, *options], "could not export the bill of materials")
        bill: dict[str, Any] = json.loads(exported.read_text(encoding="utf-8"))
    del bill["serialNumber"], bill["metadata"]["timestamp"]
    bill["components"].append(_component("chalice", version("chalice")))
    target.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")


def _component(name: str, release: str) -> dict[str, str]:
    purl = f"pkg:pypi/{name}@{release}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": release, "purl": purl}
