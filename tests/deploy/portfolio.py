"""Two overdue loans, opened on a morning in the past, and moved on from there."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkipper

from dunwell.catalogue import load_book
from dunwell.domain.case import case_id_of
from dunwell.domain.ledger import Instalment
from dunwell.intake.importing import NewLoan, NewPerson, import_loans, import_people
from dunwell.intake.relay import workflow_id
from dunwell.settings import CHECKOUT
from dunwell.store import cases
from dunwell.store.sealing import Personal
from tests.deploy.installation import until

PHONE = "+447700900146"
_MORNING = datetime(2025, 1, 11, 6, tzinfo=UTC)


class Portfolio:
    """The cases of the loans `L1` and `L2`, of two people."""

    def __init__(self, pool: asyncpg.Pool, client: Client) -> None:
        self.pool, self.client = pool, client
        self._skipper = TimeSkipper(client)

    @classmethod
    async def opened(cls, pool: asyncpg.Pool, temporal_address: str) -> "Portfolio":
        """Imports the loans and opens their cases; returns when both have planned a step."""
        people = [
            NewPerson(id, Personal(f"Invented {id}", PHONE, f"{id}@example.com"), "en", "GB", "Europe/London")
            for id in ("P1", "P2")
        ]
        await import_people(pool, people)
        owed = (Instalment(1, date(2025, 1, 10), 10_000),)
        await import_loans(pool, [NewLoan(f"L{n}", f"P{n}", "loan", "GBP", owed) for n in (1, 2)])
        await cases.sweep_page(pool, load_book(CHECKOUT), _MORNING.date(), _MORNING, "", 100)
        client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
        portfolio = cls(pool, client)
        for loan in ("L1", "L2"):
            await until(lambda loan=loan: portfolio.planned(loan))  # type: ignore[misc]
        return portfolio

    async def planned(self, loan: str) -> datetime | None:
        """When the case's next step is due."""
        found: datetime | None = await self.pool.fetchval(
            "select next_due from collection_case where id = $1 and sequence > 0", case_id_of(loan)
        )
        return found

    async def sent(self, loan: str) -> int:
        """Contacts that are known to have left."""
        return int(
            await self.pool.fetchval(
                "select count(*) from intent where case_id = $1 and state = 'sent'", case_id_of(loan)
            )
        )

    def case(self, loan: str) -> UUID:
        return case_id_of(loan)

    def move_to_next_step(self, loan: str, began: datetime = _MORNING) -> asyncio.Task[bool]:
        """Moves the case's clock to its next step; ends when the clock is there."""

        async def move() -> bool:
            due = await self.planned(loan)
            assert due is not None
            handle = self.client.get_workflow_handle(workflow_id(case_id_of(loan)))
            return await self._skipper.fast_forward(handle, due - began)

        return asyncio.create_task(move())
