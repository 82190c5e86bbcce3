"""When the daily sweep opens a case, or opens a closed one again."""

from datetime import date, timedelta

from dunwell.domain.case import CaseState
from dunwell.domain.facts import Facts
from dunwell.domain.ledger import DAY, ahead
from dunwell.domain.reasons import holds, segment
from dunwell.domain.strategy import LadderStep


def should_open(state: CaseState | None, facts: Facts, today: date) -> bool:
    """Must the sweep of this day open the case? A case that is open already is left alone."""
    return opens_on(state, facts, today) == today


def opens_on(state: CaseState | None, facts: Facts, after: date) -> date | None:
    """The first date from `after` on at which the sweep must open the case, if nothing changes meanwhile.

    None while the case is open, and when nothing ahead is unpaid.
    """
    if state is not None and not state.closed:
        return None
    known = state or CaseState("", facts.money.loan_id, facts.person.id)
    for start, end, there in ahead(facts.money, after):
        due = there.oldest_unpaid_due_on
        if due is None:
            continue
        first = max(start, due + DAY)
        if due >= start and (days := reminder_days(known, facts)) and not reminded(known, facts, due):
            first = max(start, due - timedelta(days=days))
        if end is None or first < end:
            return first
    return None


def reminder_days(state: CaseState, facts: Facts) -> int:
    """How many days before a due date the case's segment reminds; 0 for not at all."""
    return max((-(s.offset_days or 0) for s in _early_steps(state, facts)), default=0)


def reminded(state: CaseState, facts: Facts, due_on: date) -> bool:
    """Was the person reminded of this due date before it came?"""
    early = {s.id for s in _early_steps(state, facts)}
    return any(d.anchor == due_on and d.step in early for d in state.done)


def _early_steps(state: CaseState, facts: Facts) -> list[LadderStep]:
    """The steps before the due date whose conditions hold for this person."""
    path = facts.book.paths[segment(state, facts).path]
    return [s for s in path.steps if (s.offset_days or 0) < 0 and all(holds(c, state, facts) for c in s.when)]
