"""A lender with a database and a provider of its own: opens cases, works single steps, reads what became of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from temporalio.testing import ActivityEnvironment

from activities.wording import Wording
from activities.working import Working
from dunwell.catalogue import Texts, load_book, load_texts
from dunwell.channels.http_provider import HttpChannel
from dunwell.domain.case import case_id_of
from dunwell.domain.codes import CHANNELS, StepKind
from dunwell.domain.ledger import Instalment
from dunwell.domain.messages import Ask, NextStep, Note
from dunwell.domain.strategy import Book
from dunwell.intake.importing import NewLoan, NewPerson, Personal, import_loans, import_people
from dunwell.store import cases
from dunwell.store.database import connect
from dunwell.store.steps import Steps

CHECKOUT = Path(__file__).resolve().parents[2]


@cache
def catalogue() -> tuple[Book, Texts]:
    """Rules, strategies and templates of this checkout: loaded once, also for what is forked from this process."""
    return load_book(CHECKOUT), load_texts(CHECKOUT)


class Uncounted:
    """A meter of a worker that nobody watches."""

    def step(self, kind: str, outcome: str, seconds: float) -> None:
        """Not shown anywhere."""

    def contact(self, channel: str, outcome: str) -> None:
        """Not shown anywhere."""


@dataclass
class Lender:
    """`honours_keys`, `can_look_up` and `keeps_keys_for` are what the provider's contract promises."""

    dsn: str
    pool: asyncpg.Pool
    provider_url: str
    book: Book
    working: Working

    @classmethod
    async def open(
        cls,
        dsn: str,
        provider_url: str,
        *,
        honours_keys: bool = True,
        can_look_up: bool = True,
        keeps_keys_for: timedelta = timedelta(hours=72),
        connections: int = 4,
    ) -> "Lender":
        pool, (book, texts) = await connect(dsn, connections), catalogue()
        wording = Wording(texts, "Example Bank", "care@example.com")
        channels = {
            name: HttpChannel(
                provider_url, name, honours_keys=honours_keys, can_look_up=can_look_up, keeps_keys_for=keeps_keys_for
            )
            for name in CHANNELS
        }
        working = Working(Steps(pool, book, wording.render), channels, Uncounted())
        return cls(dsn, pool, provider_url, book, working)

    def by_contract(self, *, honours_keys: bool, can_look_up: bool, keeps_keys_hours: int = 72) -> "Lender":
        """The same lender, whose provider's contract promises something else."""
        channels = {
            name: HttpChannel(
                self.provider_url, name, honours_keys=honours_keys, can_look_up=can_look_up,
                keeps_keys_for=timedelta(hours=keeps_keys_hours),
            )
            for name in CHANNELS
        }  # fmt: skip
        return replace(self, working=Working(self.working.steps, channels, Uncounted()))

    async def close(self) -> None:
        for channel in self.working.channels.values():
            assert isinstance(channel, HttpChannel)
            await channel.aclose()
        await self.pool.close()

    async def lend(self, person: str, due_on: date, *, loans: int = 1, instalments: int = 1, amount: int = 10_000) -> list[str]:
        """Loans of one new person, each with instalments of `amount` minor units 30 days apart; returns their ids."""
        await import_people(
            self.pool, [NewPerson(person, Personal("Ann Lee", phone_of(person), ""), "en", "GB", "Europe/London")]
        )
        schedule = tuple(Instalment(n + 1, due_on + timedelta(days=30 * n), amount) for n in range(instalments))
        ids = [f"{person}-{n}" for n in range(loans)]
        await import_loans(self.pool, [NewLoan(id, person, "loan", "GBP", schedule) for id in ids])
        return ids

    async def sweep(self, at: datetime, person: str | None = None) -> None:
        """The daily look that opens cases and wakes them."""
        await cases.sweep_page(self.pool, self.book, at.date(), at, "", 1000, person_id=person)

    async def work(
        self, case: UUID, kind: StepKind, at: datetime, *, sequence: int | None = None, heard: Sequence[Note] = ()
    ) -> NextStep:
        """One attempt at a step, at that time of the case."""
        ask = Ask(case_id=str(case), sequence=sequence, kind=kind, asked_at=at, heard=list(heard))
        return await ActivityEnvironment().run(self.working.work, ask)

    async def come_due(self, loan: str, at: datetime) -> NextStep:
        """Open the loan's case and look at the facts; the next step is a contact that is due now."""
        await self.sweep(at, await self.pool.fetchval("select person_id from loan where id = $1", loan))
        coming = await self.work(case_id_of(loan), "assess", at)
        assert (coming.kind, coming.due <= at) == ("remind", True), coming
        return coming

    async def row(self, case: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from collection_case where id = $1", case)
        assert row is not None
        return row

    async def journal(self, case: UUID, kind: str | None = None) -> list[dict[str, Any]]:
        """The bodies of the case's entries, each with its `kind`, `at` and `run_id`."""
        lines = await cases.journal_of(self.pool, case)
        return [
            {**json.loads(e["bytes"])["body"], "kind": e["kind"], "at": e["at"], "run_id": e["run_id"]}
            for e in lines
            if kind in (None, e["kind"])
        ]

    async def intents(self, case: UUID) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from intent where case_id = $1 order by made_at", case)

    async def messages(self, case: UUID) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from message where case_id = $1 order by arrived_at, id", case)

    def received(self, person: str) -> list[dict[str, Any]]:
        """What reached the person's phone, by the provider's own count."""
        said = httpx.get(f"{self.provider_url}/control/messages", params={"to": phone_of(person)}).raise_for_status()
        return [m for m in said.json()["messages"] if m["state"] == "sent"]

    def provider(self, what: str, **told: Any) -> None:
        """Tell the provider how to behave: `faults`, `modes` or `reset`."""
        httpx.post(f"{self.provider_url}/control/{what}", json=told).raise_for_status()


def phone_of(person: str) -> str:
    """A number that nobody has, a different one for each person."""
    return "+447700" + f"{int.from_bytes(person.encode(), 'big') % 1_000_000:06}"
