"""The sample portfolio: invented people, chosen so that within a year everything happens that can."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from dunwell.catalogue import load_book
from dunwell.domain import events as ev
from dunwell.domain.codes import ENDINGS, HOLDS, STAGES
from dunwell.domain.money import exponent
from dunwell.domain.portfolio import Portfolio
from dunwell.intake.portfolio import read_portfolio
from dunwell.simulation.run import live
from dunwell.simulation.world import PersonsWorld

CHECKOUT = Path(__file__).parents[2]
BEGIN = date(2025, 1, 1)
# Numbers that regulators keep for fiction: Ofcom, NANPA 555-01xx, ACMA, BNetzA, ARCEP, PTS, ComReg.
FICTION = re.compile(
    r"\+447700900\d{3}|\+1\d{3}55501\d{2}|\+6149157015[6-9]|\+493023125\d{3}|\+3363998\d{4}|\+467017406\d{2}|\+35320910\d{4}"
)


@pytest.fixture(scope="module")
def sample() -> Portfolio:
    portfolio, rejected = read_portfolio(CHECKOUT / "sample")
    assert rejected == []
    return portfolio


@pytest.fixture(scope="module")
def year(sample: Portfolio) -> list[PersonsWorld]:
    book = load_book(CHECKOUT)
    return [live(person, book, BEGIN, sample.as_of) for person in sample.people()]


def told(year: list[PersonsWorld]) -> Iterator[ev.Event]:
    return (event for world in year for journal in world.journals.values() for _, event in journal)


def test_nobody_in_it_can_be_reached_in_earnest(sample: Portfolio) -> None:
    for customer in sample.customers.values():
        assert not customer.phone or FICTION.fullmatch(customer.phone), customer
        assert not customer.email or customer.email.endswith("@example.com"), customer


def test_it_spans_jurisdictions_currencies_and_people_with_several_loans(sample: Portfolio) -> None:
    currencies = {loan.currency for loan in sample.loans.values()}
    loans_each = Counter(loan.customer_id for loan in sample.loans.values())
    assert len(sample.loans) == 60
    assert len({c.jurisdiction for c in sample.customers.values()}) >= 8
    assert len(currencies) >= 4
    assert {0, 2, 3} <= {exponent(c) for c in currencies}
    assert sum(n > 1 for n in loans_each.values()) >= 5


def test_every_stage_hold_and_ending_happens(year: list[PersonsWorld]) -> None:
    stages = {e.stage for e in told(year) if isinstance(e, ev.StageEntered)}
    stages |= {"plan" for e in told(year) if isinstance(e, ev.PlanStarted)}
    stages |= {"closed" for e in told(year) if isinstance(e, ev.EpisodeClosed)}
    assert stages == set(STAGES)
    assert {e.hold_kind for e in told(year) if isinstance(e, ev.HoldSeen)} == set(HOLDS)
    assert {e.ending for e in told(year) if isinstance(e, ev.EpisodeClosed) and e.opened_on} == set(ENDINGS)


def test_every_verdict_happens(year: list[PersonsWorld]) -> None:
    promises = {e.verdict for e in told(year) if isinstance(e, ev.PromiseJudged)}
    assert promises == {"kept", "partly_kept", "broken", "superseded", "cancelled"}
    assert {e.verdict for e in told(year) if isinstance(e, ev.PlanEnded)} == {"kept", "broken", "superseded"}
    assert {e.verdict for e in told(year) if isinstance(e, ev.PlanInstalmentJudged)} == {"paid", "missed"}
    assert {e.answer for e in told(year) if isinstance(e, ev.OfferAnswered)} == {"yes", "no", "none"}
    assert {e.answer for e in told(year) if isinstance(e, ev.ApprovalGiven)} == {"approve", "refuse"}


def test_every_answer_of_the_gate_happens(year: list[PersonsWorld]) -> None:
    withheld = [e for e in told(year) if isinstance(e, ev.ContactWithheld)]
    assert any(isinstance(e, ev.ContactIntended) for e in told(year))
    assert any(isinstance(e, ev.ApprovalAsked) for e in told(year))  # a person of ours has to say yes
    assert {e.answer for e in withheld} == {"defer", "deny"}
    assert {"outside_hours", "cap_day", "cap_week", "zone_unknown", "hold_time_barred"} <= {e.code for e in withheld}


def test_every_reason_for_lateness_is_met(year: list[PersonsWorld]) -> None:
    found = {e.reason for e in told(year) if isinstance(e, (ev.EpisodeOpened, ev.ReasonAnalysed))}
    assert found == {
        "first_time", "repeat", "forgot", "partly_paid", "failed_debit", "unreachable", "disputed", "lost_income", "illness",
        "too_much_debt", "refuses", "timing",
    }  # fmt: skip


def test_what_needs_a_person_is_raised_and_cleared(year: list[PersonsWorld]) -> None:
    raised = {e.code for e in told(year) if isinstance(e, ev.AttentionRaised)}
    assert raised >= {"message_not_understood", "ladder_done", "approval_overdue", "zone_unknown"}
    assert any(isinstance(e, ev.AttentionCleared) for e in told(year))


def test_one_loan_tells_the_full_story(year: list[PersonsWorld]) -> None:
    journal = next(world.journals["L001"] for world in year if "L001" in world.journals)
    chapters: list[object] = [
        ("contact", "collection_demand"),
        ("contact", "first_contact"),
        ("promise", "broken"),
        ("plan", "started"),
        ("plan", "broken"),
        ("contact", "statutory_notice"),
        ("contact", "court_filing"),
    ]
    for _, event in journal:
        match event:
            case ev.ContactMade(purpose=purpose):
                chapter = ("contact", purpose)
            case ev.PromiseJudged(verdict=verdict):
                chapter = ("promise", verdict)
            case ev.PlanStarted():
                chapter = ("plan", "started")
            case ev.PlanEnded(verdict=verdict):
                chapter = ("plan", verdict)
            case _:
                continue
        if chapters and chapter == chapters[0]:
            chapters.pop(0)
    assert chapters == []


def test_nobody_wakes_more_than_sixty_times(year: list[PersonsWorld]) -> None:
    for world in year:
        wakes = {(loan, at) for loan, journal in world.journals.items() for at, _ in journal}
        assert len(wakes) <= 60, world.person.id
