"""Children of this process: started on a leash, watched while the parent waits, stopped with it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psutil

T = TypeVar("T")

_LEASH = Path(__file__).with_name("leash.py")
_TAIL_LINES = 20
_TAIL_BYTES = 8192


class ChildCrashed(RuntimeError):
    """A child ended though nobody had asked it to; the message ends with the last lines of its log."""

    def __init__(self, child: "Child") -> None:
        self.name, self.status = child.name, child.status
        super().__init__(
            f"{child.name} (pid {child.pid}) ended by itself with {spoken_status(child.status)}; "
            f"the end of its log {child.log}:\n{child.log_tail()}"
        )


class PortTaken(RuntimeError):
    """A port that was asked for belongs to another process."""

    def __init__(self, what: str, port: int) -> None:
        self.port = port
        super().__init__(
            f"{what}: port {port} on 127.0.0.1 is taken by another process; stop that process, or name another port"
        )


def spoken_status(status: int | None) -> str:
    if status is None:
        return "no status"
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


class Child:
    """One child process with its log file. Start it in a thread that lives as long as the child may: the leash is tied to it."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process, stops_by: signal.Signals) -> None:
        self.name, self.log = name, log
        self._process = process
        self._stops_by = stops_by
        self._end_is_expected = False
        self._cpu_seconds = 0.0

    @classmethod
    async def begin(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stops_by: signal.Signals = signal.SIGTERM,
        ends_by: signal.Signals = signal.SIGKILL,
        through: Sequence[str] = (),
    ) -> Self:
        """Starts `command`, its output appended to `log`, `env` on top of this process's environment.

        `stops_by` is the signal that asks it to end; `ends_by` the one that the kernel sends when this process is gone.
        `through` is a command put before the leash: a change of user, which would otherwise undo it.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(int(ends_by)), str(os.getpid())]
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                *through,
                *leash,
                *map(str, command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                # Ctrl-C belongs to the parent, which stops its children in order.
                start_new_session=True,
            )
        return cls(name, log, process, stops_by)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    @property
    def crashed(self) -> bool:
        return not self.running and not self._end_is_expected

    async def ended(self) -> int:
        return await self._process.wait()

    async def stop(self, grace: float = 15) -> int:
        """Asks the child to end and waits; after `grace` seconds it is killed. Returns its exit status."""
        if self.running:
            self._end_is_expected = True
            self.cpu_seconds()
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self._stops_by)
            try:
                async with asyncio.timeout(grace):
                    return await self.ended()
            except TimeoutError:
                return await self.kill()
        return await self.ended()

    async def kill(self) -> int:
        """SIGKILL for the child and all it started. Returns when all of them are gone."""
        self._end_is_expected = True
        self.cpu_seconds()
        family = _family(self.pid) if self.running else []
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        status = await self.ended()
        while any(map(_lives, family)):
            await asyncio.sleep(0.01)
        return status

    def cpu_seconds(self) -> float:
        """User and system seconds of the child and all its own children so far, the ended ones included."""
        if self.running:
            total = 0.0
            for member in _family(self.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = member.cpu_times()
                    total += times.user + times.system
                    total += times.children_user + times.children_system
            self._cpu_seconds = max(self._cpu_seconds, total)
        return self._cpu_seconds

    def log_tail(self) -> str:
        return log_tail(self.log)


def log_tail(log: Path) -> str:
    """The last lines of a log file, indented."""
    if not log.exists():
        return "  (there is no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (its log is empty)"


def _family(pid: int) -> list[psutil.Process]:
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Children:
    """The children of one piece of work.

    `watch` waits for the work and raises ChildCrashed as soon as a child ends by itself. Leaving the block stops all of
    them, the last started first; a crash that no `watch` has reported is raised then.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []
        self._guards: set[asyncio.Task[None]] = set()
        self._crash: ChildCrashed | None = None
        self._crashed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()
        if self._crash is not None and error is None:
            raise self._crash

    async def begin(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        begins_again: bool = False,
    ) -> Child:
        """Starts a child that logs to `<logs>/<name>.log` and is watched from now on.

        `begins_again`: if somebody kills it (SIGKILL) it is started anew; any other end of its own is still a crash.
        """

        async def start() -> Child:
            return await Child.begin(name, command, log=self._logs / f"{name}.log", env=env, cwd=cwd)

        child = await start()
        self.adopt(child, start if begins_again else None)
        return child

    def adopt(self, child: Child, again: Callable[[], Awaitable[Child]] | None = None) -> None:
        """Watches and stops a child that something else started; `again` starts it anew once it was killed."""
        self._children.append(child)
        guard = asyncio.create_task(self._guard(child, again), name=f"guard of {child.name}")
        self._guards.add(guard)
        guard.add_done_callback(self._guards.discard)

    async def _guard(self, child: Child, again: Callable[[], Awaitable[Child]] | None) -> None:
        await child.ended()
        while again is not None and child.crashed and child.status == -signal.SIGKILL:
            child = await again()
            self._children.append(child)
            await child.ended()
        if child.crashed and self._crash is None:
            self._crash = ChildCrashed(child)
            self._crashed.set()

    async def watch(self, work: Awaitable[T]) -> T:
        """Awaits the work. Raises ChildCrashed, and cancels the work, when a child ends by itself."""
        task = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self._crashed.wait())
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if self._crash is not None:
                raise self._crash
            return await task
        finally:
            for waiter in (alarm, task):
                if not waiter.done():
                    waiter.cancel()
            await asyncio.gather(alarm, task, return_exceptions=True)

    async def stop_all(self) -> None:
        for child in reversed(self._children):
            await child.stop()
        await asyncio.gather(*self._guards)

    def cpu_seconds(self) -> dict[str, float]:
        """User and system seconds by child, summed over children of one name."""
        spent: dict[str, float] = {}
        for child in self._children:
            spent[child.name] = spent.get(child.name, 0.0) + child.cpu_seconds()
        return spent

    def __iter__(self) -> Iterator[Child]:
        return iter(tuple(self._children))


@contextlib.asynccontextmanager
async def ended_by_sigterm() -> AsyncIterator[None]:
    """Lets SIGTERM end the current task in order, as Ctrl-C does, and the program with status 143."""
    loop, task, told = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    if task is None:
        raise RuntimeError("ended_by_sigterm is entered from a running task")

    def tell() -> None:
        told.set()
        task.cancel("SIGTERM")

    loop.add_signal_handler(signal.SIGTERM, tell)
    try:
        yield
    except asyncio.CancelledError:
        if told.is_set():
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
