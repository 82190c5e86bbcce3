"""A step decides on today's facts: what was planned, intended or approved before is only a proposal."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from dunwell.domain.events import ApprovalAsked, ContactWithheld, EpisodeClosed, HoldSeen, StepSkipped
from dunwell.domain.facts import PlaceHold, PostCredit, ReverseCredit
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import HoldPlaced
from dunwell.domain.person import Contact, Hold
from dunwell.domain.step import regate
from dunwell.domain.story import Story
from tests.domain.loan_case import LoanCase, noon, owes

# Due on a Monday; the gentle path's first reminder is right two days later, the second after six.
DUE = date(2025, 3, 3)
TODAY = date(2025, 3, 5)
WEDNESDAY = noon(TODAY)
SOON = timedelta(minutes=5)


def at_first_reminder(amount: int = 10_000) -> LoanCase:
    """The first reminder has come due, and nothing was sent yet."""
    case = LoanCase.of(owes((DUE, amount)))
    case.work("assess", WEDNESDAY)
    assert case.state.next is not None
    assert (case.state.next.kind, case.state.next.due) == ("remind", WEDNESDAY)
    return case


def paid(amount: int, on: date = TODAY, id: str = "P1") -> PostCredit:
    return PostCredit(Credit("bank", id, on, amount))


def test_a_contact_that_is_due_is_intended_for_what_is_owed_today() -> None:
    case = at_first_reminder()
    case.happens(paid(4_000))
    intent = case.work("remind", WEDNESDAY).intent
    assert intent is not None
    assert (intent.step, intent.amount, intent.due_on) == ("gentle_first_reminder", 6_000, DUE)


def test_a_contact_that_is_not_due_is_not_made_whoever_asks_for_it() -> None:
    case = LoanCase.of(owes((DUE, 10_000)))
    tuesday = noon(date(2025, 3, 4))
    case.work("assess", tuesday)
    assert case.work("remind", tuesday + SOON).intent is None
    assert case.state.next is not None
    assert case.state.next.due.date() == TODAY


def test_what_was_said_to_another_loan_meanwhile_defers_a_contact_that_is_due() -> None:
    case = at_first_reminder()
    other = Contact(WEDNESDAY, "sms", "collection_demand", "L2", "planned")
    case.facts = replace(case.facts, person=case.facts.person.contacted(other))
    assert case.work("remind", WEDNESDAY + SOON).intent is None
    assert [(e.answer, e.code) for e in case.events(ContactWithheld)] == [("defer", "cap_day")]


def test_a_hold_that_is_heard_with_the_step_stops_it() -> None:
    case = at_first_reminder()
    worked = case.work("remind", WEDNESDAY, HoldPlaced(hold="complaint"))
    assert worked.intent is None
    assert [e.hold_kind for e in case.events(HoldSeen)] == ["complaint"]
    assert case.state.next is not None
    assert case.state.next.code == "hold_complaint"


def test_an_intent_that_was_left_behind_may_go_out_only_while_the_facts_ask_for_the_very_same() -> None:
    case = at_first_reminder()
    assert case.work("remind", WEDNESDAY).intent is not None
    assert regate(case.state, case.facts, WEDNESDAY + SOON).answer == "allow"
    assert regate(case.state, case.facts.after(paid(4_000)), WEDNESDAY + SOON).code == "facts_changed"
    stop = PlaceHold(Hold("H1", "complaint", WEDNESDAY))
    assert regate(case.state, case.facts.after(stop), WEDNESDAY + SOON).answer == "deny"
    assert regate(case.state, case.facts, WEDNESDAY.replace(hour=21)).answer != "allow"


def test_a_late_look_does_the_most_severe_step_and_skips_what_it_is_too_late_for() -> None:
    case = LoanCase.of(owes((DUE, 10_000)))
    late = noon(date(2025, 3, 12))
    case.work("assess", late)
    assert [e.step for e in case.events(StepSkipped)] == ["gentle_first_reminder"]
    assert case.state.next is not None
    assert (case.state.next.step, case.state.next.due) == ("gentle_second_reminder", late)


def test_a_payment_that_counts_from_a_later_day_closes_the_case_on_that_day() -> None:
    case = at_first_reminder()
    case.happens(paid(10_000, date(2025, 3, 7)))
    case.work("absorb", WEDNESDAY)
    assert not case.state.closed
    case.state.next = None
    case.work("assess", datetime(2025, 3, 7, 6, 30, tzinfo=UTC))
    assert [(e.ending, e.ended_on, e.worst_dpd) for e in case.events(EpisodeClosed)] == [("cured", date(2025, 3, 7), 3)]


def test_a_payment_told_twice_counts_once_and_one_taken_back_not_at_all() -> None:
    case = at_first_reminder()
    for _ in range(2):
        case.happens(paid(6_000))
    assert case.facts.position(TODAY).outstanding == 4_000
    case.happens(ReverseCredit("bank", "P1", "R1", TODAY))
    assert case.facts.position(TODAY).outstanding == 10_000


def test_an_approval_is_bound_to_what_was_shown_when_it_was_asked() -> None:
    case = LoanCase.of(owes((DUE, 10_000)))
    case.work("assess", WEDNESDAY)
    firm = case.facts.book.paths["firm"]
    # Everything before the claim is done, by somebody who is late again and refuses.
    case.facts = replace(case.facts, person=replace(case.facts.person, past_episodes=1))
    case.state.refuses, case.state.path = True, "firm"
    story = Story(case.state, case.facts, WEDNESDAY)
    for step in firm.steps[:-1]:
        story.tell(StepSkipped(step.id, DUE, "before this test begins"))
    late = WEDNESDAY + timedelta(days=40)
    case.work("assess", late)
    assert case.work("legal", late).intent is None
    assert len(case.events(ApprovalAsked)) == 1

    case.state.approval = "approve"
    case.happens(paid(1_000, late.date()))
    case.work("assess", late + SOON)
    assert case.work("legal", late + SOON).intent is None
    assert len(case.events(ApprovalAsked)) == 2
    case.state.approval = "approve"
    case.work("assess", late + 2 * SOON)
    intent = case.work("legal", late + 2 * SOON).intent
    assert intent is not None
    assert intent.purpose == "court_filing"
