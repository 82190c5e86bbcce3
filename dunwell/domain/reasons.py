"""Why a loan is late, as far as the facts tell, and which treatment path that calls for."""

from datetime import timedelta

from dunwell.domain.case import CaseState
from dunwell.domain.codes import ArrearsReason
from dunwell.domain.facts import Facts
from dunwell.domain.ledger import Position
from dunwell.domain.strategy import Condition, SegmentRule

# Unanswered contacts after which a person counts as not reached. Silence is never unwillingness.
UNREACHABLE_AFTER = 4
FAILED_DEBIT_DAYS = 10
FORGOT_UP_TO_DPD = 5


def analyse(state: CaseState, facts: Facts, there: Position) -> ArrearsReason:
    """The likeliest reason from data alone; what the person says outranks it."""
    person = facts.person
    kinds = {h.kind for h in person.holds_on(state.loan_id, there.on)}
    if "dispute" in kinds:
        return "disputed"
    if any(there.on - d <= timedelta(days=FAILED_DEBIT_DAYS) for d in facts.money.reversed_on):
        return "failed_debit"
    if not (person.usable - {"letter"}) or state.unanswered >= UNREACHABLE_AFTER:
        return "unreachable"
    if _partly_paid(facts, there):
        return "partly_paid"
    if person.past_episodes:
        return "repeat"
    return "forgot" if there.dpd <= FORGOT_UP_TO_DPD else "first_time"


def _partly_paid(facts: Facts, there: Position) -> bool:
    """Something, but not all, was paid on the oldest unpaid instalment."""
    schedule = facts.money.schedule(there.on)
    due = sum(i.amount for i in schedule.instalments if i.due_on < there.on)
    before = sum(
        i.amount for i in schedule.instalments if there.oldest_unpaid_due_on and i.due_on < there.oldest_unpaid_due_on
    )
    return before < due - there.past_due < due and there.past_due > 0


def segment(state: CaseState, facts: Facts) -> SegmentRule:
    """The first rule of `strategies/segments.yaml` whose conditions all hold."""
    for rule in facts.book.segments.rules:
        if all(holds(c, state, facts) for c in rule.when):
            return rule
    return facts.book.segments.rules[-1]


def holds(condition: Condition, state: CaseState, facts: Facts) -> bool:
    """Is a condition of a strategy true of this case now?"""
    repeat = facts.person.past_episodes > 0
    match condition:
        case "first_time":
            return not repeat
        case "repeat" | "recently_late":
            return repeat
        case "unable":
            return state.reason in facts.book.house.unable_reasons
        case "refuses":
            return state.refuses
        case "promises_broken":
            return sum(p.verdict == "broken" for p in state.promises) >= 2
        case "offers_unanswered":
            return state.offers_unanswered >= 2
