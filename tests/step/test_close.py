"""Nothing that was taken is left behind when a case closes, and a closed case can be opened again."""

from datetime import UTC, date, datetime

from temporalio.client import WorkflowExecutionStatus

from dunwell.domain.facts import ReverseCredit
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import InboundMessage
from dunwell.intake import events
from tests.step.engine import Engine, until

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)
PAID = Credit("bank", "close-1", date(2025, 1, 14), 10_000)


async def test_a_signal_during_the_closing_step_is_heard_before_the_run_ends(engine: Engine) -> None:
    case = await engine.open("closing", AT, date(2025, 1, 10))
    await engine.contacted(case)
    run = engine.run_of(case)
    async with engine.lender.person_locked("closing"):
        paid = Credit("bank", "closing-1", date(2025, 1, 14), 10_000)
        await events.pay(engine.lender.pool, "closing-0", paid, "GBP", AT)
        await until("the closing step waits for the person's lock", engine.lender.somebody_waits)
        await run.signal("inbound_message", InboundMessage(about="question"))

    async def ended() -> bool:
        return (await run.describe()).status == WorkflowExecutionStatus.COMPLETED

    await until("the run has ended", ended)
    assert (await engine.lender.row(case))["stage"] == "closed"
    [message] = await engine.lender.messages(case)
    assert message["taken_at"] is not None
    [heard] = await engine.lender.journal(case, "message_heard")
    assert heard["id"] == message["id"]
    assert len(await engine.lender.journal(case, "episode_closed")) == 1


async def test_a_reversal_opens_a_closed_case_again_as_a_new_episode_in_a_run_of_its_own(engine: Engine) -> None:
    case = await engine.open("reopened", AT, date(2025, 1, 10))
    await engine.contacted(case)
    await events.pay(engine.lender.pool, "reopened-0", PAID, "GBP", AT)
    first = await engine.run_of(case).describe()

    async def closed() -> bool:
        return (await engine.run_of(case).describe()).status == WorkflowExecutionStatus.COMPLETED

    await until("the paid case has ended", closed)
    row = await engine.lender.row(case)
    assert (row["stage"], row["ending"]) == ("closed", "cured")

    again = datetime(2025, 1, 21, 10, 0, tzinfo=UTC)
    told = await events.reverse(
        engine.lender.pool, "reopened-0", ReverseCredit("bank", "close-1", "close-1/back", again.date()), again
    )
    assert told.result == "posted"
    row = await engine.planned(case, beyond=row["sequence"])
    assert row["stage"] != "closed"
    opened = await engine.lender.journal(case, "episode_opened")
    assert [e["number"] for e in opened] == [1, 2]
    assert opened[0]["run_id"] == first.run_id != opened[1]["run_id"]
    assert (await engine.run_of(case).describe()).status == WorkflowExecutionStatus.RUNNING
