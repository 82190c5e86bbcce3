"""Workers killed in the middle of steps lose no case, and nothing reaches a person twice."""

import asyncio
import os
import random
import signal
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import psutil
import pytest

from dunwell.catalogue import load_book
from dunwell.intake.portfolio import read_portfolio
from dunwell.local.driver import Drive, driving
from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT

KILLS = 10
SEED = 7
PEOPLE = 14


@pytest.mark.timeout(600)
async def test_ten_kills_lose_no_case_and_send_nothing_twice(tmp_path: Path) -> None:
    portfolio, _ = read_portfolio(CHECKOUT / "sample")
    people = sorted(portfolio.customers)[:PEOPLE]
    loans = {id: loan for id, loan in portfolio.loans.items() if loan.customer_id in people}
    some = replace(
        portfolio,
        loans=loans,
        payments=tuple(p for p in portfolio.payments if p.loan_id in loans),
        events=tuple(e for e in portfolio.events if e.loan_id in loans),
        as_of=date(2025, 8, 31),
    )
    statuses: list[int] = []

    async with (
        Stack(tmp_path / "stack") as stack,
        driving(stack, load_book(CHECKOUT), 2, killed_begin_again=True) as drive,
    ):
        provider = stack.addresses.provider_url
        async with httpx.AsyncClient(base_url=provider or "", timeout=10) as sandbox:
            # Slow answers, so that kills fall between a message's leaving and its being recorded.
            slow = {"delay_before_ms": 40, "delay_after_ms": 120}
            (await sandbox.post("/control/faults", json=slow)).raise_for_status()
            await drive.bring_in(some)
            working = asyncio.create_task(drive.work(some, lambda _: None, date(2025, 1, 1)))
            killing = asyncio.create_task(_kill(drive, statuses))
            done, _ = await asyncio.wait({working, killing}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            counts = (await sandbox.get("/control/counts")).raise_for_status().json()
        late = await drive.pool.fetchval(
            """select count(*) from collection_case where stage <> 'closed'
               and (next_due is null or next_due <= '2025-08-31T12:00Z')"""
        )
        made = await drive.pool.fetchval("select count(*) from intent where state = 'sent'")
        open_intents = await drive.pool.fetchval("select count(*) from intent where state = 'planned'")

    assert statuses == [-signal.SIGKILL] * KILLS
    assert late == 0
    assert open_intents == 0
    assert counts["duplicates_by_key"] == 0
    assert counts["max_per_key"] == 1
    assert counts["total"] == made


async def _kill(drive: Drive, statuses: list[int]) -> None:
    """Kill a worker ten times, at seeded moments, while there is something to do."""
    chance = random.Random(SEED)
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(1.0, 3.0))
        victims = [c for c in drive.stack.children if c.name.startswith("worker") and c.running]
        victim = chance.choice(victims)
        process = psutil.Process(victim.pid)
        os.kill(process.pid, signal.SIGKILL)
        statuses.append(await victim.ended())
