"""Commands that work whole portfolios: replay through the real engine, simulate in memory."""

import asyncio
import json
import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dunwell.catalogue import load_book
from dunwell.cli.connection import refuse, run
from dunwell.domain.events import decode
from dunwell.domain.portfolio import Portfolio
from dunwell.intake.portfolio import PortfolioRefused, Rejected, read_portfolio, write_rejected
from dunwell.intake.relay import workflow_id
from dunwell.local.driver import Drive, driving
from dunwell.local.postgres import NoPostgres
from dunwell.local.processes import ChildCrashed, PortTaken
from dunwell.local.server_binary import NoServer
from dunwell.local.settling import NotSettled
from dunwell.local.stack import Stack, StackUnusable
from dunwell.local.temporal_server import TemporalUnusable
from dunwell.settings import CHECKOUT
from dunwell.simulation.outputs import Entry, LoanStory, Tables
from dunwell.simulation.run import Summary
from dunwell.simulation.run import simulate as simulate_portfolio
from dunwell.store.reading import read_money

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="a portfolio folder", file_okay=False)]
OutOption = Annotated[Path, typer.Option("--out", help="folder for the results", file_okay=False)]
WORKERS = 2


def replay(
    folder: FolderArgument,
    out: OutOption,
    workers: Annotated[int, typer.Option(min=1, max=16, help="worker processes")] = WORKERS,
) -> None:
    """Work a portfolio folder through the real engine, on servers of its own, and write what came of it.

    Writes episodes.csv, balances.csv, contacts.csv and decisions.csv; rejected.csv where rows could not be
    taken, and then the exit status is 1.
    """
    portfolio, rejected = read(folder, out)
    began = time.monotonic()
    run(_replay(portfolio, out, workers))
    typer.echo(f"replayed {len(portfolio.loans)} loans in {time.monotonic() - began:.0f} s: {out}")
    _end(rejected, out)


def simulate(folder: FolderArgument, out: OutOption) -> None:
    """Work a portfolio folder in memory, under a virtual clock: the same steps, the same four files, in seconds."""
    portfolio, rejected = read(folder, out)
    began = time.process_time()
    summary = run(_simulate(portfolio, out))
    spent = time.process_time() - began
    typer.echo(
        f"simulated {summary.loans} loans, {summary.steps} steps in {spent:.1f} s of one core "
        f"({summary.steps / max(spent, 0.001):.0f} steps a second): {out}"
    )
    _end(rejected, out)


def read(folder: Path, out: Path) -> tuple[Portfolio, list[Rejected]]:
    """The portfolio, and the rows that could not be taken, written to rejected.csv."""
    try:
        portfolio, rejected = read_portfolio(folder)
    except PortfolioRefused as e:
        raise refuse(str(e)) from e
    try:
        out.mkdir(parents=True, exist_ok=True)
        if rejected:
            write_rejected(out / "rejected.csv", rejected)
        else:
            (out / "rejected.csv").unlink(missing_ok=True)
    except OSError as e:
        raise refuse(f"--out {out}: {e.strerror}: name a folder that can be written") from e
    return portfolio, rejected


def _end(rejected: list[Rejected], out: Path) -> None:
    if rejected:
        typer.secho(
            f"{len(rejected)} rows were not taken: see {out / 'rejected.csv'}", err=True, fg=typer.colors.YELLOW
        )
        raise typer.Exit(1)


async def _simulate(portfolio: Portfolio, out: Path) -> Summary:
    return simulate_portfolio(portfolio, load_book(CHECKOUT), out)


async def _replay(portfolio: Portfolio, out: Path, workers: int) -> None:
    book = load_book(CHECKOUT)
    stack = Stack(CHECKOUT / "build" / "replay", settings={})
    try:
        async with stack, driving(stack, book, workers, killed_begin_again=True) as drive:
            await drive.bring_in(portfolio)
            await with_bar("working the portfolio", drive, portfolio)
            await write_tables(drive, portfolio, out)
    except (StackUnusable, TemporalUnusable, NoPostgres, NoServer, PortTaken, NotSettled, ChildCrashed) as e:
        raise refuse(str(e)) from e


async def with_bar(what: str, drive: Drive, portfolio: Portfolio, starts_on: date | None = None) -> None:
    """Work the portfolio under a progress bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=1.0)
        await drive.work(portfolio, lambda part: bar.update(task, completed=part), starts_on)


async def write_tables(drive: Drive, portfolio: Portfolio, out: Path) -> None:
    """The four files, from the journals."""
    tables = Tables(portfolio.as_of)
    zones = {loan.loan_id: file.zone for file in portfolio.people() for loan in file.loans}
    async with drive.pool.acquire() as c:
        for loan_id in sorted(portfolio.loans):
            money = await read_money(c, loan_id)
            rows = await c.fetch(
                """select j.case_id, j.at, j.kind, j.bytes, j.run_id from journal j
                   join collection_case k on k.id = j.case_id where k.loan_id = $1 order by j.number""",
                loan_id,
            )
            journal = [
                Entry(r["at"], decode(r["kind"], json.loads(r["bytes"])["body"]), r["run_id"] or "") for r in rows
            ]
            tables.add(LoanStory(money, journal, workflow_id(rows[0]["case_id"]) if rows else "", zones[loan_id]))
    await asyncio.to_thread(tables.write, out)
