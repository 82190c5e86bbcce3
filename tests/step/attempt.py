"""Processes with pools of their own that attempt contacts which are due: python -m tests.step.attempt JSON.

dsn, provider_url, at (ISO 8601), crew: a list of loan ids for each process. They look at their loans, wait for each other,
and then contact all of them at once. A crew of one is this process itself, for its parent to kill.
"""

import asyncio
import inspect
import json
import multiprocessing
import sys
from collections.abc import Sequence
from datetime import datetime
from threading import Barrier
from typing import Any

from dunwell.domain.case import case_id_of
from dunwell.store import reading, steps
from tests.step.lender import Lender, catalogue


def drop_the_lock_of_the_person() -> None:
    """The step's first statement, without what makes it wait for its turn."""
    source = inspect.getsource(reading.lock)
    without = source.replace("for no key update", "", 1)
    assert without != source
    changed: dict[str, Any] = dict(vars(reading))
    exec(without, changed)  # noqa: S102 (this module's own source, less two words)
    vars(steps)["lock"] = changed["lock"]


async def attempt(told: dict[str, Any], loans: Sequence[str], start: Barrier | None) -> None:
    lender = await Lender.open(told["dsn"], told["provider_url"])
    at = datetime.fromisoformat(told["at"])
    due = [await lender.work(case_id_of(loan), "assess", at) for loan in loans]
    if start is not None:
        start.wait()
    await asyncio.gather(
        *(
            lender.work(case_id_of(loan), "remind", at, sequence=coming.sequence)
            for loan, coming in zip(loans, due, strict=True)
        )
    )
    await lender.close()


def run(told: dict[str, Any], loans: Sequence[str], start: Barrier | None) -> None:
    if told.get("without_lock"):
        drop_the_lock_of_the_person()
    asyncio.run(attempt(told, loans, start))


def main() -> int:
    told = json.loads(sys.argv[1])
    crew = told["crew"]
    if len(crew) == 1:
        run(told, crew[0], None)
        return 0
    catalogue()
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(len(crew))
    members = [fork.Process(target=run, args=(told, loans, start)) for loans in crew]
    for member in members:
        member.start()
    for member in members:
        member.join()
    return max(abs(member.exitcode or 0) for member in members)


if __name__ == "__main__":
    sys.exit(main())
