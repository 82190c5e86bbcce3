"""Bugs that somebody might write, one at a time, each in a copy of the checkout: `make sabotage`.

First all named tests run without a bug and have to pass; then each bug has to turn at least one of its tests red. Names
of bugs as arguments run these alone. The exit status is 1 if a bug survives or no longer applies.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.sabotage import BUGS
from tests.sabotage.bug import Bug, NoLongerApplies

CHECKOUT = Path(__file__).resolve().parents[2]
# A test that hangs with a bug has not said what is wrong.
TRIAL_SECONDS = 180
ALL_SECONDS = 600
# The same examples in every trial.
_PYTEST = ("-m", "pytest", "-x", "-q", "--no-header", "--hypothesis-seed=1", "-o", "addopts=--import-mode=importlib")


@dataclass(frozen=True, slots=True)
class Trial:
    """How the named tests ended: those that failed, and what pytest said."""

    status: int
    failed: Sequence[str]
    seconds: float
    said: str

    @property
    def red(self) -> bool:
        """A test failed, rather than an import, a collection or a server."""
        return self.status == 1 and bool(self.failed)


async def main() -> int:
    this = asyncio.current_task()
    assert this is not None
    # Told to end, it stops the trials under way and removes their copies, as on Ctrl-C.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    options = _options()
    unknown = sorted(set(options.names) - {bug.name for bug in BUGS})
    if unknown:
        print(f"no bug is called {', '.join(unknown)}; there are:\n  " + "\n  ".join(bug.name for bug in BUGS))
        return 2
    bugs = [bug for bug in BUGS if not options.names or bug.name in options.names]
    try:
        for bug in bugs:
            bug.put_into((CHECKOUT / bug.file).read_text(encoding="utf-8"))
    except (NoLongerApplies, FileNotFoundError, SyntaxError) as e:
        print(e)
        return 1
    with tempfile.TemporaryDirectory(prefix="dunwell-sabotage-") as folder:
        first = Path(folder) / "0"
        copy_checkout(first)
        named = list(dict.fromkeys(test for bug in bugs for test in bug.caught_by))
        print(f"{len(named)} tests without a bug ...", end=" ", flush=True)
        clean = await run_tests(first, named, ALL_SECONDS, keep_bytecode=True)
        print(f"{clean.seconds:.0f} s", flush=True)
        if clean.status != 0:
            print(f"they have to pass before a bug can be told by them:\n{clean.said}")
            return 1
        trees = [first, *(Path(folder) / str(number) for number in range(1, options.at_once))]
        for tree in trees[1:]:
            shutil.copytree(first, tree, ignore=shutil.ignore_patterns("build"))
        survived = await try_all(bugs, trees)
    print(f"{len(bugs) - len(survived)} of {len(bugs)} bugs caught")
    if survived:
        print(f"survived: {', '.join(survived)}")
    return 1 if survived else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sabotage", description=__doc__)
    parser.add_argument("names", nargs="*", help="run these bugs alone")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="trials side by side (default 2)")
    return parser.parse_args()


def copy_checkout(tree: Path) -> None:
    """The files that are tracked, and those that are new and not ignored, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, tree / name)


async def try_all(bugs: Iterable[Bug], trees: Iterable[Path]) -> list[str]:
    """Each bug in the next tree that is free; prints a line for each, returns the names of those that survived."""
    free: asyncio.Queue[Path] = asyncio.Queue()
    for tree in trees:
        free.put_nowait(tree)
    survived: list[str] = []
    print(f"\n{'bug':42}{'seconds':>8}  caught by")

    async def attempt(bug: Bug) -> None:
        tree = await free.get()
        try:
            trial = await try_one(bug, tree)
        finally:
            free.put_nowait(tree)
        said = trial.failed[0] if trial.red else f"NOBODY (pytest ended with status {trial.status})"
        print(f"{bug.name:42}{trial.seconds:8.1f}  {said}", flush=True)
        if not trial.red:
            survived.append(bug.name)
            print(trial.said)

    async with asyncio.TaskGroup() as trials:
        for bug in bugs:
            trials.create_task(attempt(bug))
    return survived


async def try_one(bug: Bug, tree: Path) -> Trial:
    before = bug.apply(tree)
    file = tree / bug.file
    try:
        return await run_tests(tree, bug.caught_by, TRIAL_SECONDS, keep_bytecode=False)
    finally:
        # As old as it was, so that its bytecode is that of the first pass again.
        file.write_bytes(before)
        shutil.copystat(CHECKOUT / bug.file, file)


async def run_tests(tree: Path, tests: Sequence[str], within: float, *, keep_bytecode: bool) -> Trial:
    """The tests of a copy, in a process group of its own, with what it builds inside the copy."""
    report, log = tree / "build" / "sabotage.xml", tree / "build" / "sabotage.log"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("DUNWELL_", "PYTEST_", "TEMPORAL_"))
    }
    if "TEMPORAL_CLI" in os.environ:
        ours["TEMPORAL_CLI"] = os.environ["TEMPORAL_CLI"]
    bytecode = {} if keep_bytecode else {"PYTHONDONTWRITEBYTECODE": "1"}
    began = time.monotonic()
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *_PYTEST, f"--junitxml={report}", *tests,
            cwd=tree, env={**ours, **bytecode, "PYTHONPATH": str(tree), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            status = await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            status = -1
        finally:
            await _end(process)
    return Trial(status, _failed(report), time.monotonic() - began, "\n".join(log.read_text().splitlines()[-30:]))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Interrupted, pytest stops the servers it started; what does not listen is killed."""
    if process.returncode is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), 20)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _failed(report: Path) -> list[str]:
    if not report.exists():
        return []
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314 (written by our own pytest a moment ago)
    return [case.get("name", "") for case in cases if case.find("failure") is not None]


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
