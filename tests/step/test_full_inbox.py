"""More arrives than the closing step can take: the rest is heard before the run ends."""

from datetime import UTC, date, datetime
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from dunwell.domain.ledger import Credit
from dunwell.intake import events
from tests.step.engine import Engine, until

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)


async def test_what_did_not_fit_into_the_closing_step_is_heard_before_the_run_ends(engine: Engine) -> None:
    case = await engine.open("overfull", AT, date(2025, 1, 10))
    await engine.contacted(case)
    await engine.kill_worker()
    run = engine.run_of(case)
    for number in range(5):
        # Two of them fill one input.
        await run.signal(f"flood{number}", "x" * 99_000)
    await events.pay(engine.lender.pool, "overfull-0", Credit("bank", "overfull-1", AT.date(), 10_000), "GBP", AT)
    await engine.serve()

    async def ended() -> bool:
        return (await run.describe()).status == WorkflowExecutionStatus.COMPLETED

    async def all_taken() -> list[dict[str, Any]]:
        messages = await engine.lender.messages(case)
        return messages if len(messages) >= 5 and all(m["taken_at"] for m in messages) else []

    await until("the paid case has ended", ended)
    assert (await engine.lender.row(case))["stage"] == "closed"
    messages = await until("all five are taken", all_taken, within=5)
    assert {len(m["raw"]) for m in messages} == {99_002}
    assert len(messages) == 5
