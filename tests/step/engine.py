"""The lender's cases on the real engine: worker processes that may be killed, and each case's own clock."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkipper

from dunwell.domain.case import case_id_of
from dunwell.domain.messages import CaseRun
from dunwell.intake.relay import workflow_id
from dunwell.local.processes import Child
from dunwell.local.stack import Stack
from tests.step.lender import CHECKOUT, Lender

T = TypeVar("T")
ENV = {"DUNWELL_VIRTUAL_TIME": "1", "DUNWELL_SIGNAL_SOURCES": "gateway", "DUNWELL_LOG_LEVEL": "WARNING"}


async def until(what: str, look: Callable[[], Awaitable[T | None]], within: float = 60) -> T:
    """What `look` finds as soon as that is true. Raises AssertionError after `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not (found := await look()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {within:.0f} s: {what}") from None


@dataclass
class Engine:
    """One worker serves the cases, except where a test stops it or has its own."""

    stack: Stack
    lender: Lender
    client: Client
    skipper: TimeSkipper
    worker: Child | None = None
    offsets: dict[UUID, timedelta] = field(default_factory=dict)

    async def serve(self) -> None:
        """See to it that a worker runs."""
        if self.worker is None or not self.worker.running:
            self.worker = await self.stack.start_worker(env=ENV)

    async def kill_worker(self) -> None:
        assert self.worker is not None
        assert await self.worker.kill() == -signal.SIGKILL

    async def start_mortal_worker(self, dies: str, case: UUID) -> asyncio.subprocess.Process:
        """A worker that kills itself at that point of the case's next step; tests.step.mortal_worker names the points."""
        mortal = {**self.stack.addresses.environment(), **ENV, "DIES": dies, "DIES_FOR": str(case)}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.step.mortal_worker", cwd=CHECKOUT, env={"PATH": "/usr/bin:/bin", **mortal}
        )

    async def open(
        self, person: str, at: datetime, due_on: date, *, instalments: int = 1, amount: int = 10_000
    ) -> UUID:
        """A case of the person's only loan, opened at `at`; returned before it has looked at anything."""
        [loan] = await self.lender.lend(person, due_on, instalments=instalments, amount=amount)
        await self.lender.sweep(at, person)
        return case_id_of(loan)

    def run_of(self, case: UUID) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(workflow_id(case))

    async def planned(self, case: UUID, *, beyond: int = 0, within: float = 60) -> asyncpg.Record:
        """The case's row once it has planned a step with a sequence beyond that one."""

        async def look() -> asyncpg.Record | None:
            row = await self.lender.row(case)
            return row if row["sequence"] > beyond else None

        return await until(f"case {case} has gone beyond step {beyond}", look, within)

    async def contacted(self, case: UUID, times: int = 1, within: float = 60) -> asyncpg.Record:
        """The case's row once that many contacts are on record."""

        async def look() -> bool:
            return len(await self.lender.journal(case, "contact_made")) >= times

        await until(f"case {case} has made {times} contacts", look, within)
        return await self.lender.row(case)

    async def now(self, case: UUID) -> datetime:
        """The case's own time."""
        if case not in self.offsets:
            first = (await self.history(case))[0].workflow_execution_started_event_attributes
            [run] = await self.client.data_converter.decode(first.input.payloads, [CaseRun])
            self.offsets[case] = timedelta(seconds=run.offset)
        return await self.skipper.get_current_time(self.run_of(case)) + self.offsets[case]

    async def move_to(self, case: UUID, at: datetime) -> None:
        """Skip the case's time forward to `at`."""
        # Told while a task runs, the server would add a task of its own.
        await until(f"case {case} waits", partial(self.waits, case))
        left = at - await self.now(case)
        if left > timedelta(0):
            assert await self.skipper.fast_forward(self.run_of(case), left)

    async def waits(self, case: UUID) -> bool:
        """Whether neither a workflow task nor an activity of the case is under way."""
        now = (await self.run_of(case).describe()).raw_description
        return not now.HasField("pending_workflow_task") and not now.pending_activities

    async def take_next_step(self, case: UUID) -> asyncpg.Record:
        """Skip to the case's next step; returns its row once that step is done, and the one after it is not due yet."""
        coming = await self.lender.row(case)
        assert coming["next_due"] is not None
        await self.move_to(case, coming["next_due"])

        async def look() -> asyncpg.Record | None:
            row = await self.lender.row(case)
            done = row["sequence"] > coming["sequence"]
            waits = row["next_due"] is None or row["next_due"] > coming["next_due"]
            return row if done and waits else None

        return await until(f"case {case} has done: {coming['next_reason']}", look)

    async def history(self, case: UUID) -> list[HistoryEvent]:
        """Every event of the case's current run."""
        return [event async for event in self.run_of(case).fetch_history_events()]

    async def counted(self, case: UUID, *kinds: str) -> list[int]:
        """How often each event type occurs in the current run, named as in the API less its prefix."""
        seen = [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in await self.history(case)]
        return [seen.count(kind) for kind in kinds]
