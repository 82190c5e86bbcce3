"""Commands that act: import, sweep, pay, reverse, say, hold, lift, promise, approve, decide, tell."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar, get_args
from uuid import UUID, uuid4

import typer
from pydantic import ValidationError
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from dunwell.cli.connection import House, house, refuse, require_worker, run
from dunwell.cli.reading import CaseArgument
from dunwell.domain.codes import HOLDS, Channel, HoldKind
from dunwell.domain.facts import ReverseCredit
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import Answer, Approval, Decision, InboundMessage, Message, PromiseToPay
from dunwell.domain.outlook import CASE_QUEUE
from dunwell.domain.person import Hold
from dunwell.intake import cells, events
from dunwell.intake.cells import BadCell
from dunwell.intake.relay import workflow_id
from dunwell.store.sealing import keep_content
from workflows.portfolio import Portfolio, Sweep

LoanArgument = Annotated[str, typer.Argument(metavar="LOAN", help="a loan id")]
Day = Annotated[str | None, typer.Option("--on", metavar="DATE", help="business date, YYYY-MM-DD; today if left out")]
IdOption = Annotated[str | None, typer.Option("--id", help="your own id: the same id again changes nothing")]
M = TypeVar("M")
_ANSWER_WITHIN = 30
ABOUT = get_args(InboundMessage.model_fields["about"].annotation)


def sweep(
    on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="the day; today if left out")] = None,
) -> None:
    """Make today's overdue list now: open the cases that are due, and write the list as CSV."""

    async def work(there: House) -> None:
        day = _day(on) if on else None
        client = await there.temporal()
        await require_worker(client)
        # One that is being made already is waited for.
        done = await client.execute_workflow(
            Portfolio.run,
            Sweep(on=day),
            id=f"overdue-{day or datetime.now(UTC).date()}",
            task_queue=CASE_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        typer.echo(f"{done.on}: {done.looked_at} loans looked at, {done.overdue} overdue, {done.opened} cases opened")
        typer.echo(f"list: {done.file}")

    _with_house(work)


def pay(
    loan: LoanArgument,
    amount: Annotated[str, typer.Argument(help="such as 120.50, in the loan's currency")],
    source: Annotated[str, typer.Option(help="the system that gave the id")] = "starter",
    id: IdOption = None,
    on: Day = None,
) -> None:
    """Post a payment, once for each source and id; its case decides anew at once."""

    async def work(there: House) -> events.Told:
        currency = await _currency(there, loan)
        minor = _amount(amount, currency)
        now = await there.now()
        credit = Credit(source, id or str(uuid4()), _day(on) if on else now.date(), minor)
        return await events.pay(there.pool, loan, credit, currency, now)

    _told(_with_house(work))


def reverse(
    loan: LoanArgument,
    payment: Annotated[str, typer.Argument(help="the payment's id")],
    source: Annotated[str, typer.Option(help="the system that gave the id")] = "starter",
    id: IdOption = None,
    on: Day = None,
) -> None:
    """Take a wrong booking back, as if it had never been made."""

    async def work(there: House) -> events.Told:
        now = await there.now()
        back = ReverseCredit(source, payment, id or f"{payment}/reversal", _day(on) if on else now.date())
        return await events.reverse(there.pool, loan, back, now)

    _told(_with_house(work))


def say(
    case: CaseArgument,
    about: Annotated[str, typer.Argument(help=f"one of: {', '.join(ABOUT)}")],
    text: Annotated[str | None, typer.Option(help="what was said; kept sealed, it never leaves the database")] = None,
    channel: Annotated[str | None, typer.Option(help="how it came: sms, email, voice, letter")] = None,
    id: IdOption = None,
) -> None:
    """An inbound message from the person. `dispute`, `stop` and the like stop contact at once."""

    async def work(there: House) -> events.Told:
        said = _checked(InboundMessage, about=about, channel=channel)
        case_id = await there.case(case)
        now = await there.now(case_id)
        content = None
        if text:
            async with there.pool.acquire() as connection:
                person = await connection.fetchval("select person_id from collection_case where id = $1", case_id)
                content = str(await keep_content(connection, person, text, now))
        message = said.model_copy(update={"content_id": content})
        return await events.tell(there.pool, case_id, id or str(uuid4()), "inbound_message", message, now)

    _told(_with_house(work))


def hold(
    loan: LoanArgument,
    kind: Annotated[str, typer.Argument(help=f"one of: {', '.join(HOLDS)}")],
    loan_only: Annotated[bool, typer.Option(help="only this loan, not every loan of the person")] = False,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="last day; until lifted if left out")] = None,
    channel: Annotated[str | None, typer.Option(help="the channel of an opt-out or a wrong point")] = None,
    id: IdOption = None,
) -> None:
    """Stop: every open case of the person sees it before it contacts anyone again."""

    async def work(there: House) -> events.Told:
        kept, now = _hold_kind(kind), await there.now()
        ends_on = _day(until) if until else None
        if ends_on is not None and ends_on < now.date():
            raise refuse(f"--until {until!r} is over: name today or a later day")
        placed = Hold(id or str(uuid4()), kept, now, loan if loan_only else None, _channel(channel), ends_on)
        return await events.hold(there.pool, await _person(there, loan), placed)

    _told(_with_house(work))


def lift(
    loan: LoanArgument,
    kind: Annotated[str, typer.Argument(help="the hold to end")],
    loan_only: Annotated[bool, typer.Option(help="the hold on this loan alone")] = False,
) -> None:
    """The cause of a hold is gone."""

    async def work(there: House) -> events.Told:
        now = await there.now()
        person, on = await _person(there, loan), loan if loan_only else None
        return await events.lift(there.pool, person, _hold_kind(kind), on, str(uuid4()), now)

    _told(_with_house(work))


def promise(
    case: CaseArgument,
    amount: Annotated[str, typer.Argument(help="such as 120.50")],
    due: Annotated[str, typer.Argument(metavar="DATE", help="by when, YYYY-MM-DD")],
    id: IdOption = None,
) -> None:
    """Record a promise to pay; the case answers whether it is accepted, and why not."""

    async def work(there: House) -> Answer:
        case_id = await there.case(case)
        loan = await there.pool.fetchval("select loan_id from collection_case where id = $1", case_id)
        minor = _amount(amount, await _currency(there, loan))
        return await _ask(there, case_id, "promise", _checked(PromiseToPay, amount=minor, due_on=_day(due)), id)

    _answered(_with_house(work))


def approve(
    case: CaseArgument,
    by: Annotated[str, typer.Option(help="who decides; not who proposed it")],
    refuse_it: Annotated[bool, typer.Option("--refuse", help="refuse instead")] = False,
    id: IdOption = None,
) -> None:
    """A person's word on a step that waits for approval, such as a claim at court."""

    async def work(there: House) -> Answer:
        word = _checked(Approval, answer="refuse" if refuse_it else "approve", by=by)
        return await _ask(there, await there.case(case), "approve", word, id)

    _answered(_with_house(work))


def decide(
    case: CaseArgument,
    what: Annotated[
        str, typer.Argument(help=f"one of: {', '.join(get_args(Decision.model_fields['what'].annotation))}")
    ],
    by: Annotated[str, typer.Option(help="who decides")],
    amount: Annotated[str | None, typer.Option(help="of a settlement")] = None,
    due: Annotated[
        str | None, typer.Option(metavar="DATE", help="first payment of a settlement or restructuring")
    ] = None,
    id: IdOption = None,
) -> None:
    """An operator's decision: resume a case that needed a person, place, settle, restructure, write off ..."""

    async def work(there: House) -> Answer:
        case_id = await there.case(case)
        loan = await there.pool.fetchval("select loan_id from collection_case where id = $1", case_id)
        minor = _amount(amount, await _currency(there, loan)) if amount else None
        said = _checked(Decision, what=what, by=by, amount=minor, due_on=_day(due) if due else None)
        return await _ask(there, case_id, "decide", said, id)

    _answered(_with_house(work))


async def _ask(there: House, case_id: UUID, update: str, message: Message, id: str | None) -> Answer:
    """By an update, for the caller waits for the answer."""
    client = await there.temporal()
    await require_worker(client)
    handle, own_id = client.get_workflow_handle(workflow_id(case_id)), id or str(uuid4())
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            answer: Answer = await handle.execute_update(update, message, id=own_id, result_type=Answer)
    except TimeoutError as e:
        raise refuse(
            f"the case did not answer within {_ANSWER_WITHIN} s: send it again with --id {own_id}, it counts once"
        ) from e
    except (RPCError, WorkflowUpdateFailedError, WorkflowFailureError) as e:
        stage = await there.pool.fetchval("select stage from collection_case where id = $1", case_id)
        if stage == "closed":
            raise refuse("the case is closed: nothing is left to decide") from e
        raise refuse(f"the case did not answer ({e}): send it again with --id {own_id}, it counts once") from e
    return answer


async def _currency(there: House, loan: str) -> str:
    currency = await there.pool.fetchval("select currency from loan where id = $1", loan)
    if currency is None:
        raise refuse(f"no loan {loan!r}: import it first")
    return str(currency)


async def _person(there: House, loan: str) -> str:
    person = await there.pool.fetchval("select person_id from loan where id = $1", loan)
    if person is None:
        raise refuse(f"no loan {loan!r}: import it first")
    return str(person)


def _amount(text: str, currency: str) -> int:
    try:
        return cells.amount({"amount": text}, "amount", currency)
    except BadCell as e:
        shown = "" if repr(text) in e.problem else f"{text!r}: "
        raise refuse(f"{shown}{e.problem}: {e.remedy}") from e


def _day(text: str) -> date:
    try:
        return cells.day({"date": text}, "date")
    except BadCell as e:
        raise refuse(f"{text!r} {e.problem}: {e.remedy}") from e


def _channel(text: str | None) -> Channel | None:
    if text is None:
        return None
    for channel in get_args(Channel):
        if channel == text:
            return channel  # type: ignore[no-any-return]
    raise refuse(f"no channel {text!r}: use one of {', '.join(get_args(Channel))}")


def _hold_kind(text: str) -> HoldKind:
    for kind in HOLDS:
        if kind == text:
            return kind
    raise refuse(f"no hold {text!r}: use one of {', '.join(HOLDS)}")


def _checked(model: type[M], **fields: Any) -> M:
    try:
        return model(**fields)
    except ValidationError as e:
        raise refuse("; ".join(_problem(p["loc"], p["input"], p["msg"]) for p in e.errors())) from e


def _problem(place: Sequence[int | str], value: Any, message: str) -> str:
    """`about 'shouting': should be 'question', 'dispute' ...`"""
    return f"{'.'.join(map(str, place))} {value!r}: {message.removeprefix('Input ')}"


def _with_house(work: Any) -> Any:
    async def within() -> Any:
        async with house() as there:
            return await work(there)

    return run(within())


def _told(told: events.Told) -> None:
    typer.echo(f"{told.result}: {told.says}")
    if told.result == "review":
        raise typer.Exit(1)


def _answered(answer: Answer) -> None:
    typer.echo(("accepted: " if answer.accepted else "not accepted: ") + answer.says)
    if not answer.accepted:
        raise typer.Exit(1)
