"""Commands that make a deployment ready: the database's migrations, and the daily overdue list on its Schedule."""

import re
from datetime import date, timedelta
from typing import Annotated

import typer
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)
from temporalio.service import RPCError

from dunwell.cli.connection import database_url, refuse, run, temporal_client
from dunwell.domain.outlook import CASE_QUEUE
from dunwell.local.temporal_server import TemporalUnusable, register_search_attributes
from dunwell.store import database
from workflows.portfolio import Portfolio, Sweep

OVERDUE_DAILY = "overdue-daily"
# Every installation asks its servers at another moment; the list is the same at any minute of the hour.
_JITTER = timedelta(minutes=20)
_CATCH_UP = timedelta(hours=1)


def migrate() -> None:
    """Bring the database up to this release. Run again it changes nothing; the previous release goes on working."""
    applied = run(database.migrate(database_url()))
    typer.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")


def schedule(
    at: Annotated[str, typer.Option("--at", metavar="HH:MM", help="time of day, UTC")] = "05:00",
) -> None:
    """Register the search attributes of cases and put the daily overdue list on its Schedule, or move it.

    Temporal starts a day's list within 20 minutes after that time; a day is skipped while the one before still runs.
    """
    clock = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", at)
    if clock is None:
        raise refuse(f"--at {at!r} is no time of day: write it as 05:00")

    async def work() -> None:
        client = await temporal_client()
        try:
            await register_search_attributes(client)
            await put_on_schedule(client, int(clock[1]), int(clock[2]))
        except TemporalUnusable as e:
            raise refuse(str(e)) from e
        except RPCError as e:
            raise refuse(f"the Temporal server refuses the Schedule {OVERDUE_DAILY}: {e.message}") from e
        typer.echo(f"{OVERDUE_DAILY}: every day at {at} UTC, in namespace {client.namespace}")

    run(work())


async def put_on_schedule(
    client: Client, hour: int, minute: int, only_for: date | None = None, id: str = OVERDUE_DAILY
) -> ScheduleHandle:
    """Create the Schedule of the overdue list, or bring it up to date. `only_for`: paused, for a list of that day."""
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(
            Portfolio.run, Sweep(on=only_for), id="overdue", task_queue=CASE_QUEUE, execution_timeout=timedelta(hours=20),
            static_summary="the daily overdue list",
        ),
        spec=ScheduleSpec(
            calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour)], minute=[ScheduleRange(minute)])],
            jitter=_JITTER,
            time_zone_name="UTC",
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
        state=ScheduleState(note="opens the cases that are due and writes the list", paused=only_for is not None),
    )  # fmt: skip
    try:
        return await client.create_schedule(id, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(id)
        await handle.update(lambda _: ScheduleUpdate(schedule=wanted))
        return handle
