"""`make token USER=alice`: print a token for the service on this machine."""

import argparse

from chalicelib.model.users import PERSONAL
from poolctl.local_keys import LocalKeys
from tools.problems import Unusable, fail, run_tool


def main() -> int:
    parser = argparse.ArgumentParser(prog="make token", description=__doc__)
    parser.add_argument("--user", required=True)
    parser.add_argument("--roles", default="", help="comma-separated; the service knows only admin")
    parser.add_argument("--tenant", default="")
    for claim in PERSONAL:
        parser.add_argument(f"--{claim}", default="", help=f"the {claim} that the token states")
    arguments = parser.parse_args()
    roles = [role.strip() for role in arguments.roles.split(",") if role.strip()]
    profile = {claim: text for claim in PERSONAL if (text := getattr(arguments, claim))}
    try:
        print(LocalKeys().ensure().token(arguments.user, roles, arguments.tenant or None, profile))
    except Unusable as mistake:
        fail(str(mistake), status=2)
    return 0


if __name__ == "__main__":
    run_tool(main)
