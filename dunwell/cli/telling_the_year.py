"""What happened in a year, as tables on a terminal of eighty columns."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from dunwell.domain.messages import plain
from dunwell.domain.money import format_amount
from dunwell.local.charts import CHANNEL_NAMES
from dunwell.local.tallies import MoneyRow, count, money_rows
from dunwell.local.year import Year

_ANSWERS = {"defer": "deferred", "deny": "denied", "needs_human": "needs a person"}
Cells = Sequence[object]


def tell_year(console: Console, year: Year) -> None:
    """Print the year; a table that would be empty is left out."""
    found, money = count(year), money_rows(year)
    console.print(
        f"\n[bold]{year.begins} to {year.ends}:[/] {len(year.loans)} loans of {year.people} people, "
        f"{len(year.cases)} of them with a case"
    )
    tables = (
        _table("Cases by stage", ("stage", "passed through", "there at the end"),
               ((plain(r.stage), r.passed, r.at_end or "–") for r in found.stages)),
        _table("Episodes by ending", ("ending", "episodes"), found.endings),
        _table("Contacts by channel and answer", ("channel", "made", "what came of them"),
               ((CHANNEL_NAMES[r.channel], r.made, ", ".join(f"{n} {result}" for result, n in r.results)) for r in found.contacts)),
        _table("Contacts not made", ("answer", "reason", "times"),
               ((_ANSWERS[r.answer], r.reason, r.times) for r in found.withheld)),
        _table("Promises to pay", ("promise", "times"), found.promises),
        _table("Offers", ("offer", "times"), found.offers),
        _table("Plans", ("agreed on", "outcome", "times"), found.plans),
        _table("Legal steps", ("step", "times"), found.law),
        _table("Money owed and collected", ("", "at the start", "fell due", "collected", "relief", "at the end", "past due"),
               map(_money, money)),
        _table("Relief by kind", ("currency", "kind", "amount"),
               ((r.currency, plain(kind), format_amount(amount, r.currency)) for r in money for kind, amount in r.relief.items())),
    )  # fmt: skip
    for title, table in tables:
        if table.row_count:
            console.print(f"\n[bold]{title}[/]")
            console.print(table)


def _money(row: MoneyRow) -> Cells:
    amounts = (row.owed_before, row.fell_due, row.collected, sum(row.relief.values()), row.owed, row.past_due)
    return row.currency, *(format_amount(amount, row.currency) if amount else "–" for amount in amounts)


def _table(title: str, heads: Sequence[str], rows: Iterable[Cells]) -> tuple[str, Table]:
    """With its title apart: as wide as the screen, not as the table."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    kept = list(rows)
    for n, head in enumerate(heads):
        numbers = all(isinstance(row[n], int) or row[n] == "–" or _is_amount(row[n]) for row in kept)
        table.add_column(head, justify="right" if numbers and n else "left")
    for row in kept:
        table.add_row(*(str(cell) for cell in row))
    return title, table


def _is_amount(cell: object) -> bool:
    return str(cell).replace(".", "", 1).removeprefix("-").isdigit()
