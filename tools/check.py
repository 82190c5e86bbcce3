"""Every check of the project, one after the other, whatever fails: `make test`.

Each folder below tests/ is a suite. Names of checks or suites as arguments run these alone. The exit status is 1 if any
failed; the last line counts the tests.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
REPORTS = CHECKOUT / "build" / "tests"
BIN = Path(sys.executable).parent
# A suite that hangs is a failure, not a wait for ever.
SUITE_SECONDS = 15 * 60

STATIC: dict[str, list[str]] = {
    "ruff check": [f"{BIN}/ruff", "check", "."],
    "ruff format": [f"{BIN}/ruff", "format", "--check", "."],
    "mypy": [f"{BIN}/mypy", "--pretty"],
    "import rules": [f"{BIN}/lint-imports", "--config", "pyproject.toml", "--no-cache"],
}


@dataclass(frozen=True)
class Result:
    name: str
    seconds: float
    ok: bool
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def main() -> int:
    wanted = sys.argv[1:]
    results = [run_static(name, command) for name, command in STATIC.items() if not wanted or name in wanted]
    results += [run_suite(suite) for suite in suites() if not wanted or suite in wanted]
    if not results:
        print(f"nothing to check by the names {wanted}; there are: {', '.join([*STATIC, *suites()])}")
        return 2
    print_table(results)
    return 0 if all(result.ok for result in results) else 1


def suites() -> list[str]:
    """The folders of tests/ that hold tests, the purest first: they fail soonest."""
    folders = {test.relative_to(CHECKOUT / "tests").parts[0] for test in (CHECKOUT / "tests").glob("*/**/test_*.py")}
    first = ["domain", "catalogue", "local"]
    return [name for name in first if name in folders] + sorted(folders - set(first))


def run_static(name: str, command: list[str]) -> Result:
    headline(name)
    began = time.monotonic()
    if name == "mypy":
        command = [*command, *typed_paths()]
    status = subprocess.run(command, cwd=CHECKOUT, env=environment(), check=False).returncode
    return Result(name, time.monotonic() - began, status == 0)


def typed_paths() -> list[str]:
    """What mypy reads. tools/setup.py is left out: it is written for Pythons that know no annotations."""
    folders = ["dunwell", "workflows", "activities", "bench", "tests"]
    files = [
        "worker.py",
        "starter.py",
        *(str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "tools").glob("*.py")),
    ]
    return [name for name in [*folders, *files] if (CHECKOUT / name).exists() and name != "tools/setup.py"]


def run_suite(suite: str) -> Result:
    headline(f"tests/{suite}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / f"{suite}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"tests/{suite}", "-q", f"--junitxml={report}"]
    began = time.monotonic()
    try:
        status = subprocess.run(command, cwd=CHECKOUT, env=environment(), check=False, timeout=SUITE_SECONDS).returncode
    except subprocess.TimeoutExpired:
        print(f"tests/{suite} was stopped after {SUITE_SECONDS} s")
        status = -1
    seconds = time.monotonic() - began
    passed, failed, skipped = counts(report)
    if status != 0 and failed == 0:
        # It broke before or after its tests: at collection, at the end of its servers, or by a signal.
        print(f"tests/{suite} ended with status {status}")
        failed = 1
    return Result(suite, seconds, status == 0, passed, failed, skipped)


def counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of a JUnit report; zeros if there is none."""
    if not report.exists():
        return 0, 0, 0
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314  # written by our own pytest a moment ago
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return len(cases) - failed - skipped, failed, skipped


def environment() -> dict[str, str]:
    # Whatever the caller's shell is configured for, tests talk to what they start.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DUNWELL_")}
    return {**ours, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"} if not sys.stdout.isatty() else ours


def headline(name: str) -> None:
    print(f"\n── {name} ", "─" * (60 - len(name)), flush=True)


def print_table(results: list[Result]) -> None:
    print(f"\n{'':24}{'seconds':>8} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for result in results:
        tests = f"{result.passed:7} {result.failed:7} {result.skipped:8}" if result.name not in STATIC else " " * 24
        print(f"{result.name:24}{result.seconds:8.1f} {tests}  {'ok' if result.ok else 'FAILED'}")
    print(f"{'in all':24}{sum(result.seconds for result in results):8.1f}")
    broken = [result.name for result in results if not result.ok]
    if broken:
        print(f"failed: {', '.join(broken)}")
    print(f"{sum(result.passed for result in results)} passed, {sum(result.failed for result in results)} failed")


if __name__ == "__main__":
    sys.exit(main())
