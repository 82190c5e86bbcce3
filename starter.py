"""The command line: `starter.py --help` reads like a manual."""

import os
import sys

from dunwell.cli.app import app


def main() -> int:
    """Run a command; returns its exit status."""
    try:
        app()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The Temporal client's own threads can abort an interpreter that takes its time to end.
    os._exit(status)
