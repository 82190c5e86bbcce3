"""Children are watched, told about when they crash, and never outlive their parent."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from dunwell.local.processes import ChildCrashed, Children, ended_by_sigterm

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
ROOT = Path(__file__).resolve().parents[2]


async def gone(pid: int) -> None:
    async with asyncio.timeout(15):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_a_childs_crash_is_raised_in_the_waiting_parent_with_the_end_of_its_log(tmp_path: Path) -> None:
    faulty = [sys.executable, "-c", "print('ledger unreachable'); raise SystemExit(3)"]

    with pytest.raises(ChildCrashed, match=r"worker .* exit status 3(.|\n)*ledger unreachable"):
        async with Children(tmp_path) as children:
            await children.begin("worker", faulty)
            await children.watch(asyncio.sleep(60))


async def test_a_crash_during_unwatched_work_is_raised_when_the_work_ends(tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed, match="signal SIGKILL"):
        async with Children(tmp_path) as children:
            child = await children.begin("worker", SLEEPER)
            os.kill(child.pid, signal.SIGKILL)
            await child.ended()


async def test_a_child_killed_on_purpose_is_no_crash(tmp_path: Path) -> None:
    async with Children(tmp_path) as children:
        child = await children.begin("worker", SLEEPER)

        assert await child.kill() == -signal.SIGKILL
        assert await children.watch(asyncio.sleep(0, "done")) == "done"


async def test_an_exception_in_the_parent_stops_every_child(tmp_path: Path) -> None:
    pids = []
    with pytest.raises(ZeroDivisionError):
        async with Children(tmp_path) as children:
            pids = [(await children.begin(name, SLEEPER)).pid for name in ("one", "two")]
            raise ZeroDivisionError

    assert not any(map(psutil.pid_exists, pids))


async def test_a_child_that_ignores_the_request_to_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']).pid); time.sleep(600)"
    )
    async with Children(tmp_path) as children:
        child = await children.begin("stubborn", [sys.executable, "-c", stubborn])
        async with asyncio.timeout(15):
            while not child.log.read_text().strip():
                await asyncio.sleep(0.02)

        assert await child.stop(grace=0.2) == -signal.SIGKILL
        await gone(int(child.log.read_text()))


PARENT = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from dunwell.local.stack import Stack
from dunwell.local.processes import ended_by_sigterm
async def main():
    async with ended_by_sigterm(), Stack(Path(sys.argv[1])) as stack:
        child = await stack.children.begin("sleeper", {SLEEPER!r})
        print(child.pid, stack.postgres.pid, stack.temporal.pid, flush=True)
        await stack.watch(asyncio.sleep(600))
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("by", "status"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)],
    ids=["killed", "terminated", "interrupted"],
)
async def test_no_process_of_a_stack_outlives_its_parent(tmp_path: Path, by: signal.Signals, status: int) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    family = list(map(int, (await parent.stdout.readline()).split()))
    family += [member.pid for pid in family for member in psutil.Process(pid).children(recursive=True)]
    assert len(family) > 3  # PostgreSQL has background processes of its own

    parent.send_signal(by)
    await parent.communicate()

    assert parent.returncode == status
    for pid in family:
        await gone(pid)


async def test_sigterm_cancels_the_work_and_ends_with_status_143() -> None:
    with pytest.raises(SystemExit) as ended:
        async with ended_by_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)

    assert ended.value.code == 143
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
