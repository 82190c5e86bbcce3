"""A year of a portfolio as PostgreSQL remembers it: the journals of the cases and the money of the loans."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from uuid import UUID

import asyncpg

from dunwell.domain import events as ev
from dunwell.domain.events import decode
from dunwell.domain.ledger import LoanMoney
from dunwell.domain.person import Person
from dunwell.simulation.outputs import Entry, stage_after
from dunwell.store.reading import read_money

_TWELVE_MONTHS = timedelta(days=364)


@dataclass(frozen=True, slots=True)
class CaseOfYear:
    """One case with its whole journal. `zone` is the person's, UTC where it is not known."""

    case_id: UUID
    loan_id: str
    person_id: str
    jurisdiction: str
    zone: tzinfo
    currency: str
    stage: str
    attention: str | None
    money: LoanMoney
    journal: tuple[Entry, ...]

    def day(self, at: datetime) -> date:
        """The person's business date at an instant."""
        return at.astimezone(self.zone).date()

    def stages(self) -> list[tuple[datetime, str]]:
        """When the case came into which stage. What a step only passes through, within its minute, is none."""
        found: list[tuple[datetime, str]] = []
        for at, event, _ in self.journal:
            stage = stage_after(found[-1][1] if found else "pre_due", event)
            if found and found[-1][0] == at:
                found.pop()
            if not found or found[-1][1] != stage:
                found.append((at, stage))
        return found


@dataclass(frozen=True, slots=True)
class Year:
    """Twelve months up to and including `ends`. Loans that were never late have no case."""

    begins: date
    ends: date
    people: int
    loans: tuple[LoanMoney, ...]
    cases: tuple[CaseOfYear, ...]

    def events(self) -> Iterator[tuple[CaseOfYear, Entry]]:
        """Every entry of every journal, case by case."""
        for case in self.cases:
            for entry in case.journal:
                yield case, entry

    def sampled_days(self) -> list[date]:
        """Every seventh day of the year, and its last: fine enough for a picture."""
        count = (self.ends - self.begins).days
        return [*(self.begins + timedelta(days=n) for n in range(0, count, 7)), self.ends]


async def read_year(pool: asyncpg.Pool, ends: date) -> Year:
    """Read the twelve months before and on `ends`, in one snapshot of the database."""
    async with pool.acquire() as c, c.transaction(isolation="repeatable_read", readonly=True):
        loans = await c.fetch("select id from loan order by id")
        money = {r["id"]: await read_money(c, r["id"]) for r in loans}
        people = await c.fetchval("select count(distinct person_id) from loan")
        rows = await c.fetch(
            """select k.id, k.loan_id, k.person_id, k.stage, k.attention, p.jurisdiction, p.time_zone, p.language
               from collection_case k join person p on p.id = k.person_id where k.journal_length > 0 order by k.loan_id"""
        )
        journals: dict[UUID, list[Entry]] = {r["id"]: [] for r in rows}
        async for e in c.cursor("select case_id, at, kind, bytes, run_id from journal order by case_id, number"):
            event: ev.Event = decode(e["kind"], json.loads(e["bytes"])["body"])
            journals[e["case_id"]].append(Entry(e["at"], event, e["run_id"] or ""))
    cases = tuple(
        CaseOfYear(
            case_id=r["id"],
            loan_id=r["loan_id"],
            person_id=r["person_id"],
            jurisdiction=r["jurisdiction"],
            zone=_zone(r),
            currency=money[r["loan_id"]].currency,
            stage=r["stage"],
            attention=r["attention"],
            money=money[r["loan_id"]],
            journal=tuple(journals[r["id"]]),
        )
        for r in rows
    )
    return Year(ends - _TWELVE_MONTHS, ends, people, tuple(money.values()), cases)


def _zone(row: asyncpg.Record) -> tzinfo:
    who = Person(row["person_id"], row["time_zone"], row["language"], row["jurisdiction"], frozenset())
    return who.zone or UTC
