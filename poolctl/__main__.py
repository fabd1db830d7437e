"""`python -m poolctl`."""

import sys

if __name__ == "__main__":
    try:
        from poolctl.cli import run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
