"""The demo as a user meets it: one command, and nothing left behind."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PORTFOLIO = Path(__file__).with_name("portfolio")


class Demo:
    """A running `starter.py demo`, with everything it started."""

    def __init__(self, out: Path, *options: str) -> None:
        self._log = out.with_name("demo.log")
        with self._log.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "starter.py", "demo", "--portfolio", PORTFOLIO, "--out", out, *options],
                cwd=CHECKOUT, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.family: set[psutil.Process] = set()

    @property
    def says(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def until(self, words: str, seconds: float = 60) -> None:
        """Wait until it has said this."""
        end = time.monotonic() + seconds
        while words not in self.says:
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {words!r}:\n{self.says}"
            assert time.monotonic() < end, f"did not say {words!r} within {seconds:.0f} s:\n{self.says}"
            time.sleep(0.1)
        self.family |= set(psutil.Process(self.process.pid).children(recursive=True))

    def ended(self, seconds: float = 30) -> int:
        """Its exit status."""
        return self.process.wait(seconds)

    def left(self) -> list[str]:
        """Processes that it started and that still run."""
        _, alive = psutil.wait_procs(list(self.family), timeout=5)
        return [str(process) for process in alive]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "demo"


@pytest.fixture
def start(out: Path) -> Iterator[list[Demo]]:
    begun: list[Demo] = []
    yield begun
    for demo in begun:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def rows_of(said: str) -> dict[str, list[list[str]]]:
    """The tables as printed: their rows by title, each row as its cells."""
    tables: dict[str, list[list[str]]] = {}
    for block in re.split(r"\n\s*\n", said):
        title, *lines = [line.rstrip() for line in block.strip().splitlines()]
        if len(lines) >= 2:
            tables[title] = [re.split(r"\s{2,}", line.strip()) for line in lines[1:]]
    return tables


def test_a_year_is_worked_and_told_within_a_minute_and_stays_up_until_ctrl_c(start: list[Demo], out: Path) -> None:
    began = time.monotonic()
    demo = Demo(out, "--keep")
    start.append(demo)
    demo.until("Ctrl-C stops everything")

    assert time.monotonic() - began < 60
    tables = rows_of(demo.says)
    wanted = {
        "Cases by stage", "Episodes by ending", "Contacts by channel and answer", "Contacts not made", "Promises to pay",
        "Plans", "Legal steps", "Money owed and collected", "Relief by kind",
    }  # fmt: skip
    assert wanted <= tables.keys()
    for title in wanted:
        assert all(any(cell.strip("–0 ") for cell in row[1:]) for row in tables[title]), f"{title} has an empty row"
    assert (out / "report.html").stat().st_size > 1_000_000
    for loan_id in re.findall(r"starter.py show (\w+)", demo.says):
        assert f"Loan {loan_id}" in (out / "stories" / f"{loan_id}.txt").read_text(encoding="utf-8")
    assert (out / "overdue" / "overdue-2025-06-30.csv").read_text(encoding="utf-8").startswith("loan_id,case_id")
    address = re.search(r"Temporal UI:\s+(http://\S+)", demo.says)
    assert address is not None
    assert httpx.get(address[1], follow_redirects=True, trust_env=False).is_success

    demo.process.send_signal(signal.SIGINT)

    assert demo.ended() == 0
    assert demo.left() == []
    assert not (out / "postgres").exists(), "the next demo starts from fresh data"


def test_ctrl_c_during_the_work_ends_every_process(start: list[Demo], out: Path) -> None:
    demo = Demo(out)
    start.append(demo)
    demo.until("are in the ledger")

    demo.process.send_signal(signal.SIGINT)

    assert demo.ended() not in (0, None)
    assert demo.left() == []
    assert "Traceback" not in demo.says


def test_a_worker_that_is_killed_is_the_failure_of_the_demo(start: list[Demo], out: Path) -> None:
    demo = Demo(out)
    start.append(demo)
    demo.until("are in the ledger")
    worker = next(p for p in demo.family if "worker.py" in " ".join(p.cmdline()))

    worker.kill()

    assert demo.ended() == 1
    assert "ended by itself with signal SIGKILL; the end of its log" in demo.says
    assert demo.left() == []
