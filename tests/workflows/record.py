"""Records histories of the present state: `python -m tests.workflows.record NAME`, once for each release.

Works a few people of the sample portfolio and keeps the histories of their cases, finished and running.
"""

import asyncio
import re
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from dunwell.catalogue import load_book
from dunwell.intake.portfolio import read_portfolio
from dunwell.local.driver import driving
from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT
from workflows.portfolio import Portfolio as Sweeps
from workflows.portfolio import Sweep

LOANS = {"L001", "L002", "L010", "L012", "L013", "L023", "L026"}


async def record(name: str) -> None:
    """Writes tests/workflows/histories/NAME/*.json."""
    out = Path(__file__).parent / "histories" / name
    out.mkdir(parents=True)
    portfolio, _ = read_portfolio(CHECKOUT / "sample")
    people = {portfolio.loans[id].customer_id for id in LOANS}
    loans = {id: loan for id, loan in portfolio.loans.items() if loan.customer_id in people}
    few = replace(
        portfolio,
        loans=loans,
        payments=tuple(p for p in portfolio.payments if p.loan_id in loans),
        events=tuple(e for e in portfolio.events if e.loan_id in loans),
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder)) as stack, driving(stack, load_book(CHECKOUT), 1) as drive:
            await drive.bring_in(few)
            await drive.work(few, lambda _: None, date(2025, 1, 1))
            sweep = await drive.client.start_workflow(
                Sweeps.run, Sweep(on=few.as_of), id="overdue", task_queue="dunwell"
            )
            await sweep.result()
            (out / "portfolio-sweep.json").write_text(_anywhere((await sweep.fetch_history()).to_json()))
            for row in await drive.pool.fetch("select id, loan_id, stage from collection_case order by loan_id"):
                history = await drive.client.get_workflow_handle(f"case-{row['id']}").fetch_history()
                kind = "finished" if row["stage"] == "closed" else "running"
                (out / f"{kind}-{row['loan_id']}.json").write_text(_anywhere(history.to_json()))


def _anywhere(history: str) -> str:
    """Without the names of the machine and processes that wrote it."""
    return re.sub(r"[0-9]+@[A-Za-z0-9_.-]+", "worker", history)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
