"""Measure everything once: `python -m bench [--full]`. Prints tables and writes build/bench.json."""

import argparse
import asyncio
import json
from dataclasses import dataclass

from rich.console import Console

from bench.cases import Shape, side_by_side
from bench.ground import ground
from bench.payments import payments
from bench.report import keys, show, show_goals
from bench.simulated import compare
from dunwell.local.processes import ended_by_sigterm
from dunwell.settings import CHECKOUT

_OUT = CHECKOUT / "build" / "bench.json"
_SERVERS = (
    "Temporal dev server 1.32, in memory, one history shard; limits raised, history.transferProcessorMaxPollRPS and "
    "history.timerProcessorMaxPollRPS 1000. PostgreSQL 18, fsync and synchronous_commit on. One worker process, "
    "unsandboxed, all queues, 10,000 cases cached. Same servers, queues and worker for both kinds of case; waits of "
    "50 ms by timer; an in-process provider that takes everything at once."
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    cases: int
    waiting: int
    seconds: int
    people: int


FULL = Size(rounds=3, cases=200, waiting=1000, seconds=90, people=40)
USUAL = Size(rounds=2, cases=25, waiting=1000, seconds=15, people=6)


async def bench(size: Size, parts: set[str], console: Console) -> dict[str, float]:
    """Everything, one part after the other."""
    four, paid = Shape("four contacts", 4, paid=False), Shape("two contacts, then paid by signal", 2, paid=True)
    async with ended_by_sigterm():
        async with ground() as there:
            for shape in (Shape("warm-up", 4, paid=False), Shape("warm-up", 2, paid=True)):
                await there.stack.watch(side_by_side(there, shape, 1, 10))
            for shape in (four, paid):
                await there.stack.watch(side_by_side(there, shape, size.rounds, size.cases))
            paying = await there.stack.watch(payments(there, size.waiting, size.seconds))
        simulated = await compare(size.people) if "simulate" in parts else None
    found = keys(four, paid, paying, simulated)
    console.print(_SERVERS, soft_wrap=True)
    show(console, [four, paid], paying, simulated)
    show_goals(console, found)
    return found


def main() -> None:
    """Exit status 0 whatever was found; another only if the run itself failed."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument(
        "--full", action="store_true", help="several times the size: about ten minutes, for a release"
    )
    arguments.add_argument("--no-simulate", action="store_true", help="leave out the comparison with the simulation")
    asked = arguments.parse_args()
    console = Console()
    parts = set() if asked.no_simulate else {"simulate"}
    found = asyncio.run(bench(FULL if asked.full else USUAL, parts, console))
    _OUT.parent.mkdir(exist_ok=True)
    _OUT.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"written: {_OUT.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    main()
