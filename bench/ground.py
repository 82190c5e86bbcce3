"""The ground both kinds of case stand on: one Temporal server, one PostgreSQL, one worker process."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import asyncpg
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.bare import Bare, BareStart, Marks
from bench.portfolio import bring_in, write_catalogue
from dunwell.catalogue import load_book
from dunwell.domain.case import case_id_of
from dunwell.domain.outlook import CASE_QUEUE
from dunwell.domain.strategy import Book
from dunwell.intake.relay import workflow_id
from dunwell.local.postgres import EmbeddedPostgres
from dunwell.local.stack import Stack
from dunwell.local.temporal_server import RAISED_LIMITS
from dunwell.settings import CHECKOUT
from dunwell.store.cases import sweep_page
from dunwell.store.database import connect, migrate

FOLDER = CHECKOUT / "build" / "bench"
SOURCE = "bench"  # whose payments may come by a plain signal
FOUR = [f"{CASE_QUEUE}-{c}" for c in ("sms", "email", "voice", "letter")]
_IN_FLIGHT = 50
_PAGE = 200
_LONGEST_SECONDS = 300
_QUIET_CPU = 0.15  # seconds of CPU in a second

Handle = WorkflowHandle[object, object]


class NotDone(RuntimeError):
    """Cases did not come to where a bench waits for them; the message says how far they came."""


@dataclass(slots=True)
class Ground:
    """A stack with a worker that serves both kinds of case."""

    stack: Stack
    pool: asyncpg.Pool
    client: Client
    book: Book
    marks: Marks
    _named: int = field(default=0)

    def names(self, count: int) -> list[str]:
        """Ids that nothing here has yet; a loan's and a bare workflow's alike."""
        first, self._named = self._named, self._named + count
        return [f"B{n:06d}" for n in range(first, first + count)]

    async def bring_in(self, names: list[str], *, repeat: bool = False, waiting: bool = False) -> None:
        """Loans into the database."""
        await bring_in(self.pool, names, datetime.now(UTC).date(), repeat=repeat, waiting=waiting)

    async def open_cases(self, names: list[str]) -> None:
        """The daily sweep opens a case for each of the loans brought in last, page by page."""
        now, last = datetime.now(UTC), f"B{int(names[0][1:]) - 1:06d}"
        while (page := await sweep_page(self.pool, self.book, now.date(), now, last, _PAGE)).last is not None:
            last = page.last

    async def start_bare(self, names: list[str], queues: list[str]) -> None:
        """One bare workflow for each name."""
        await in_flight(
            self.client.start_workflow(Bare.run, BareStart(queues), id=f"bare-{n}", task_queue=CASE_QUEUE)
            for n in names
        )

    def case(self, name: str) -> Handle:
        """The case's workflow of that loan."""
        return self.client.get_workflow_handle(workflow_id(case_id_of(name)))

    def bare(self, name: str) -> Handle:
        """The bare workflow of that name."""
        return self.client.get_workflow_handle(f"bare-{name}")

    async def until(self, what: str, wanted: int, query: str | None = None) -> None:
        """Wait until the query counts that many, or as many bare activities have run. Raises: NotDone."""
        gives_up = time.monotonic() + _LONGEST_SECONDS
        while True:
            count = await self.pool.fetchval(query) if query else self.marks.count()
            if count >= wanted:
                return
            if time.monotonic() > gives_up:
                raise NotDone(f"{what}: {count} of {wanted} after {_LONGEST_SECONDS} s; see {self.stack.logs}")
            await asyncio.sleep(0.25)


async def quiet(ground: Ground) -> None:
    """Until the Temporal server has worked off what it put off. Raises: NotDone."""
    gives_up = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < gives_up:
        before = ground.stack.cpu_seconds()["temporal"]
        await asyncio.sleep(1)
        if ground.stack.cpu_seconds()["temporal"] - before < _QUIET_CPU:
            return
    raise NotDone(f"the Temporal server is not quiet after {_LONGEST_SECONDS} s")


async def in_flight(calls: Iterable[Awaitable[object]]) -> None:
    """All of them, at most 50 at a time."""
    turns = asyncio.Semaphore(_IN_FLIGHT)

    async def one(call: Awaitable[object]) -> None:
        async with turns:
            await call

    await asyncio.gather(*(one(c) for c in calls))


@dataclass(slots=True)
class Used:
    """What was used between two moments: CPU seconds by part, writing transactions, WAL syncs."""

    cpu: dict[str, float] = field(default_factory=dict)
    commits: int = 0
    wal_syncs: int = 0

    @classmethod
    async def so_far(cls, ground: Ground) -> Self:
        """All since the servers were started."""
        row = await ground.pool.fetchrow(
            """select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xid,
                      (select coalesce(sum(fsyncs), 0) from pg_stat_io where object = 'wal')::bigint as syncs"""
        )
        assert row is not None
        return cls(ground.stack.cpu_seconds(), row["xid"], row["syncs"])

    def since(self, before: "Used") -> "Used":
        """The difference."""
        cpu = {part: spent - before.cpu.get(part, 0.0) for part, spent in self.cpu.items()}
        return Used(cpu, self.commits - before.commits, self.wal_syncs - before.wal_syncs)

    def add(self, more: "Used") -> None:
        """Sum up."""
        self.cpu = {part: self.cpu.get(part, 0.0) + spent for part, spent in more.cpu.items()}
        self.commits += more.commits
        self.wal_syncs += more.wal_syncs


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Up while the block lasts. PostgreSQL notes when each transaction committed; else as in production."""
    stack = Stack(FOLDER, settings=RAISED_LIMITS, skips_time=False)
    stack.postgres = EmbeddedPostgres(stack.folder / "postgres", settings={"track_commit_timestamp": "on"})
    catalogue = write_catalogue(FOLDER / "catalogue")
    marks_file = FOLDER / "marks.txt"
    marks_file.unlink(missing_ok=True)
    async with stack:
        dsn = stack.addresses.database_url
        await migrate(dsn)
        await _begin_worker(stack, catalogue, marks_file)
        pool = await connect(dsn, 20)
        client = await Client.connect(stack.addresses.temporal_address, data_converter=pydantic_data_converter)
        try:
            yield Ground(stack, pool, client, load_book(catalogue), Marks(marks_file))
        finally:
            await pool.close()


async def _begin_worker(stack: Stack, catalogue: Path, marks: Path) -> None:
    await stack.children.begin(
        "worker",
        [sys.executable, "-m", "bench.worker"],
        env={
            **stack.addresses.environment(),
            "BENCH_MARKS": str(marks),
            "DUNWELL_CATALOGUE": str(catalogue),
            "DUNWELL_SIGNAL_SOURCES": SOURCE,
            "DUNWELL_CACHED_CASES": "10000",
        },
        cwd=CHECKOUT,
    )
