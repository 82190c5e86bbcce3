"""The command line: `starter.py --help` reads like a manual."""

from dunwell.cli.app import app

if __name__ == "__main__":
    app()
