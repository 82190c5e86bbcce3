"""When the daily sweep opens a case."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from dunwell.catalogue import load_book
from dunwell.domain.case import CaseState, Done
from dunwell.domain.facts import Facts
from dunwell.domain.ledger import Credit, Instalment, LoanMoney, Schedule
from dunwell.domain.opening import opens_on, should_open
from dunwell.domain.person import Person

BOOK = load_book(Path(__file__).parents[2])
DUES = (Instalment(1, date(2025, 3, 1), 10000), Instalment(2, date(2025, 4, 1), 10000))
MONEY = LoanMoney("L1", "EUR", (Schedule(date(2025, 3, 1), DUES),))
PERSON = Person("C1", "Europe/Berlin", "de", "DE", frozenset({"email", "letter"}))
FIRST_TIME = Facts(MONEY, PERSON, BOOK)
LATE_BEFORE = Facts(MONEY, replace(PERSON, past_episodes=1), BOOK)


def closed_case() -> CaseState:
    return CaseState("K1", "L1", "C1", stage="closed", episode=1)


def test_a_case_opens_on_the_first_late_day() -> None:
    assert opens_on(None, FIRST_TIME, date(2025, 1, 1)) == date(2025, 3, 2)
    assert not should_open(None, FIRST_TIME, date(2025, 3, 1))
    assert should_open(None, FIRST_TIME, date(2025, 3, 2))


def test_whoever_was_late_before_is_reminded_early() -> None:
    assert opens_on(None, LATE_BEFORE, date(2025, 1, 1)) == date(2025, 2, 26)


def test_a_reminder_that_was_given_does_not_open_the_case_again() -> None:
    case = closed_case()
    case.done.append(Done("gentle_pre_due", date(2025, 3, 1), datetime(2025, 2, 26, 10, tzinfo=UTC)))
    assert opens_on(case, LATE_BEFORE, date(2025, 2, 27)) == date(2025, 3, 2)


def test_a_case_that_is_open_is_left_alone() -> None:
    case = closed_case()
    case.stage = "reminder"
    assert opens_on(case, FIRST_TIME, date(2025, 3, 5)) is None


def test_money_on_its_way_counts_from_its_value_date() -> None:
    coming = replace(FIRST_TIME, money=MONEY.credited(Credit("bank", "P1", date(2025, 3, 4), 10000)))
    assert opens_on(None, coming, date(2025, 3, 1)) == date(2025, 3, 2)
    assert opens_on(None, coming, date(2025, 3, 4)) == date(2025, 4, 2)


def test_a_loan_that_is_paid_never_opens() -> None:
    paid = replace(FIRST_TIME, money=MONEY.credited(Credit("bank", "P1", date(2025, 2, 1), 20000)))
    assert opens_on(None, paid, date(2025, 1, 1)) is None
