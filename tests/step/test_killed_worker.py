"""A worker is killed right after a commit, and more is said before the step is tried again."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from dunwell.domain.messages import InboundMessage
from dunwell.intake import events
from tests.step.engine import Engine, until

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)


@dataclass
class Aftermath:
    engine: Engine
    after_intent: UUID
    after_sending: UUID
    after_hearing: UUID


@pytest.fixture(scope="module")
async def aftermath(running_engine: Engine) -> Aftermath:
    """Three cases whose worker was killed at three points; each then hears two more messages, by row and by signal.

    In one fixture, for the server takes 30 s to give an attempt up, and these may pass together.
    """
    engine = running_engine
    if engine.worker is not None:
        await engine.worker.stop()
    cases = {}
    for dies in ("after_intent", "after_sending", "after_hearing"):
        case = cases[dies] = await engine.open(dies, AT, date(2025, 1, 10))
        dying = await engine.start_mortal_worker(dies, case)
        if dies == "after_hearing":
            await engine.contacted(case)
            await _tell(engine, case, "first")
        async with asyncio.timeout(60):
            assert await dying.wait() == -signal.SIGKILL
        await _tell(engine, case, "row")
        await engine.run_of(case).signal("inbound_message", InboundMessage(about="other"))
    await engine.serve()
    return Aftermath(engine, **cases)


async def _tell(engine: Engine, case: UUID, id: str) -> None:
    await events.tell(engine.lender.pool, case, id, "inbound_message", InboundMessage(about="question"), AT)


async def all_taken(engine: Engine, case: UUID, count: int) -> list[dict[str, Any]]:
    """Every message of the case, once it has taken that many."""

    async def look() -> list[dict[str, Any]]:
        messages = await engine.lender.messages(case)
        taken = len(messages) >= count and all(m["taken_at"] is not None for m in messages)
        return messages if taken else []

    return await until(f"case {case} has taken {count} messages", look)


# How many messages each has heard in the end, and what came of its contacts. What had not left gives way to a message that
# waits, and goes out anew when the case has heard it and still wants the contact.
POINTS: dict[str, Callable[[Aftermath], tuple[UUID, int, list[str]]]] = {
    "after_intent": lambda a: (a.after_intent, 2, ["abandoned", "sent"]),
    "after_sending": lambda a: (a.after_sending, 2, ["sent"]),
    "after_hearing": lambda a: (a.after_hearing, 3, ["sent"]),
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.timeout(300)
async def test_what_is_said_between_a_commit_and_the_retry_is_taken_once_and_the_contact_is_made_once(
    aftermath: Aftermath, point: str
) -> None:
    engine, (case, count, outcomes) = aftermath.engine, POINTS[point](aftermath)
    await engine.contacted(case, len(outcomes))
    messages = await all_taken(engine, case, count)

    assert len(messages) == count
    heard = [e["id"] for e in await engine.lender.journal(case, "message_heard")]
    assert sorted(heard) == sorted(m["id"] for m in messages)
    assert [made["state"] for made in await engine.lender.journal(case, "contact_made")] == outcomes
    assert len(engine.lender.received(point)) == 1
