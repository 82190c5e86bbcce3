"""A portfolio into the database: people sealed, loans with their schedules. Known ids stay as they are."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from dunwell.domain.ledger import Instalment
from dunwell.domain.portfolio import Portfolio
from dunwell.store.database import Connection, whole
from dunwell.store.sealing import Personal, new_key, seal_personal

_BATCH = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A customer as a lender knows them."""

    id: str
    personal: Personal
    language: str
    jurisdiction: str
    time_zone: str | None

    @property
    def points(self) -> list[str]:
        """Channels that can reach the person; a letter goes to the address on file."""
        points = ["letter"]
        if self.personal.phone:
            points += ["sms", "voice"]
        if self.personal.email:
            points.append("email")
        return points


@dataclass(frozen=True, slots=True)
class NewLoan:
    """A loan with its schedule."""

    id: str
    person_id: str
    product: str
    currency: str
    instalments: tuple[Instalment, ...]


def people_of(portfolio: Portfolio) -> Iterator[NewPerson]:
    """Everybody with a loan in a portfolio folder."""
    for file in portfolio.people():
        who = file.customer
        personal = Personal(who.name, who.phone, who.email)
        yield NewPerson(who.customer_id, personal, who.language, who.jurisdiction, who.time_zone)


def loans_of(portfolio: Portfolio) -> Iterator[NewLoan]:
    """Every loan of a portfolio folder, its instalments in order."""
    for loan in portfolio.loans.values():
        dues = tuple(sorted(loan.instalments, key=lambda i: (i.due_on, i.number)))
        yield NewLoan(loan.loan_id, loan.customer_id, loan.product, loan.currency, dues)


async def import_people(pool: asyncpg.Pool, people: Iterable[NewPerson]) -> int:
    """Returns how many were new."""
    added = 0
    for batch in _batches(people):

        async def one_batch(c: Connection, batch: Sequence[NewPerson] = batch) -> int:
            rows = await c.fetch(
                """insert into person (id, time_zone, language, jurisdiction, points)
                   select i, z, l, j, string_to_array(p, ',')
                   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as t(i, z, l, j, p)
                   on conflict do nothing returning id""",
                [p.id for p in batch], [p.time_zone for p in batch], [p.language for p in batch],
                [p.jurisdiction for p in batch], [",".join(p.points) for p in batch],
            )  # fmt: skip
            new = {r["id"] for r in rows}
            keys = {p.id: new_key() for p in batch if p.id in new}
            await c.executemany("insert into person_key (person_id, key) values ($1, $2)", list(keys.items()))
            await c.executemany(
                "insert into personal (person_id, sealed) values ($1, $2)",
                [(p.id, seal_personal(keys[p.id], p.id, p.personal)) for p in batch if p.id in new],
            )
            return len(new)

        added += await whole(pool, one_batch)
    return added


async def import_loans(pool: asyncpg.Pool, loans: Iterable[NewLoan]) -> int:
    """Returns how many were new."""
    added = 0
    for batch in _batches(loans):

        async def one_batch(c: Connection, batch: Sequence[NewLoan] = batch) -> int:
            rows = await c.fetch(
                """insert into loan (id, person_id, product, currency, oldest_unpaid_due_on)
                   select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[])
                   on conflict do nothing returning id""",
                [x.id for x in batch], [x.person_id for x in batch], [x.product for x in batch],
                [x.currency for x in batch], [min((i.due_on for i in x.instalments), default=None) for x in batch],
            )  # fmt: skip
            new = {r["id"] for r in rows}
            fresh = [x for x in batch if x.id in new and x.instalments]
            await c.executemany(
                "insert into schedule (loan_id, from_on) values ($1, $2)",
                [(x.id, min(i.due_on for i in x.instalments)) for x in fresh],
            )
            await c.executemany(
                "insert into instalment (loan_id, number, due_on, amount) values ($1, $2, $3, $4)",
                [(x.id, i.number, i.due_on, i.amount) for x in fresh for i in x.instalments],
            )
            return len(new)

        added += await whole(pool, one_batch)
    return added


def _batches(items: Iterable[T]) -> Iterable[Sequence[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
