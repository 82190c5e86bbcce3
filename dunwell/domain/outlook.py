"""What a case shows of itself: the next step for its workflow, in words a person reads."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dunwell.domain.case import CaseState, Next
from dunwell.domain.codes import LEAVES_THE_HOUSE
from dunwell.domain.facts import Facts
from dunwell.domain.messages import Answer, Attributes, NextStep, plain
from dunwell.domain.money import say

CASE_QUEUE = "dunwell"


def queue_of(coming: Next) -> str | None:
    """The channel's task queue for what leaves the house; None stays on the case's own."""
    if coming.kind in LEAVES_THE_HOUSE and coming.channel is not None:
        return f"{CASE_QUEUE}-{coming.channel}"
    return None


def next_step(state: CaseState, facts: Facts, now: datetime, answers: Sequence[Answer], *, changed: bool) -> NextStep:
    """The next step as it travels. Attributes go along only when they changed."""
    coming = state.next
    return NextStep(
        kind=coming.kind if coming else "assess",
        due=coming.due if coming else now,
        reason=_summary(coming, facts),
        sequence=state.sequence,
        queue=queue_of(coming) if coming else None,
        closed=state.closed,
        details=details(state, facts, now),
        attributes=attributes(state, facts) if changed else None,
        answers=list(answers),
    )


def attributes(state: CaseState, facts: Facts) -> Attributes:
    """Search attributes: codes and dates, nothing personal."""
    return Attributes(
        stage=state.stage,
        oldest_unpaid_due_on=state.anchor,
        currency=facts.money.currency,
        jurisdiction=facts.person.jurisdiction,
        segment=state.path or "",
        holds=sorted(set(state.holds.values())),
        needs_attention=state.attention is not None,
    )


def details(state: CaseState, facts: Facts, now: datetime) -> str:
    """Markdown for the current details of the workflow, under 1 kB."""
    there = facts.position(facts.today(now))
    currency = facts.money.currency
    lines = [
        f"**{plain(state.stage)}** · {there.dpd} days past due on {there.on}",
        f"- outstanding {say(there.outstanding, currency)}, past due {say(there.past_due, currency)}",
    ]
    if path := facts.book.paths.get(state.path or ""):
        lines.append(f"- {path.title}; reason: {plain(state.reason)}")
    if state.holds:
        lines.append(f"- held: {', '.join(plain(h) for h in sorted(set(state.holds.values())))}")
    if state.attention:
        lines.append(f"- **needs attention**: {state.attention.why[:200]}")
    if state.closed:
        lines.append(f"- closed: {plain(state.ending)}")
    elif state.next:
        lines.append(f"- next: {_summary(state.next, facts)}")
    return "\n".join(lines)


def _summary(coming: Next | None, facts: Facts) -> str:
    """`waits until 12 Mar 09:00: second reminder, gentle path`, in the person's own time."""
    if coming is None:
        return "closed"
    local = coming.due.astimezone(facts.person.zone or UTC)
    return f"waits until {local.day} {local:%b %H:%M}: {coming.reason}"[:200]
