"""The commands that make a deployment ready."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, ScheduleOverlapPolicy

from dunwell.local.postgres import EmbeddedPostgres
from dunwell.local.temporal_server import TemporalServer

CHECKOUT = Path(__file__).resolve().parents[2]


async def starter(*command: str, **settings: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "starter.py", *command,
        cwd=CHECKOUT, env={**os.environ, **settings}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_the_daily_list_stands_on_its_schedule_and_moves_when_it_is_asked_again(temporal: TemporalServer) -> None:
    address = {"TEMPORAL_ADDRESS": temporal.address}

    assert (await starter("schedule", **address))[0] == 0
    status, said = await starter("schedule", "--at", "04:30", **address)

    assert (status, said) == (0, "overdue-daily: every day at 04:30 UTC, in namespace default\n")
    client = await Client.connect(temporal.address)
    there = (await client.get_schedule_handle("overdue-daily").describe()).schedule
    assert [(c.hour[0].start, c.minute[0].start) for c in there.spec.calendars] == [(4, 30)]
    assert there.policy.overlap == ScheduleOverlapPolicy.SKIP
    assert there.policy.catchup_window == timedelta(hours=1)
    assert there.spec.jitter
    assert not there.state.paused


async def test_a_wrong_time_of_day_is_refused_before_anything_is_asked_of_a_server() -> None:
    status, said = await starter("schedule", "--at", "25:00", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert (status, said) == (2, "--at '25:00' is no time of day: write it as 05:00\n")


async def test_migrate_brings_a_database_up_to_date_once(postgres_server: EmbeddedPostgres) -> None:
    dsn = await postgres_server.fresh_database("to_migrate")

    status, said = await starter("migrate", DUNWELL_DATABASE_URL=dsn)
    assert status == 0
    assert "0001_foundation.sql" in said

    assert await starter("migrate", DUNWELL_DATABASE_URL=dsn) == (0, "the database is up to date\n")
