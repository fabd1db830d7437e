"""`make deploy STAGE=prod`: package a stage, deploy it to the AWS account of the environment and print its URL.

Reads the stack's parameters from environment variables (`SETTINGS`). The stack keeps them, so each is needed only for
the first deployment and to change it. A second deployment of the same commit changes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping

from tools.deploy.cloudformation import Cloud
from tools.deploy.package import package
from tools.deploy.stages import stage_named
from tools.local.oidc import key_set_of
from tools.problems import Unusable, run_tool

SETTINGS = {
    "Jwks": "JWKS",
    "JwtIssuer": "JWT_ISSUER",
    "JwtAudience": "JWT_AUDIENCE",
    "JwtClients": "JWT_CLIENTS",
    "AlarmTopic": "ALARM_TOPIC",
    "SignInClient": "SIGN_IN_CLIENT",
    "SignInScope": "SIGN_IN_SCOPE",
    "SignInToken": "SIGN_IN_TOKEN",
    "SignInHosts": "SIGN_IN_HOSTS",
}


def settings(environment: Mapping[str, str], key_set_of: Callable[[str], str] = key_set_of) -> dict[str, str]:
    """Return the environment's settings by the template's parameter names.

    An issuer given without JWKS is resolved through its discovery document. Raises `Unusable` for a key set address
    without https.
    """
    given = {name: environment[variable] for name, variable in SETTINGS.items() if environment.get(variable)}
    if "JwtIssuer" in given and "Jwks" not in given:
        given["Jwks"] = key_set_of(given["JwtIssuer"])
    if not given.get("Jwks", "https://").startswith("https://"):
        raise Unusable(f"JWKS={given['Jwks']} is not https: anybody on the network path could replace the keys")
    return given


def main() -> int:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stage")
    stage = stage_named(parser.parse_args().stage)
    if stage.name == "e2e":
        raise Unusable("the stage e2e is deployed only to the emulator: run `make e2e`")
    given, cloud = settings(os.environ), Cloud()
    print(f"packaging {stage.stack} and deploying it to account {cloud.account()} ...", file=sys.stderr)
    deployed = cloud.deploy(stage.stack, package(stage), given)
    print(f"{'deployed' if deployed.changed else 'no changes in'} {stage.stack}", file=sys.stderr)
    print(deployed.outputs["EndpointURL"])
    return 0


if __name__ == "__main__":
    run_tool(main)
