"""The daily overdue list: lists what is late, opens the cases that are due."""

import asyncio
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import asyncpg
from pydantic import BaseModel
from temporalio import activity

from dunwell.domain.money import format_amount
from dunwell.domain.strategy import Book
from dunwell.store import cases

_PAGE = 200


class SweepAsk(BaseModel):
    """One page of a day's sweep, after the loan `after`."""

    on: date
    now: datetime
    after: str = ""


class SweepFound(BaseModel):
    """Counts of one page; `last` is where the next page goes on, None at the end."""

    looked_at: int
    overdue: int
    opened: int
    last: str | None


class ListAsk(BaseModel):
    """The day whose list is written."""

    on: date


class ListWritten(BaseModel):
    """Where the list stands, and how many loans are on it."""

    file: str
    loans: int


@dataclass(slots=True)
class Overdue:
    """Pages by key over an index; run twice or resumed half way it changes nothing more."""

    pool: asyncpg.Pool
    book: Book
    lists: Path

    @activity.defn
    async def sweep(self, ask: SweepAsk) -> SweepFound:
        """Look at the next page of loans."""
        page = await cases.sweep_page(self.pool, self.book, ask.on, ask.now, ask.after, _PAGE)
        return SweepFound(looked_at=page.looked_at, overdue=page.overdue, opened=page.opened, last=page.last)

    @activity.defn
    async def write_list(self, ask: ListAsk) -> ListWritten:
        """Write the day's overdue list as CSV, worst first, and anchor all journals."""
        async with self.pool.acquire() as connection:
            rows = await cases.overdue_list(connection, ask.on)
            await cases.anchor_chains(connection, ask.on)
        file = self.lists / f"overdue-{ask.on}.csv"
        await asyncio.to_thread(_write, file, rows)
        return ListWritten(file=str(file), loans=len(rows))


def _write(file: Path, rows: Sequence[asyncpg.Record]) -> None:
    """Whole or not at all: a reader never sees half a list."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    with unfinished.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["loan_id", "case_id", "stage", "currency", "days_past_due", "past_due", "reason"])
        for r in rows:
            past_due = format_amount(r["past_due"], r["currency"])
            writer.writerow([r["loan_id"], r["case_id"], r["stage"], r["currency"], r["dpd"], past_due, r["reason"]])
    unfinished.replace(file)
