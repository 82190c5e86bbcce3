"""Promises and plans: when they are kept, when they are broken, and by which money."""

from datetime import date, timedelta

from dunwell.domain.agreements import take_plan_answer
from dunwell.domain.case import Offer
from dunwell.domain.events import Due, OfferAnswered, OfferMade, Option, PlanEnded, PlanStarted, PromiseJudged
from dunwell.domain.facts import PostCredit, ReverseCredit
from dunwell.domain.ledger import DAY, Credit
from dunwell.domain.messages import PlanAnswer, PromiseToPay
from dunwell.domain.story import Story
from tests.domain.loan_case import LoanCase, noon, owes

DUE = date(2025, 3, 3)
FRIDAY = date(2025, 3, 14)
# The gentle path: two days of grace, and 95 percent make a promise kept.
GRACE = timedelta(days=2)


def promised(amount: int = 10_000) -> LoanCase:
    """On 10 March the person promises to pay by Friday."""
    case = LoanCase.of(owes((DUE, 10_000)))
    case.work("assess", noon(date(2025, 3, 4)))
    assert case.hear(noon(date(2025, 3, 10)), PromiseToPay(amount=amount, due_on=FRIDAY)).answers[0].accepted
    return case


def paid(id: str, on: date, amount: int) -> PostCredit:
    return PostCredit(Credit("bank", id, on, amount))


def verdicts(case: LoanCase) -> list[tuple[str, int]]:
    return [(judged.verdict, judged.received) for judged in case.events(PromiseJudged)]


def test_a_promise_is_open_through_its_last_day_of_grace_and_broken_on_the_day_after() -> None:
    case = promised()
    for day in (FRIDAY, FRIDAY + GRACE):
        case.work("assess", noon(day))
        assert verdicts(case) == []
    case.work("assess", noon(FRIDAY + GRACE + DAY))
    assert verdicts(case) == [("broken", 0)]


def test_a_promise_is_kept_by_most_of_the_money_and_partly_kept_by_less() -> None:
    case, other = promised(), promised()
    case.happens(paid("P1", FRIDAY, 9_500))
    case.work("assess", noon(FRIDAY))
    assert verdicts(case) == [("kept", 9_500)]
    other.happens(paid("P1", FRIDAY, 9_499))
    other.work("assess", noon(FRIDAY + GRACE + DAY))
    assert verdicts(other) == [("partly_kept", 9_499)]


def test_money_that_was_known_when_the_promise_was_made_does_not_keep_it() -> None:
    case = LoanCase.of(owes((DUE, 10_000)))
    case.happens(paid("P0", date(2025, 3, 10), 5_000))
    case.work("assess", noon(date(2025, 3, 10)))
    case.hear(noon(date(2025, 3, 10)), PromiseToPay(amount=5_000, due_on=FRIDAY))
    case.work("assess", noon(FRIDAY + GRACE + DAY))
    assert verdicts(case) == [("broken", 0)]


def test_a_reversal_judges_a_promise_anew() -> None:
    case = promised(5_000)
    case.happens(paid("P1", FRIDAY, 5_000))
    case.work("assess", noon(FRIDAY))
    case.happens(ReverseCredit("bank", "P1", "R1", FRIDAY + 5 * DAY))
    case.work("assess", noon(FRIDAY + 5 * DAY))
    assert verdicts(case) == [("kept", 5_000), ("broken", 0)]


def on_a_plan(*dues: tuple[date, int]) -> LoanCase:
    """On 10 March the person takes the plan that was offered."""
    case, today = LoanCase.of(owes((DUE, 30_000))), noon(date(2025, 3, 10))
    case.work("assess", noon(date(2025, 3, 4)))
    case.state.offer = Offer(1, (Option(False, tuple(Due(on, amount) for on, amount in dues)),), date(2025, 3, 20))
    story = Story(case.state, case.facts, today)
    take_plan_answer(story, "M0", PlanAnswer(answer="yes", choice=1))
    assert story.answers[0].accepted
    case.work("plan", today)
    return case


def test_a_plan_breaks_with_its_second_missed_instalment_and_not_before() -> None:
    first, second, third = date(2025, 3, 20), date(2025, 4, 21), date(2025, 5, 20)
    case = on_a_plan((first, 10_000), (second, 10_000), (third, 10_000))
    case.work("plan", noon(first + timedelta(days=4)))
    case.work("plan", noon(second + timedelta(days=3)))
    assert [e.verdict for e in case.events(PlanEnded)] == []
    case.work("plan", noon(second + timedelta(days=4)))
    assert [e.verdict for e in case.events(PlanEnded)] == ["broken"]


def test_a_plan_is_kept_by_money_that_came_after_it() -> None:
    first, second = date(2025, 3, 20), date(2025, 4, 21)
    case = on_a_plan((first, 15_000), (second, 15_000))
    case.happens(paid("P1", first, 15_000))
    case.work("plan", noon(first + timedelta(days=4)))
    assert case.events(PlanEnded) == []
    case.happens(paid("P2", second, 15_000))
    case.work("plan", noon(second))
    assert [e.verdict for e in case.events(PlanEnded)] == ["kept"]


def test_no_answer_to_an_offer_counts_only_after_its_last_day() -> None:
    case = LoanCase.of(owes((DUE, 30_000)))
    case.work("assess", noon(date(2025, 3, 4)))
    Story(case.state, case.facts, noon(date(2025, 3, 10))).tell(
        OfferMade(1, (Option(False, (Due(date(2025, 4, 1), 30_000),)),), date(2025, 3, 20))
    )
    late = case.twin()
    assert case.hear(noon(date(2025, 3, 20)), PlanAnswer(answer="yes", choice=1)).answers[0].accepted
    assert len(case.events(PlanStarted)) == 1
    assert not late.hear(noon(date(2025, 3, 21)), PlanAnswer(answer="yes", choice=1)).answers[0].accepted


def test_an_offer_waits_through_its_last_day_and_no_answer_is_told_on_the_next() -> None:
    case = LoanCase.of(owes((DUE, 30_000)))
    case.work("assess", noon(date(2025, 3, 4)))
    case.state.offer = Offer(1, (Option(False, (Due(date(2025, 4, 1), 30_000),)),), date(2025, 3, 20))
    case.work("assess", noon(date(2025, 3, 20)))
    assert case.events(OfferAnswered) == []
    case.work("assess", noon(date(2025, 3, 21)))
    assert [e.answer for e in case.events(OfferAnswered)] == ["none"]
