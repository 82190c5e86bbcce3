"""A lender with a database and a provider of its own: opens cases, works single steps, reads what became of them."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
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
from dunwell.intake.importing import NewLoan, NewPerson, import_loans, import_people
from dunwell.store import cases
from dunwell.store.database import connect
from dunwell.store.sealing import Personal, unseal_words
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
    dsn: str
    pool: asyncpg.Pool
    provider_url: str
    book: Book
    working: Working
    opened: list[HttpChannel] = field(default_factory=list)

    @classmethod
    async def open(cls, dsn: str, provider_url: str) -> "Lender":
        """With a provider that honours keys and can look them up, for 72 hours."""
        pool, (book, texts) = await connect(dsn, 4), catalogue()
        wording = Wording(texts, "Example Bank", "care@example.com")
        working = Working(Steps(pool, book, wording.render), {}, Uncounted())
        return cls(dsn, pool, provider_url, book, working).by_contract(honours_keys=True, can_look_up=True)

    def by_contract(self, *, honours_keys: bool, can_look_up: bool, keeps_keys_hours: int = 72) -> "Lender":
        """The same lender, whose provider's contract promises that."""
        channels = {
            name: HttpChannel(
                self.provider_url, name, honours_keys=honours_keys, can_look_up=can_look_up,
                keeps_keys_for=timedelta(hours=keeps_keys_hours),
            )
            for name in map(str, CHANNELS)
        }  # fmt: skip
        self.opened.extend(channels.values())
        return replace(self, working=Working(self.working.steps, channels, Uncounted()))

    async def close(self) -> None:
        for channel in self.opened:
            await channel.aclose()
        await self.pool.close()

    async def lend(
        self, person: str, due_on: date, *, loans: int = 1, instalments: int = 1, amount: int = 10_000
    ) -> list[str]:
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
        async with self.pool.acquire() as connection:
            lines = await cases.journal_of(connection, case)
        return [
            {**json.loads(e["bytes"])["body"], "kind": e["kind"], "at": e["at"], "run_id": e["run_id"]}
            for e in lines
            if kind in (None, e["kind"])
        ]

    async def intents(self, case: UUID) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from intent where case_id = $1 order by made_at", case)

    async def messages(self, case: UUID) -> list[dict[str, Any]]:
        """What the case was told, oldest first; `raw` as it came."""
        rows = await self.pool.fetch(
            """select m.*, k.person_id from message m join collection_case k on k.id = m.case_id
               where case_id = $1 order by arrived_at, id""",
            case,
        )
        async with self.pool.acquire() as connection:
            return [{**dict(r), "raw": (await unseal_words(connection, r["person_id"], [r["raw"]]))[0]} for r in rows]

    @asynccontextmanager
    async def person_locked(self, person: str) -> AsyncIterator[None]:
        """Every step of the person's cases has to wait until the block ends."""
        async with self.pool.acquire() as other, other.transaction():
            await other.execute("select 1 from person where id = $1 for update", person)
            yield

    async def somebody_waits(self) -> bool:
        """Whether a step waits for a person's lock."""
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'from person'"
        return bool(await self.pool.fetchval(waiting))

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
