"""The settings of a deployment, from the environment, and the parameters of the template that they become."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import yaml

from tools.deploy.package import Package
from tools.local.oidc import key_set_of
from tools.problems import Unusable

SETTINGS = {
    "Jwks": "JWKS",
    "JwtIssuer": "JWT_ISSUER",
    "JwtAudience": "JWT_AUDIENCE",
    "JwtClients": "JWT_CLIENTS",
    "AlarmTopic": "ALARM_TOPIC",
    "AlarmEmail": "ALARM_EMAIL",
    "Tracing": "TRACING",
    "Canary": "CANARY",
    "SnapStart": "SNAP_START",
    "WebAcl": "WEB_ACL",
    "DomainName": "DOMAIN_NAME",
    "DomainCertificate": "DOMAIN_CERTIFICATE",
    "ReserveConcurrency": "RESERVE_CONCURRENCY",
    "FanOut": "FAN_OUT",
    "Emulated": "EMULATED",
    "SignInClient": "SIGN_IN_CLIENT",
    "SignInScope": "SIGN_IN_SCOPE",
    "SignInToken": "SIGN_IN_TOKEN",
    "SignInHosts": "SIGN_IN_HOSTS",
}
REQUIRED = ("JwtIssuer", "JwtAudience")  # by a new stack; the issuer publishes the address of its key set


def settings(environment: Mapping[str, str], key_set_of: Callable[[str], str] = key_set_of) -> dict[str, str]:
    """Return the environment's settings by the template's parameter names.

    An issuer given without JWKS is resolved through its discovery document. An optional setting may be empty. Raises
    `Unusable` for a key set address without https.
    """
    given = {name: environment[variable] for name, variable in SETTINGS.items() if variable in environment}
    given = {name: value for name, value in given.items() if value or name not in (*REQUIRED, "Jwks")}
    if "JwtIssuer" in given and "Jwks" not in given:
        given["Jwks"] = key_set_of(given["JwtIssuer"])
    if not given.get("Jwks", "https://").startswith("https://"):
        raise Unusable(f"JWKS={given['Jwks']} is not https: anybody on the network path could replace the keys")
    return given


def effective(template: Path, kept: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return each parameter of the template: as given, as kept by the stack, or its default, also if given as empty."""
    declared = yaml.safe_load(template.read_text(encoding="utf-8"))["Parameters"]
    return {
        name: given.get(name, kept.get(name, "")) or str(parameter.get("Default", ""))
        for name, parameter in declared.items()
    }


def refuse_unusable(values: Mapping[str, str], python: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raise `Unusable` for parameters that CloudFormation accepts and that do not fit together."""
    if values["SnapStart"] == "on" and python < (3, 12):
        raise Unusable("SNAP_START=on needs Python 3.12 or newer: `make clean`, then deploy with PYTHON=python3.13")
    if bool(values["DomainName"]) != bool(values["DomainCertificate"]):
        raise Unusable("DOMAIN_NAME needs DOMAIN_CERTIFICATE, and the reverse: see docs/operations.md, Settings")


def digest(made: Package, values: dict[str, str]) -> str:
    """Return the digest of all that a version of a function consists of: code, template and parameters."""
    parameters = json.dumps(values, sort_keys=True)
    return sha256(made.code.read_bytes() + made.template.read_bytes() + parameters.encode()).hexdigest()
