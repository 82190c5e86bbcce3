"""The two transactions of a step, one by one and at a time of one's choosing."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from dunwell.domain.case import case_id_of
from dunwell.domain.codes import StepKind
from dunwell.domain.messages import Ask, Message, NextStep, Note, to_json
from dunwell.domain.step import Outcome
from dunwell.store.steps import ToSend
from tests.step.lender import Lender

# A Tuesday, within the hours of every channel; the first reminder has been right since Sunday.
AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)
DUE_ON = date(2025, 1, 10)
SOON = timedelta(minutes=5)


def ask(case: UUID, kind: StepKind, at: datetime, sequence: int | None = None, heard: Sequence[Note] = ()) -> Ask:
    return Ask(case_id=str(case), sequence=sequence, kind=kind, asked_at=at, heard=list(heard))


def note(id: str, name: str, message: Message) -> Note:
    """A message that came straight to the workflow."""
    return Note(name=name, id=id, raw=to_json(message))


async def begin(
    lender: Lender, loan: str, kind: StepKind, at: datetime, heard: Sequence[Note] = ()
) -> NextStep | ToSend:
    """Transaction A of the step that is next."""
    case = case_id_of(loan)
    sequence = (await lender.row(case))["sequence"]
    return await lender.working.steps.begin(ask(case, kind, at, sequence, heard), lambda: at)


async def intend(lender: Lender, loan: str, at: datetime = AT) -> ToSend:
    """The case's first reminder is intended, and nothing has left the house."""
    await lender.come_due(loan, at)
    begun = await begin(lender, loan, "remind", at)
    assert isinstance(begun, ToSend)
    return begun


async def conclude(
    lender: Lender, loan: str, sending: ToSend, outcome: Outcome, at: datetime, code: str = "accepted"
) -> NextStep:
    """Transaction B of the step that is next."""
    case = case_id_of(loan)
    asked = ask(case, "remind", at, (await lender.row(case))["sequence"])
    return await lender.working.steps.conclude(asked, sending, outcome, code, "provider-1", lambda: at)


async def wake_ups(lender: Lender, case: UUID) -> list[str]:
    """Names of what the case has not seen yet, oldest first."""
    rows = await lender.pool.fetch("select name from outbox where case_id = $1 order by id", case)
    return [r["name"] for r in rows]
