"""Health check of a container: ends with 0 if the address answers 200, else with 1 and one line that says why.

Standard library only, for it runs every few seconds.
"""

import sys
import urllib.error
import urllib.request

_PATIENCE_SECONDS = 4.5


def main() -> None:
    """`python -I -S deploy/healthy.py http://127.0.0.1:8080/readyz`."""
    if len(sys.argv) != 2 or not sys.argv[1].startswith("http://"):
        sys.exit(f"deploy/healthy.py {' '.join(sys.argv[1:])}: call it with one http:// address")
    try:
        # http:// only, as checked above.
        with urllib.request.urlopen(sys.argv[1], timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310
            print(answer.read(200).decode(errors="replace").strip())
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {error.read(200).decode(errors='replace').strip()}")
    except OSError as error:
        sys.exit(f"no answer: {error}")


if __name__ == "__main__":
    main()
