"""One process with a pool of its own that attempts contacts which are due; its parent may kill it.

python -m tests.step.attempt JSON, with dsn, provider_url, at, loans, and together: all at once, or one after the other.
It prints a line when it is ready and begins when it is told to by a line.
"""

import asyncio
import inspect
import json
import sys
from datetime import datetime
from typing import Any

from dunwell.domain.case import case_id_of
from dunwell.store import reading, steps
from tests.step.lender import Lender


def drop_the_lock_of_the_person() -> None:
    """The step's first statement, without what makes it wait for its turn."""
    source = inspect.getsource(reading.lock)
    without = source.replace("for update", "", 1)
    assert "for update" in without
    changed: dict[str, Any] = dict(vars(reading))
    exec(without, changed)  # noqa: S102 (this module's own source, less two words)
    steps.lock = changed["lock"]


async def main() -> None:
    told = json.loads(sys.argv[1])
    if told.get("without_lock"):
        drop_the_lock_of_the_person()
    lender = await Lender.open(told["dsn"], told["provider_url"], connections=4)
    at = datetime.fromisoformat(told["at"])
    sequences = {}
    for loan in told["loans"]:
        found = await lender.pool.fetchrow("select sequence from collection_case where id = $1", case_id_of(loan))
        assert found is not None
        sequences[loan] = found["sequence"]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    attempts = [lender.work(case_id_of(loan), "remind", at, sequence=sequences[loan]) for loan in told["loans"]]
    await asyncio.gather(*attempts)
    await lender.close()


if __name__ == "__main__":
    asyncio.run(main())
