"""The packaged template as CloudFormation expands it, with the translator of AWS SAM."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

GIVEN = {"Jwks": "https://id.example.com/keys", "JwtIssuer": "https://id.example.com", "JwtAudience": "pool"}


def expanded(template: Path, region: str, **parameters: str) -> dict[str, Any]:
    """Return the template of a package in CloudFormation's own resources, for a region and parameters."""
    written = yaml.safe_load(template.read_text())
    for resource in written["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://artifacts/key"
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    found: dict[str, Any] = translator.translate(written, parameter_values=GIVEN | parameters)
    return found
