"""The cap over all loans of a person holds however many processes work them at once."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from tests.step.lender import CHECKOUT, Lender

PROCESSES = 8
PEOPLE = 40
# A Tuesday, within the hours of every channel; the first reminder has been right since Sunday.
AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)


async def contact_everybody_at_once(lender: Lender, people: Sequence[str], *, without_lock: bool = False) -> None:
    """Each process has one loan of each person, and all of them are due now."""
    loans = [await lender.lend(person, date(2025, 1, 10), loans=PROCESSES) for person in people]
    await lender.sweep(AT)
    told = {
        "dsn": lender.dsn, "provider_url": lender.provider_url, "at": AT.isoformat(), "without_lock": without_lock,
        "crew": [[of_person[number] for of_person in loans] for number in range(PROCESSES)],
    }  # fmt: skip
    crew = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.step.attempt", json.dumps(told), cwd=CHECKOUT
    )
    assert await crew.wait() == 0


async def contacts_of(lender: Lender, people: Sequence[str]) -> list[int]:
    """How many contacts of each person stand on record, whatever came of them."""
    rows = await lender.pool.fetch(
        "select person_id, count(*) as n from intent where person_id = any($1) group by person_id", people
    )
    made = {r["person_id"]: r["n"] for r in rows}
    return [made.get(person, 0) for person in people]


@pytest.mark.timeout(180)
async def test_one_contact_a_day_reaches_a_person_however_many_processes_work_their_loans(lender: Lender) -> None:
    people = [f"capped{n}" for n in range(PEOPLE)]
    await contact_everybody_at_once(lender, people)

    assert await contacts_of(lender, people) == [1] * PEOPLE
    assert [len(lender.received(person)) for person in people] == [1] * PEOPLE
    withheld = await lender.pool.fetchval(
        """select count(*) from journal j join collection_case c on c.id = j.case_id
           where c.person_id = any($1) and c.stage <> 'closed' and c.next_due::date > $2
             and j.kind = 'contact_withheld'""",
        people,
        AT.date(),
    )
    assert withheld >= PEOPLE * (PROCESSES - 1)


async def test_without_the_lock_in_a_statement_of_its_own_the_cap_is_exceeded(lender: Lender) -> None:
    people = [f"uncapped{n}" for n in range(10)]
    await contact_everybody_at_once(lender, people, without_lock=True)

    assert max(await contacts_of(lender, people)) > 1
