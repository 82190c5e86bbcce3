"""The least a durable case could be: k x (timer, regular activity), then one wait for a payment. It keeps nothing."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow

# Both kinds of case wait this long before each contact: days would only add waiting.
WAIT = timedelta(milliseconds=50)
_LONG = timedelta(seconds=30)
_FOR_A_PAYMENT = timedelta(days=30)


@dataclass
class BareStart:
    """The task queue of each contact, in order."""

    queues: list[str]


class Marks:
    """Who was reached and when, in a file that the bench reads: one line of id and nanoseconds for each activity."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    @activity.defn
    async def mark(self, id: str) -> str:
        """Stands for the contact, and for the booking of a payment."""
        os.write(self._out, f"{id} {time.time_ns()}\n".encode())
        return "sent"

    def count(self) -> int:
        """How many activities have run."""
        with self.file.open("rb") as lines:
            return sum(1 for _ in lines)

    def read(self, after: int = 0) -> Iterator[tuple[str, float]]:
        """Id and seconds since the epoch of every activity after the first `after`."""
        for line in self.file.read_text().splitlines()[after:]:
            id, at = line.split()
            yield id, int(at) / 1e9


@workflow.defn(name="Bare")
class Bare:
    """A case without rules, ledger, journal or gate."""

    @workflow.init
    def __init__(self, _start: BareStart) -> None:
        self.paid: list[str] = []

    @workflow.run
    async def run(self, start: BareStart) -> str:
        """Wait, contact, and so on; then wait for a payment and book it by one more activity."""
        for queue in start.queues:
            await workflow.sleep(WAIT)
            await self.mark(workflow.info().workflow_id, queue)
        await workflow.wait_condition(lambda: bool(self.paid), timeout=_FOR_A_PAYMENT)
        await self.mark(self.paid[0], None)
        return "paid"

    async def mark(self, id: str, queue: str | None) -> None:
        """One regular activity."""
        await workflow.execute_activity_method(Marks.mark, id, task_queue=queue, start_to_close_timeout=_LONG)

    @workflow.signal
    def pay(self, id: str) -> None:
        """A payment came."""
        self.paid.append(id)
