"""The bucket of the account and region for packages, which are named by their digests."""

from __future__ import annotations

import sys

from botocore.exceptions import ClientError

from tools.deploy.account import account, client
from tools.deploy.aws_cli import aws
from tools.deploy.failed_creation import remove_failed_creation
from tools.paths import PROJECT
from tools.problems import Unusable

STACK = "customer-pool-artifacts"
TEMPLATE = PROJECT / "infra" / "artifacts.yaml"


def artifacts() -> str:
    """Return the bucket, after creating it if necessary. Raise `Unusable` if it belongs to somebody else."""
    owner, storage = account(), client("s3")
    name = f"customer-pool-{owner}-{storage.meta.region_name}"
    try:
        storage.head_bucket(Bucket=name, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] == "403":
            raise Unusable(f"the bucket {name} does not belong to this account, or may not be used") from None
        if error.response["Error"]["Code"] != "404":
            raise
        _create()
    return name


def _create() -> None:
    print(f"creating {STACK}, the bucket for packages ...", file=sys.stderr)
    remove_failed_creation(STACK)
    aws("cloudformation", "deploy", "--stack-name", STACK, "--template-file", str(TEMPLATE))
