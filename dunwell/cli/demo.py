"""The command that shows all: a year of a portfolio on a real Temporal server and a real PostgreSQL."""

import asyncio
import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from temporalio.client import ScheduleActionExecutionStartWorkflow

from dunwell.catalogue import load_book
from dunwell.cli.connection import refuse, run
from dunwell.cli.reading import print_case, read_case
from dunwell.cli.replaying import WORKERS, read
from dunwell.cli.scheduling import OVERDUE_DAILY, put_on_schedule
from dunwell.cli.telling_the_year import tell_year
from dunwell.domain.portfolio import Portfolio
from dunwell.domain.strategy import Book
from dunwell.local.driver import Drive, driving
from dunwell.local.postgres import NoPostgres
from dunwell.local.processes import ChildCrashed, PortTaken, ended_by_sigterm
from dunwell.local.report import write_report
from dunwell.local.server_binary import NoServer
from dunwell.local.settling import NotSettled
from dunwell.local.stack import Stack, StackUnusable
from dunwell.local.telling_cases import Telling, most_telling
from dunwell.local.temporal_server import TemporalUnusable
from dunwell.local.year import read_year
from dunwell.settings import CHECKOUT
from workflows.portfolio import SweepDone

_FOLDER = CHECKOUT / "build" / "demo"
_LIST_WITHIN = 60.0
_CANNOT = (StackUnusable, TemporalUnusable, NoPostgres, NoServer, PortTaken, NotSettled)
# A story is read in an editor or a pager: its lines are as long as they are.
_STORY_WIDTH = 200

console = Console(highlight=False)


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="leave everything up until Ctrl-C, with the Temporal UI")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--portfolio", metavar="DIR", help="a portfolio folder", file_okay=False)
    ] = CHECKOUT / "sample",
    out: Annotated[Path, typer.Option("--out", help="folder for results, logs and data", file_okay=False)] = _FOLDER,
) -> None:
    """Work a year of a portfolio by time skipping, on servers of its own, and tell what happened.

    Prints what came of it, and writes report.html and the stories of the most telling cases. Everything starts from
    fresh data and is gone afterwards; with --keep it stays up until Ctrl-C.
    """
    portfolio, rejected = read(folder, out)
    if rejected:
        raise refuse(f"{len(rejected)} rows of {folder} cannot be taken: see {out / 'rejected.csv'}")
    if not portfolio.loans:
        raise refuse(f"{folder} has no loans: name a portfolio folder by --portfolio")
    try:
        run(_demo(portfolio, load_book(CHECKOUT), out.resolve(), keep))
    except ChildCrashed as e:
        typer.secho(str(e), err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from e
    except _CANNOT as e:
        raise refuse(str(e)) from e


async def _demo(portfolio: Portfolio, book: Book, out: Path, keep: bool) -> None:
    stack, lists = Stack(out, ui=keep), out / "overdue"
    if Stack.find(out) is None:
        shutil.rmtree(stack.logs, ignore_errors=True)
    async with ended_by_sigterm():
        began = time.monotonic()
        console.print(f"Starting PostgreSQL, a Temporal server, {WORKERS} workers and a provider of messages …")
        async with stack, driving(stack, book, WORKERS, {"DUNWELL_LISTS": str(lists)}) as drive:
            await drive.bring_in(portfolio)
            console.print(f"{len(portfolio.loans)} loans of {len(list(portfolio.people()))} people are in the ledger.")
            await _live(drive, portfolio)
            done = await stack.watch(_overdue_list(drive, portfolio.as_of))
            year = await read_year(drive.pool, portfolio.as_of)
            telling = most_telling(year)
            await asyncio.to_thread(write_report, out / "report.html", year, telling)
            stories = await _write_stories(drive, out / "stories", telling)
            tell_year(console, year)
            _tell_cases(telling, stories, keep)
            _tell_files(done, out / "report.html", time.monotonic() - began)
            if keep:
                await _stay_up(stack)


async def _live(drive: Drive, portfolio: Portfolio) -> None:
    """Live everybody's time under a bar that shows how far the year has come, on average."""
    columns = (
        TextColumn("working the year"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0)
        await drive.work(
            portfolio, _tells(drive, portfolio, lambda part, says: bar.update(task, completed=part, description=says))
        )


def _tells(drive: Drive, portfolio: Portfolio, show: Callable[[float, str], None]) -> Callable[[float], None]:
    """Turns "so many people are done" into "the year has come so far"."""
    people = list(portfolio.people())
    end = datetime.combine(portfolio.as_of, datetime.max.time(), UTC)
    first = min((p.starts_on for p in people if p.starts_on), default=portfolio.as_of)
    begin = datetime.combine(first, datetime.min.time(), UTC)

    def tell(done: float) -> None:
        come = [life.now or begin for life in drive.lives]
        lived = sum((at - begin) / (end - begin) for at in come) / max(len(people), 1)
        if done >= 1 or not come:
            show(done, "")
        else:
            show(min(max(done, lived), 0.99), f"the slowest is in {min(come):%B %Y}")

    return tell


async def _overdue_list(drive: Drive, on: date) -> SweepDone:
    """The last day's overdue list, made as in production: by its Schedule, which is triggered here and then removed."""
    schedule = await put_on_schedule(drive.client, 5, 0, only_for=on, id=f"{OVERDUE_DAILY}-demo")
    try:
        await schedule.trigger()
        async with asyncio.timeout(_LIST_WITHIN):
            while not (actions := (await schedule.describe()).info.recent_actions):
                await asyncio.sleep(0.1)
            run = cast(ScheduleActionExecutionStartWorkflow, actions[-1].action)
            done: SweepDone = await drive.client.get_workflow_handle(run.workflow_id, result_type=SweepDone).result()
            while await drive.pool.fetchval("select exists (select 1 from outbox)"):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise NotSettled(
            f"the overdue list of {on} was not made within {_LIST_WITHIN:.0f} s: see the workers' logs"
        ) from None
    finally:
        await schedule.delete()
    return done


async def _write_stories(drive: Drive, folder: Path, telling: list[Telling]) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.txt"):
        old.unlink()
    files = {}
    for loan_id, case in ((t.case.loan_id, t.case) for t in telling):
        files[loan_id] = folder / f"{loan_id}.txt"
        told = await read_case(drive.pool, case.case_id)
        with files[loan_id].open("w", encoding="utf-8") as file:
            print_case(told, Console(file=file, width=_STORY_WIDTH, soft_wrap=True, highlight=False))
    return files


def _tell_cases(telling: list[Telling], stories: dict[str, Path], keep: bool) -> None:
    console.print(
        "\n[bold]The most telling cases[/]" + ("" if keep else " (`show` works while `make demo KEEP=1` is up)")
    )
    for n, told in enumerate(telling, start=1):
        console.print(f"{n}. {told.case.loan_id} ({told.case.jurisdiction}): {told.why}", markup=False)
        console.print(f"   .venv/bin/python starter.py show {told.case.loan_id}", style="cyan", soft_wrap=True)
        console.print(f"   {_shown(stories[told.case.loan_id])}", style="dim", soft_wrap=True)


def _tell_files(done: SweepDone, report: Path, seconds: float) -> None:
    console.print(
        f"\n[bold]Overdue list[/] of {done.on}: {done.looked_at} loans looked at, {done.overdue} overdue: "
        f"{_shown(Path(done.file))}",
        soft_wrap=True,
    )
    console.print(f"[bold]The year in pictures:[/] {_shown(report)}", soft_wrap=True)
    console.print(f"Done in {seconds:.0f} s.")


async def _stay_up(stack: Stack) -> None:
    there = stack.addresses
    console.print(f"\n[bold]Temporal UI:[/] {there.ui_address or f'that of {there.temporal_address}'}", soft_wrap=True)
    console.print(f"[bold]Database:[/] its address stands in {_shown(stack.folder / 'stack.json')}", soft_wrap=True)
    console.print("In another terminal: .venv/bin/python starter.py --help")
    console.print("Ctrl-C stops everything.")
    try:
        await stack.watch(asyncio.Event().wait())
    except asyncio.CancelledError:
        # Ctrl-C is how this is meant to end.
        console.print("Stopping …")


def _shown(file: Path) -> Path:
    return file.relative_to(CHECKOUT) if file.is_relative_to(CHECKOUT) else file
