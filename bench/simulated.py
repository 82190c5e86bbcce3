"""Steps per CPU second in memory, beside the engine's on the same people."""

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.ground import FOLDER
from dunwell.catalogue import load_book
from dunwell.domain.portfolio import Portfolio
from dunwell.intake.portfolio import read_portfolio
from dunwell.local.driver import driving
from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT
from dunwell.simulation.run import live, simulate

_FOLDERS = (CHECKOUT.parent / "shared" / "data" / "instalment_loans", CHECKOUT / "sample")
_AT_LEAST_SECONDS = 1.0
_LOOKS_FOR_SECONDS = 3.0
_STARTING_CPU = 0.2  # seconds of CPU in a second: more, and the workers are still starting
_ENGINE = ("worker-1", "worker-2", "temporal", "postgres")


@dataclass(slots=True)
class Simulated:
    """Steps and CPU seconds of both ways, the engine's without what it uses when idle; `entries` in both journals."""

    portfolio: str
    people: int
    steps: int
    simulated_cpu: float
    engine_cpu: dict[str, float]
    engine_seconds: float
    simulated_entries: int
    engine_entries: int

    @property
    def per_second(self) -> float:
        """Steps per CPU second in memory, the four files included."""
        return self.steps / self.simulated_cpu

    @property
    def engine_per_second(self) -> float:
        """Steps per CPU second of workers, Temporal server and PostgreSQL together."""
        return self.steps * self.engine_entries / self.simulated_entries / sum(self.engine_cpu.values())


async def compare(people: int) -> Simulated:
    """Work the same people both ways."""
    folder = next(f for f in _FOLDERS if f.exists())
    book = load_book(CHECKOUT)
    portfolio = _part(read_portfolio(folder)[0], people)
    worlds = [live(person, book, None, portfolio.as_of) for person in portfolio.people()]
    entries = sum(len(journal) for world in worlds for journal in world.journals.values())
    with tempfile.TemporaryDirectory() as out:
        runs, began = 0, time.process_time()
        while time.process_time() - began < _AT_LEAST_SECONDS:
            simulate(portfolio, book, Path(out))
            runs += 1
        cpu = (time.process_time() - began) / runs
    stack = Stack(FOLDER / "engine")
    async with stack, driving(stack, book, workers=2) as drive:
        await drive.bring_in(portfolio)
        idle = await _idle(stack)
        before, started = stack.cpu_seconds(), time.monotonic()
        await drive.work(portfolio, lambda _: None)
        seconds, after = time.monotonic() - started, stack.cpu_seconds()
        written = await drive.pool.fetchval("select count(*) from journal")
    engine = {part: after[part] - before.get(part, 0.0) - idle[part] * seconds for part in _ENGINE}
    steps = sum(world.steps for world in worlds)
    return Simulated(folder.name, len(portfolio.customers), steps, cpu, engine, seconds, entries, written)


async def _idle(stack: Stack) -> dict[str, float]:
    """CPU seconds of each part in a second in which nothing is done: skipped timers make the engine wait a lot."""
    rates = dict.fromkeys(_ENGINE, 1.0)
    while rates["worker-1"] + rates["worker-2"] > _STARTING_CPU:
        before = stack.cpu_seconds()
        await asyncio.sleep(_LOOKS_FOR_SECONDS)
        after = stack.cpu_seconds()
        rates = {part: (after[part] - before[part]) / _LOOKS_FOR_SECONDS for part in _ENGINE}
    return rates


def _part(portfolio: Portfolio, people: int) -> Portfolio:
    """So many people, evenly picked."""
    ids = sorted(portfolio.customers)
    picked = set(ids[:: max(1, len(ids) // people)][:people])
    loans = {id: loan for id, loan in portfolio.loans.items() if loan.customer_id in picked}
    return replace(
        portfolio,
        customers={id: c for id, c in portfolio.customers.items() if id in picked},
        loans=loans,
        payments=tuple(p for p in portfolio.payments if p.loan_id in loans),
        events=tuple(e for e in portfolio.events if e.loan_id in loans),
        script={id: b for id, b in portfolio.script.items() if id in picked},
    )
