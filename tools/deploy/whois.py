"""`make whois USER=alice STAGE=prod`: print the digests that name a user, tenant or pool in the logs of a stage.

The digests are keyed with the secret of the stack, which this reads from AWS Secrets Manager. Without a stage, they are
those of the service of `make run`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from chalicelib.model.identities import user_of
from chalicelib.observability import name_digest
from tools.deploy.account import client
from tools.deploy.stages import stage_named
from tools.deploy.tables import one_line_faults
from tools.local.service import documented_environment
from tools.problems import Unusable, run_tool


def digests(secret: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of the tenant, and of the user and the pool if they are given."""
    tenant = names.get("tenant") or "main"
    found = {"tenant": name_digest(secret, "tenant", tenant)}
    if user := names.get("user"):
        found["user"] = name_digest(secret, "user", tenant, user_of(user))
    if pool := names.get("pool"):
        found["pool"] = name_digest(secret, "pool", tenant, pool)
    return found


def secret_of(stack: str) -> str:
    """Return the secret of a deployed stack."""
    found = client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId="KeySecret")
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    return str(client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="make whois", description=__doc__)
    for kind in ("user", "tenant", "pool", "stage"):
        parser.add_argument(f"--{kind}", default="")
    names = vars(parser.parse_args())
    if not (names["user"] or names["tenant"] or names["pool"]):
        raise Unusable("name somebody: make whois USER=alice STAGE=prod (TENANT=, POOL=)")
    with one_line_faults("reading the secret"):
        local = os.environ.get("KEY_SECRET") or documented_environment()["KEY_SECRET"]
        secret = secret_of(stage_named(names["stage"]).stack) if names["stage"] else local
    for kind, digest in digests(secret, names).items():
        print(f"{kind:7}{digest}")
    return 0


if __name__ == "__main__":
    run_tool(main)
