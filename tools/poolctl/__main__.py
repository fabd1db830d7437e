"""`python -m tools.poolctl`."""

import sys

if __name__ == "__main__":
    try:
        from tools.poolctl.cli import run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
