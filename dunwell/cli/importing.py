"""`import`: a portfolio folder into the database. Run twice it changes nothing more."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from dunwell.cli.connection import House, house, run
from dunwell.cli.replaying import FolderArgument, read
from dunwell.domain.behaviour import SOURCE
from dunwell.domain.ledger import Credit
from dunwell.domain.person import Hold
from dunwell.domain.portfolio import Portfolio
from dunwell.intake import events
from dunwell.intake.importing import import_loans, import_people, loans_of, people_of
from dunwell.settings import CHECKOUT


def import_(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option(help="folder for rejected.csv")] = CHECKOUT / "build" / "import",
) -> None:
    """Import customers, loans, instalments, payments and disputes from a portfolio folder.

    Each row once: an id that is known already stays as it is. Rows that cannot be taken are listed in
    rejected.csv with file, line, column, value and remedy, nothing else is lost, and the exit status is 1.
    """
    portfolio, rejected = read(folder, out)

    async def work() -> Counter[str]:
        async with house() as there:
            return await _bring_in(there, portfolio)

    came = run(work())
    typer.echo(
        f"{came['people']} people and {came['loans']} loans new; payments: {came['posted']} posted, "
        f"{came['known']} known already, {came['review']} for review; {came['disputes']} disputes"
    )
    if rejected:
        typer.secho(
            f"{len(rejected)} rows were not taken: see {out / 'rejected.csv'}", err=True, fg=typer.colors.YELLOW
        )
    if rejected or came["review"]:
        raise typer.Exit(1)


async def _bring_in(there: House, portfolio: Portfolio) -> Counter[str]:
    came: Counter[str] = Counter()
    came["people"] = await import_people(there.pool, people_of(portfolio))
    came["loans"] = await import_loans(there.pool, loans_of(portfolio))
    now = datetime.now(UTC)
    for p in portfolio.payments:
        credit = Credit(SOURCE, p.payment_id, p.value_date, p.amount)
        told = await events.pay(there.pool, p.loan_id, credit, portfolio.loans[p.loan_id].currency, now)
        came[told.result] += 1
        if told.result == "review":
            typer.secho(f"for review: payment {p.payment_id} of loan {p.loan_id}: {told.says}", err=True)
    for e in portfolio.events:
        person = portfolio.loans[e.loan_id].customer_id
        if e.kind == "dispute_opened":
            told = await events.hold(there.pool, person, Hold(e.event_id, "dispute", now, e.loan_id))
        else:
            told = await events.lift(there.pool, person, "dispute", e.loan_id, f"{e.event_id}/{uuid4()}", now)
        came["disputes"] += told.result == "held"
    return came
