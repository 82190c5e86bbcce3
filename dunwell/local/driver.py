"""Works a whole portfolio through the real engine: people side by side, each one's cases in lock step."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date

import asyncpg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from dunwell.domain.portfolio import PersonFile, Portfolio
from dunwell.domain.strategy import Book
from dunwell.intake.importing import import_loans, import_people, loans_of, people_of
from dunwell.intake.relay import Relay
from dunwell.local.life import Engine, Offsets, PersonsLife
from dunwell.local.settling import NotSettled, Settling
from dunwell.local.stack import Stack
from dunwell.store.database import connect, migrate

# People at once. Skipping a timer costs a second, so many must wait side by side; more only queue for the cores.
_AT_ONCE = 64
_MOST_SKIPS = 100_000

Progress = Callable[[float], None]


@dataclass(slots=True)
class Drive:
    """A stack on which a portfolio is being worked."""

    stack: Stack
    pool: asyncpg.Pool
    client: Client
    engine: Engine
    lives: list[PersonsLife] = field(default_factory=list)

    async def bring_in(self, portfolio: Portfolio) -> None:
        """Import people and loans; payments come on their own days."""
        await import_people(self.pool, people_of(portfolio))
        await import_loans(self.pool, loans_of(portfolio))

    async def work(self, portfolio: Portfolio, progress: Progress, starts_on: date | None = None) -> None:
        """Live everybody's time up to the last business date; `progress` is told the part done, 0 to 1."""
        files = list(portfolio.people())
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(file: PersonFile) -> None:
            begins = starts_on or file.starts_on or portfolio.as_of
            async with turns:
                life = PersonsLife(file, self.engine, begins, portfolio.as_of)
                self.lives.append(life)
                await life.live()
                done.append(file.customer.customer_id)

        done: list[str] = []

        async def tell() -> None:
            while True:
                progress(len(done) / max(len(files), 1))
                await asyncio.sleep(0.5)

        teller = asyncio.create_task(tell())
        try:
            await self.stack.watch(_together([one(f) for f in _longest_first(files)]))
        finally:
            teller.cancel()
            with suppress(asyncio.CancelledError):
                await teller
        progress(1.0)


@asynccontextmanager
async def driving(
    stack: Stack,
    book: Book,
    workers: int = 2,
    settings: Mapping[str, str] | None = None,
    *,
    killed_begin_again: bool = False,
) -> AsyncIterator[Drive]:
    """Provider, workers and relay on a stack that is up; all of it gone when the block ends.

    `settings` of the workers come on top of those that a driven portfolio needs. `killed_begin_again`: a worker that
    somebody kills is started anew, which changes nothing in what comes out.
    """
    dsn = stack.addresses.database_url
    await migrate(dsn)
    await stack.start_provider()
    virtual = {"DUNWELL_VIRTUAL_TIME": "true", "DUNWELL_RELAY": "false", "DUNWELL_LOG_LEVEL": "WARNING"}
    for n in range(workers):
        await stack.start_worker(
            f"worker-{n + 1}", env={**virtual, **(settings or {})}, begins_again=killed_begin_again
        )
    pool = await connect(dsn, 20)
    addresses = stack.addresses
    client = await Client.connect(
        addresses.temporal_address, namespace=addresses.temporal_namespace, data_converter=pydantic_data_converter
    )
    skipper = TimeSkipper(client, config=TimeSkippingConfig(max_session_skip_count=_MOST_SKIPS))
    offsets, settling = Offsets(), Settling(pool)
    relay = Relay(pool, client, lambda wake: offsets.began(wake.case_id, wake.at))
    beside = [asyncio.create_task(settling.watch()), asyncio.create_task(relay.run())]
    try:
        yield Drive(stack, pool, client, Engine(pool, client, skipper, offsets, settling, book))
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await pool.close()


async def _together(lives: list[object]) -> None:
    """All of them; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for life in lives:
                group.create_task(life)  # type: ignore[arg-type]
    except* NotSettled as several:
        # What is told is one of them: the others were ended for it.
        raise several.exceptions[0] from None


def _longest_first(files: list[PersonFile]) -> list[PersonFile]:
    """Who has most ahead begins first, so that nobody is waited for at the end."""
    return sorted(files, key=lambda f: (-len(f.loans), f.customer.customer_id))
