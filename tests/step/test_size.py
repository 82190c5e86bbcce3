"""A case stays small, against a bare workflow of as many timers and activities, and begins a fresh history in time.

Measured on a bare workflow of k x (timer, activity): 5 + 11 k events, 3 + 6 k state transitions; one that a payment's
signal ends, with an activity for it, has 7 and 4 more. A skipped timer adds events of its own: they do not count.
"""

import asyncio
from datetime import UTC, date, datetime, timedelta
from functools import partial

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from dunwell.domain.case import case_id_of
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import CaseRun, InboundMessage
from dunwell.intake import events
from dunwell.intake.relay import workflow_id
from tests.step.engine import Engine, until

AT = datetime(2025, 1, 14, 6, 0, tzinfo=UTC)
CONTACTS = 4
# Twenty more signals, and a run continues as new.
ALMOST_LONG = 158
OF_SKIPPING = {"WORKFLOW_EXECUTION_OPTIONS_UPDATED", "WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED"}


async def next_transaction(engine: Engine) -> int:
    """The number that the next writing transaction of the whole server will have."""
    return int(await engine.lender.pool.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))


def names(history: list[HistoryEvent]) -> list[str]:
    return [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in history]


async def test_a_case_of_four_contacts_and_a_payment_is_hardly_longer_than_a_bare_workflow(engine: Engine) -> None:
    [loan] = await engine.lender.lend("small", date(2025, 1, 10))
    first = await next_transaction(engine)
    await engine.lender.sweep(AT, "small")
    case = case_id_of(loan)
    await engine.planned(case)
    for _ in range(CONTACTS):
        await engine.take_next_step(case)
    run, now = engine.run_of(case), await engine.now(case)

    async def shown(stage: str) -> bool:
        return list((await run.describe()).search_attributes["CaseStage"]) == [stage]

    await until("the stage is shown", partial(shown, "negotiation"))
    await events.pay(engine.lender.pool, loan, Credit("bank", "small-1", now.date(), 10_000), "GBP", now)

    async def ended() -> bool:
        return (await run.describe()).status == WorkflowExecutionStatus.COMPLETED

    await until("the paid case has ended", ended)
    assert len(await engine.lender.journal(case, "contact_made")) == CONTACTS
    described, history = await run.describe(), await engine.history(case)
    assert await shown("closed")
    skipping = sum(name in OF_SKIPPING for name in names(history))
    transitions = described.raw_description.workflow_execution_info.state_transition_count - skipping
    assert described.history_length - skipping <= 1.10 * (5 + 11 * CONTACTS + 7)
    assert transitions <= 3 + 6 * CONTACTS + 4
    assert max(event.ByteSize() for event in history) < 4_000

    # The case's own ten: the look at the facts, two for each contact, the close. Besides, shared by a whole batch of
    # cases: the sweep's page, and the relay's claims of the wake-up and the payment's; and the payment itself.
    assert await next_transaction(engine) - first <= 10 + 3 + 1


async def test_a_long_case_goes_on_in_a_fresh_history_with_its_inbox_and_its_clock(engine: Engine) -> None:
    case = await engine.open("long", AT, date(2025, 1, 10))
    await engine.planned(case)
    for _ in range(2):
        await engine.take_next_step(case)
    run = engine.run_of(case)
    first = await run.describe()

    async def said(count: int) -> bool:
        messages = await engine.lender.messages(case)
        return len(messages) == count and all(m["taken_at"] is not None for m in messages)

    number = 0
    while (await run.describe()).history_length < ALMOST_LONG:
        await run.signal("inbound_message", InboundMessage(about="other"))
        number += 1
        await until("the message is taken", partial(said, number))
    # The rest arrives during one step, after which the run is long enough.
    async with engine.lender.person_locked("long"):
        await run.signal("inbound_message", InboundMessage(about="other"))
        await until("the step waits for the person's lock", engine.lender.somebody_waits)
        await asyncio.gather(*(run.signal("inbound_message", InboundMessage(about="other")) for _ in range(20)))
    await until("all messages are taken", partial(said, number + 21))

    second = await run.describe()
    assert second.run_id != first.run_id
    by_first = engine.client.get_workflow_handle(workflow_id(case), run_id=first.run_id)
    history = [e async for e in by_first.fetch_history_events()]
    assert names(history)[-1] == "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
    assert 180 <= len(history) <= 230
    carried = history[-1].workflow_execution_continued_as_new_event_attributes.input.payloads
    started = history[0].workflow_execution_started_event_attributes.input.payloads
    [after], [before] = [await engine.client.data_converter.decode(p, [CaseRun]) for p in (carried, started)]
    assert (after.case_id, after.offset, len(after.inbox)) == (before.case_id, before.offset, 20)
    heard = [e["id"] for e in await engine.lender.journal(case, "message_heard")]
    assert len(heard) == len(set(heard)) == number + 21

    due = (await engine.lender.row(case))["next_due"]
    await engine.take_next_step(case)
    [*_, third] = await engine.lender.journal(case, "contact_intended")
    assert timedelta(0) <= third["at"] - due < timedelta(seconds=3)
    assert third["run_id"] == second.run_id
