"""`make deploy STAGE=prod`: packages a stage, deploys it to the account of the environment, and prints its address.

JWT_ISSUER and JWT_AUDIENCE say whose tokens are believed, JWT_CLIENTS which clients' tokens need no audience, JWKS
where the keys are if the issuer does not say so itself, ALARM_TOPIC who is told of alarms, and SIGN_IN_CLIENT as whom
the console signs people in; each is needed once and kept by the stack. A second deployment of the same commit changes
nothing. WITHOUT=<index> leaves that index out, until the next deployment: one that has to hold something else can only
be made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

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
    """What the environment says, by the template's names. An issuer that comes without its keys is asked for them.

    Raises `Unusable` for a key set that nobody should trust.
    """
    given = {name: environment[variable] for name, variable in SETTINGS.items() if environment.get(variable)}
    if "JwtIssuer" in given and "Jwks" not in given:
        given["Jwks"] = key_set_of(given["JwtIssuer"])
    if not given.get("Jwks", "https://").startswith("https://"):
        raise Unusable(f"JWKS={given['Jwks']} is not an https address: anybody on the way could put their keys there")
    return given


def leave_out(index: str, template: Path) -> None:
    """Takes that index from the table that a template declares. Raises `Unusable` where there is none of that name."""
    content = json.loads(template.read_text(encoding="utf-8"))
    table = content["Resources"]["Table"]["Properties"]
    kept = [each for each in table["GlobalSecondaryIndexes"] if each["IndexName"] != index]
    if len(kept) == len(table["GlobalSecondaryIndexes"]):
        raise Unusable(f"WITHOUT={index} is no index: choose one of {', '.join(each['IndexName'] for each in kept)}")
    used = {key["AttributeName"] for each in (table, *kept) for key in each["KeySchema"]}
    table["GlobalSecondaryIndexes"] = kept
    table["AttributeDefinitions"] = [each for each in table["AttributeDefinitions"] if each["AttributeName"] in used]
    template.write_text(json.dumps(content), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stage")
    stage = stage_named(parser.parse_args().stage)
    if stage.name == "e2e":
        raise Unusable("the stage e2e is for the emulator: run `make e2e`")
    given, cloud = settings(os.environ), Cloud()
    print(f"packaging {stage.stack} and deploying it to account {cloud.account()} ...", file=sys.stderr)
    packaged = package(stage)
    if index := os.environ.get("WITHOUT"):
        leave_out(index, packaged.template)
    deployed = cloud.deploy(stage.stack, packaged, given)
    print(f"{'deployed' if deployed.changed else 'nothing has changed in'} {stage.stack}", file=sys.stderr)
    print(deployed.outputs["EndpointURL"])
    return 0


if __name__ == "__main__":
    run_tool(main)
