"""A worker that kills itself once, by SIGKILL, at a point of one case's step that the environment names.

DIES: `after_intent` (transaction A is committed, nothing has left), `after_sending` (the provider has taken it, transaction
B has not begun), `after_hearing` (a step in the house that took a message is committed). DIES_FOR: the case.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import worker
from dunwell.domain.messages import Ask, NextStep
from dunwell.store.steps import Clock, Steps, ToSend

begin: Callable[..., Awaitable[NextStep | ToSend]] = Steps.begin


def die(at: str, ask: Ask) -> None:
    if os.environ["DIES"] == at and ask.case_id == os.environ["DIES_FOR"]:
        os.kill(os.getpid(), signal.SIGKILL)


async def begin_and_die(self: Steps, ask: Ask, clock: Clock, run_id: str | None = None) -> NextStep | ToSend:
    begun = await begin(self, ask, clock, run_id)
    if isinstance(begun, ToSend):
        die("after_intent", ask)
    elif any(note.name == "inbound_message" for note in ask.heard):
        die("after_hearing", ask)
    return begun


async def die_before_concluding(_: Steps, ask: Ask, *_told: Any) -> NextStep:
    die("after_sending", ask)
    raise AssertionError("only the one case is worked by a worker that dies after sending")


if __name__ == "__main__":
    Steps.begin = begin_and_die  # type: ignore[method-assign]
    if os.environ["DIES"] == "after_sending":
        Steps.conclude = die_before_concluding  # type: ignore[assignment,method-assign]
    asyncio.run(worker.main())
