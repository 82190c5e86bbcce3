"""The figures of a year, from a journal and a ledger written by hand."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import asyncpg
import pytest

from dunwell.domain import events as ev
from dunwell.domain.case import case_id_of
from dunwell.domain.events import Event, canonical
from dunwell.domain.facts import PostCredit, ReverseCredit
from dunwell.domain.ledger import Credit, Instalment
from dunwell.intake.importing import NewLoan, NewPerson, import_loans, import_people
from dunwell.local.postgres import EmbeddedPostgres
from dunwell.local.tallies import ContactRow, MoneyRow, StageRow, WithheldRow, count, money_days, money_rows
from dunwell.local.telling_cases import most_telling
from dunwell.local.year import Year, read_year
from dunwell.store import ledger
from dunwell.store.database import connect, migrate
from dunwell.store.sealing import Personal

ENDS = date(2025, 12, 31)
DUE = date(2025, 3, 3)


def at(month: int, day: int, minute: int = 0) -> datetime:
    return datetime(2025, month, day, 10, minute, tzinfo=UTC)


def planned(code: str, why: str = "waits", dpd: int = 1) -> ev.Planned:
    return ev.Planned("assess", None, None, at(12, 1), code, why, dpd, dpd, 0, 0, 0)


STORY: list[tuple[datetime, Event]] = [
    (at(3, 4), ev.MoneyChanged(60000, 30000, 0, 0)),
    (at(3, 4), ev.EpisodeOpened(1, date(2025, 3, 4), DUE, 1, "forgot")),
    (at(3, 5), ev.ContactMade(1, "first_reminder", DUE, "sms", "collection_demand", "sent", "accepted")),
    (at(3, 9), ev.ContactWithheld("second_reminder", "email", "defer", "outside_hours", "closed", ("w",), at(3, 10))),
    (at(3, 10), ev.ContactMade(2, "first_contact", DUE, "voice", "first_contact", "sent", "accepted")),
    (at(3, 10, 5), ev.ContactAnswered(2, "answered_right_party", "timing")),
    (at(3, 10, 6), ev.PromiseMade(1, 30000, date(2025, 3, 14), date(2025, 3, 16), 30000, ())),
    (at(3, 17), ev.PromiseJudged(1, "broken", 0)),
    (at(3, 18), ev.HoldSeen("h", "dispute", None)),
    (at(3, 18), planned("hold_dispute")),
    (at(4, 17), planned("hold_dispute")),
    (at(4, 20), ev.HoldEnded("h", "dispute")),
    (at(4, 20), planned("due", dpd=48)),
    (at(4, 21), ev.OfferMade(1, (), date(2025, 5, 1))),
    (at(4, 22), ev.OfferAnswered(1, "yes", 1)),
    (at(4, 22), ev.PlanStarted(1, (ev.Due(date(2025, 5, 1), 30000),), False, 0, (), 3, 2)),
    (at(5, 6), ev.PlanEnded(1, "kept", "paid")),
    (at(5, 6), ev.EpisodeClosed(1, "cured", date(2025, 3, 4), date(2025, 5, 6), 63)),
]  # fmt: skip


async def write_journal(c: asyncpg.Pool, loan_id: str, person_id: str, story: list[tuple[datetime, Event]]) -> None:
    case = case_id_of(loan_id)
    await c.execute(
        """insert into collection_case (id, loan_id, person_id, stage, journal_length, opened_at)
           values ($1, $2, $3, 'closed', $4, $5)""",
        case, loan_id, person_id, len(story), story[0][0],
    )  # fmt: skip
    for number, (when, event) in enumerate(story, start=1):
        line = canonical({"body": event.body()})
        await c.execute(
            "insert into journal values ($1, $2, $3, $4, $5, $6, null)",
            case, number, when, event.kind, line, hashlib.sha256(line).digest(),
        )  # fmt: skip


@pytest.fixture(scope="module")
async def year(postgres_server: EmbeddedPostgres) -> AsyncIterator[Year]:
    dsn = await postgres_server.fresh_database("a_year")
    await migrate(dsn)
    pool = await connect(dsn, 2)
    await import_people(pool, [NewPerson("P", Personal("Uta", "+493023125001", ""), "de", "DE", "Europe/Berlin")])
    dues = (Instalment(1, DUE, 30000), Instalment(2, date(2026, 2, 3), 30000))
    await import_loans(pool, [NewLoan("L1", "P", "loan", "EUR", dues), NewLoan("L2", "P", "loan", "EUR", dues)])
    await write_journal(pool, "L1", "P", STORY)
    changes = (
        PostCredit(Credit("bank", "1", date(2025, 5, 6), 30000)),
        PostCredit(Credit("bank", "wrong", date(2025, 5, 7), 5000)),
        PostCredit(Credit("dunwell", "forgiven", date(2025, 8, 1), 1000, "write_off")),
        ReverseCredit("bank", "wrong", "wrong-back", date(2025, 5, 9)),
    )
    for change in changes:
        async with pool.acquire() as c, c.transaction():
            await ledger.write(c, "L1", "EUR", change, at(8, 1))
    yield await read_year(pool, ENDS)
    await pool.close()


def test_stages_count_once_for_each_case_and_not_what_is_only_passed_within_a_minute(year: Year) -> None:
    assert count(year).stages == [StageRow("reminder", 1, 0), StageRow("plan", 1, 0), StageRow("closed", 1, 1)]


def test_a_contact_counts_with_what_the_person_answered_else_with_what_the_provider_said(year: Year) -> None:
    assert count(year).contacts == [
        ContactRow("sms", 1, (("accepted", 1),)),
        ContactRow("voice", 1, (("answered right party", 1),)),
    ]


def test_a_hold_that_goes_on_withholds_once(year: Year) -> None:
    assert count(year).withheld == [WithheldRow("defer", "outside_hours", 1), WithheldRow("deny", "hold_dispute", 1)]
    assert count(year).withheld[1].reason == "held: dispute"


def test_promises_plans_and_endings_count_by_verdict(year: Year) -> None:
    found = count(year)
    assert (found.promises, found.plans) == ([("broken", 1)], [("instalments", "kept", 1)])
    assert (found.offers, found.endings, found.law) == ([("accepted", 1)], [("cured", 1)], [])


def test_money_adds_up_and_a_payment_that_was_taken_back_was_never_collected(year: Year) -> None:
    (row,) = money_rows(year)

    assert row == MoneyRow(
        currency="EUR", owed_before=120000, fell_due=60000, collected=30000, came_back=1, relief={"write_off": 1000},
        owed=89000, past_due=30000, credit=0,
    )  # fmt: skip
    assert row.owed_before - row.collected - sum(row.relief.values()) == row.owed - row.credit


def test_the_money_of_a_picture_ends_where_the_table_ends(year: Year) -> None:
    days, (row,) = list(money_days(year.loans, year)), money_rows(year)
    assert (days[0].on, days[0].past_due, days[-1].on) == (year.begins, 0, ENDS)
    assert (days[-1].fell_due, days[-1].collected, days[-1].past_due) == (row.fell_due, row.collected, row.past_due)


def test_a_telling_case_is_told_in_one_line_of_what_happened_in_its_order(year: Year) -> None:
    (told,) = most_telling(year)

    assert told.case.loan_id == "L1"
    assert told.why == (
        "was asked for the reason, broke a promise, was held (dispute), agreed to a plan of instalments, "
        "kept the plan, was cured and a payment was taken back; at worst 63 days past due"
    )
