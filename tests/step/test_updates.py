"""Who needs an answer gets one, and the same one however often they ask."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from dunwell.domain.messages import Answer, PromiseToPay
from tests.step.engine import Engine

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)


async def test_a_promise_is_answered_once_for_each_id_also_by_another_worker(engine: Engine) -> None:
    case = await engine.open("promises", AT, date(2025, 1, 10))
    await engine.contacted(case)
    run = engine.run_of(case)

    async def promise(id: str, amount: int, days: int) -> Answer:
        said = PromiseToPay(amount=amount, due_on=AT.date() + timedelta(days=days))
        return Answer.model_validate(await run.execute_update("promise", said, id=id))

    refused = await promise("too-late", 10_000, 200)
    assert (refused.accepted, refused.says) == (False, "a promise may reach 31 days ahead, not to 2025-08-02")
    accepted = await promise("by-friday", 10_000, 3)
    assert (accepted.accepted, "100.00" in accepted.says) == (True, True)

    await engine.kill_worker()
    asked_again = asyncio.create_task(promise("by-friday", 10_000, 3))
    and_another = asyncio.create_task(promise("by-monday", 10_000, 6))
    await engine.serve()
    assert await asked_again == accepted
    assert (await and_another).accepted

    made = await engine.lender.journal(case, "promise_made")
    assert [p["due_on"] for p in made] == ["2025-01-17", "2025-01-20"]
    [judged] = await engine.lender.journal(case, "promise_judged")
    assert (judged["number"], judged["verdict"]) == (1, "superseded")
    assert len(await engine.lender.journal(case, "promise_refused")) == 1


async def test_an_update_of_the_wrong_shape_is_refused_and_leaves_the_case_alone(engine: Engine) -> None:
    case = await engine.open("misshapen", AT, date(2025, 1, 10))
    before = await engine.contacted(case)
    for wrong in ({"amount": "ten", "due_on": "2025-01-17"}, {"amount": 1_000, "due_on": "9999-12-31"}, {}):
        with pytest.raises(WorkflowUpdateFailedError):
            await engine.run_of(case).execute_update("promise", wrong)
    assert await engine.lender.row(case) == before
    said = PromiseToPay(amount=10_000, due_on=AT.date())
    assert (await engine.run_of(case).execute_update("promise", said))["accepted"]
