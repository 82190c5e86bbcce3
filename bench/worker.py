"""The worker of a bench: ours in full, which also serves the bare workflow, on the same queues in the same process.

Two things differ from production, for both kinds of case alike: waits take milliseconds instead of days, and the
provider is in the process and takes everything at once. Settings as for `worker.py`, and BENCH_MARKS names a file.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from temporalio import workflow
from temporalio.worker import Worker

import worker
from activities.composition import Activity, activities_of
from activities.overdue import Overdue
from activities.working import Working
from bench.bare import WAIT, Bare, Marks
from dunwell.channels.protocol import Dispatch, Receipt
from dunwell.domain.messages import CaseRun
from dunwell.settings import Settings
from workflows.case import Case


@workflow.defn(name="Case")
class ShortWaits(Case):
    """A case whose steps are due at once waits as long as the bare workflow does, by a timer as in production."""

    @workflow.init
    def __init__(self, start: CaseRun) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: CaseRun) -> str:
        """As ever."""
        return await super().run(start)

    async def wait(self) -> None:
        """A timer, where production would have waited for another day."""
        now = workflow.now() + self.offset
        if self.next is not None and not self.next.closed and self.next.due <= now:
            self.next = self.next.model_copy(update={"due": now + WAIT})
        await super().wait()


class AtOnce:
    """A provider that takes everything at once. What a provider costs is no cost of a case."""

    honours_keys = True
    can_look_up = False
    keeps_keys_for = timedelta(hours=72)

    async def send(self, dispatch: Dispatch) -> Receipt:
        """Taken."""
        return Receipt("sent", dispatch.key, "accepted", datetime.now(UTC))

    async def look_up(self, key: str) -> Receipt | None:
        """Raises: LookupError, for nobody may ask."""
        raise LookupError(f"this provider looks nothing up: {key}")

    async def aclose(self) -> None:
        """Holds nothing open."""


class WithBare(Worker):
    """Serves the bare workflow wherever cases are served."""

    def __init__(self, *args: Any, workflows: list[type], **options: Any) -> None:
        super().__init__(*args, workflows=[*workflows, Bare] if workflows else [], **options)


def main() -> None:
    """Serve until SIGTERM."""
    marks = Marks(Path(os.environ["BENCH_MARKS"]))

    def with_marks(queue: str, working: Working, overdue: Overdue) -> list[Activity]:
        return [*activities_of(queue, working, overdue), marks.mark]

    def at_once(_settings: Settings, _channel: str) -> AtOnce:
        return AtOnce()

    vars(worker).update(Case=ShortWaits, Worker=WithBare, activities_of=with_marks, channel_of=at_once)
    uvloop.run(worker.main()) if sys.platform != "win32" else asyncio.run(worker.main())


if __name__ == "__main__":
    main()
