"""Everything a portfolio needs on one machine: PostgreSQL, a Temporal server, the sandbox provider, workers."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psutil
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from dunwell.local.postgres import EmbeddedPostgres
from dunwell.local.processes import Child, Children, free_port
from dunwell.local.server_binary import CHECKOUT
from dunwell.local.temporal_server import (
    TemporalServer,
    TemporalUnusable,
    register_search_attributes,
    require_time_skipping,
)

T = TypeVar("T")

# Where a stack may run that a command should find without being told.
_USUAL_FOLDERS = (".dunwell", "build/*")
_STATE = "stack.json"
_READY_WITHIN = 30.0


class StackUnusable(RuntimeError):
    """A stack cannot be started; the message says why and what to do."""


@dataclass(frozen=True)
class RunningStack:
    """The addresses of a stack that runs, as its state file gives them. `database_url` holds a password."""

    pid: int
    began: float
    folder: str
    database_url: str
    temporal_address: str
    temporal_namespace: str
    ui_address: str | None
    provider_url: str | None
    server_pids: tuple[int, ...]

    @property
    def alive(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            # A number may have been given to another process since.
            owner_is_same = psutil.Process(self.pid).create_time() == self.began
            return owner_is_same and all(map(psutil.pid_exists, self.server_pids))
        return False

    def environment(self) -> dict[str, str]:
        """The settings by which worker, starter and provider find this stack."""
        settings = {
            "DUNWELL_DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": self.temporal_namespace,
        }
        if self.provider_url is not None:
            settings["DUNWELL_PROVIDER_URL"] = self.provider_url
        return settings


class Stack:
    """A stack in `folder`, up while the block lasts. With `keep` its data stays for the next time, else it is removed.

    TEMPORAL_ADDRESS, if set, names the Temporal server to use instead of an own one; `skips_time` demands that it can.
    `settings` are dynamic config values of the own server. Wait inside by `watch`, which raises ChildCrashed when any part
    ends by itself.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ui: bool = False,
        keep: bool = False,
        skips_time: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.keep = keep
        self.logs = self.folder / "logs"
        self.children = Children(self.logs)
        self.postgres = EmbeddedPostgres(self.folder / "postgres")
        self.temporal: TemporalServer | None = None
        if not os.environ.get("TEMPORAL_ADDRESS"):
            self.temporal = TemporalServer(
                self.logs / "temporal.log",
                # In memory SQLite slows down as histories grow: every commit walks its page cache.
                db_file=self.folder / "temporal" / "temporal.db",
                ui=ui,
                settings=settings,
            )
        self._skips_time = skips_time
        self._provider_url: str | None = None

    async def __aenter__(self) -> Self:
        running = Stack.find(self.folder)
        if running is not None:
            raise StackUnusable(f"process {running.pid} runs a stack in {self.folder}: stop it, or use another folder")
        if not self.keep:
            self._remove_data()
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            # Sequential failures, concurrent starts: both are waited for before the first failure is told.
            results = await asyncio.gather(self.postgres.start(), self._start_temporal(), return_exceptions=True)
            for failure in results:
                if failure is not None:
                    raise failure
            for server in (self.postgres, self.temporal):
                if server is not None and server.child is not None:
                    self.children.adopt(server.child)
            self._write_state()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # Raises the crash of a child that no `watch` has told yet.
            await self.children.__aexit__(kind, error, trace)
        finally:
            await self._stop()

    @staticmethod
    def find(folder: Path | None = None) -> RunningStack | None:
        """The stack that runs in `folder`; without one, any that runs in this checkout. None if there is none."""
        if folder is not None:
            states = [folder / _STATE]
        else:
            states = [state for usual in _USUAL_FOLDERS for state in sorted(CHECKOUT.glob(f"{usual}/{_STATE}"))]
        for state in states:
            with contextlib.suppress(FileNotFoundError):
                told = json.loads(state.read_text())
                running = RunningStack(**{**told, "server_pids": tuple(told["server_pids"])})
                if running.alive:
                    return running
        return None

    @property
    def addresses(self) -> RunningStack:
        servers = [server for server in (self.postgres, self.temporal) if server is not None]
        return RunningStack(
            pid=os.getpid(),
            began=psutil.Process().create_time(),
            folder=str(self.folder),
            database_url=self.postgres.dsn(),
            temporal_address=self.temporal.address if self.temporal else os.environ["TEMPORAL_ADDRESS"],
            temporal_namespace=self.temporal.namespace
            if self.temporal
            else os.environ.get("TEMPORAL_NAMESPACE", "default"),
            ui_address=self.temporal.ui_address if self.temporal else None,
            provider_url=self._provider_url,
            server_pids=tuple(server.pid for server in servers),
        )

    async def watch(self, work: Awaitable[T]) -> T:
        """Awaits the work. Raises ChildCrashed, and cancels the work, when any part of the stack ends by itself."""
        return await self.children.watch(work)

    async def start_provider(self, *arguments: str) -> str:
        """Starts the sandbox provider and returns its URL."""
        port = free_port()
        store = self.folder / "provider" / "provider.db"
        store.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "dunwell.channels.sandbox", "--port", str(port), "--store", str(store)]
        await self.children.begin("provider", [*command, *arguments], cwd=CHECKOUT)
        await self.watch(_until_listening("the sandbox provider", port))
        self._provider_url = f"http://127.0.0.1:{port}"
        self._write_state()
        return self._provider_url

    async def start_worker(
        self,
        name: str = "worker",
        *arguments: str,
        env: Mapping[str, str] | None = None,
        begins_again: bool = False,
    ) -> Child:
        """Starts a worker process of this stack; `env` comes on top of its addresses. `begins_again` as in Children."""
        command = [sys.executable, str(CHECKOUT / "worker.py"), *arguments]
        settings = {**self.addresses.environment(), **(env or {})}
        return await self.children.begin(name, command, env=settings, cwd=CHECKOUT, begins_again=begins_again)

    def cpu_seconds(self) -> dict[str, float]:
        """User and system seconds so far of every part, by name, earlier starts of the servers included."""
        spent = self.children.cpu_seconds()
        spent["postgres"] = self.postgres.cpu_seconds()
        if self.temporal is not None:
            spent["temporal"] = self.temporal.cpu_seconds()
        return spent

    async def _start_temporal(self) -> None:
        if self.temporal is not None:
            await self.temporal.start()
            return
        address = os.environ["TEMPORAL_ADDRESS"]
        try:
            async with asyncio.timeout(_READY_WITHIN):
                client = await Client.connect(**ClientConfig.load_client_connect_config())
        except (RuntimeError, TimeoutError) as error:
            raise TemporalUnusable(
                f"TEMPORAL_ADDRESS={address} does not answer ({str(error) or 'no answer in time'}): "
                "start that server, correct the address, or leave it unset to have one started"
            ) from error
        await register_search_attributes(client)
        if self._skips_time:
            await require_time_skipping(client, address)

    def _write_state(self) -> None:
        state, unfinished = self.folder / _STATE, self.folder / f".{_STATE}"
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(asdict(self.addresses), indent=1))
        unfinished.replace(state)

    async def _stop(self) -> None:
        (self.folder / _STATE).unlink(missing_ok=True)
        await self.children.stop_all()
        if self.temporal is not None:
            await self.temporal.stop()
        await self.postgres.stop()
        if not self.keep:
            self._remove_data()

    def _remove_data(self) -> None:
        for part in ("postgres", "temporal", "provider"):
            shutil.rmtree(self.folder / part, ignore_errors=True)


async def _until_listening(what: str, port: int) -> None:
    try:
        async with asyncio.timeout(_READY_WITHIN):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise StackUnusable(f"{what} does not listen on port {port} after {_READY_WITHIN:.0f} s") from None
