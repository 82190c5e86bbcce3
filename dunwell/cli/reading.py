"""Commands that read: show, list, late, verify, export."""

import json
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from dunwell.cli.connection import House, house, refuse, run
from dunwell.domain import events as ev
from dunwell.domain.codes import HOLDS, STAGES
from dunwell.domain.ledger import position
from dunwell.domain.messages import plain
from dunwell.domain.money import say
from dunwell.domain.telling import tell
from dunwell.store import journal
from dunwell.store.cases import journal_of, late_cases, list_cases
from dunwell.store.reading import read_money

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="a case id or a loan id")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document instead of text")]
# What the story of a case leaves out: it says the same as what stands beside it.
_SAID_ELSEWHERE = ("contact_intended",)

console = Console(soft_wrap=True, highlight=False)


def show(case: CaseArgument, as_json: AsJson = False) -> None:
    """Tell a case: what was done, what was not done, and why; the next step and when."""

    async def work() -> None:
        async with house() as there:
            case_id = await there.case(case)
            told = await read_case(there.pool, case_id, await there.now(case_id))
        if as_json:
            typer.echo(json.dumps(told, default=str, indent=1, ensure_ascii=False))
        else:
            print_case(told)

    run(work())


async def read_case(pool: asyncpg.Pool, case_id: UUID, now: datetime | None = None) -> dict[str, Any]:
    """A case's face and story, as plain values: as of `now`, or of the last that it has seen."""
    async with pool.acquire() as connection:
        row = await connection.fetchrow(
            """select k.*, l.currency, p.time_zone, p.jurisdiction, p.language from collection_case k
               join loan l on l.id = k.loan_id join person p on p.id = k.person_id where k.id = $1""",
            case_id,
        )
        if row is None:
            raise refuse(f"no case {case_id}")
        money = await read_money(connection, row["loan_id"])
        entries = await journal_of(connection, case_id)
    zone: tzinfo = ZoneInfo(row["time_zone"]) if row["time_zone"] else UTC
    there = position(money, (now or row["last_at"] or datetime.now(UTC)).astimezone(zone).date())
    currency = row["currency"]
    return {
        "case": str(case_id),
        "workflow": f"case-{case_id}",
        "loan": row["loan_id"],
        "person": row["person_id"],
        "jurisdiction": row["jurisdiction"],
        "time_zone": row["time_zone"],
        "stage": row["stage"],
        "ending": row["ending"],
        "path": row["segment"],
        "holds": list(row["holds"]),
        "needs_attention": row["attention"],
        "on": there.on,
        "days_past_due": there.dpd,
        "outstanding": say(there.outstanding, currency),
        "past_due": say(there.past_due, currency),
        "credit": say(there.credit, currency),
        "next": None if row["next_due"] is None else {"due": row["next_due"], "why": row["next_reason"]},
        "story": [
            {
                "at": e["at"].astimezone(zone),
                "kind": e["kind"],
                "says": tell(ev.decode(e["kind"], json.loads(e["bytes"])["body"]), currency, zone),
                "run": e["run_id"],
            }
            for e in entries
            if e["kind"] not in _SAID_ELSEWHERE
        ],
    }


def print_case(told: dict[str, Any], to: Console = console) -> None:
    """The face and the story of a case, as text."""
    to.print(f"[bold]Loan {told['loan']}[/]  person {told['person']}  {told['jurisdiction']} ({told['time_zone']})")
    to.print(f"workflow {told['workflow']}")
    standing = plain(told["stage"]) + (f", {plain(told['ending'])}" if told["ending"] else "")
    to.print(
        f"[bold]{standing}[/]: {told['days_past_due']} days past due, {told['past_due']} past due "
        f"of {told['outstanding']} owed" + (f", {told['path']} path" if told["path"] else "")
    )
    if told["holds"]:
        to.print(f"held: {', '.join(plain(h) for h in told['holds'])}")
    if told["needs_attention"]:
        to.print(f"[bold red]needs a person:[/] {plain(told['needs_attention'])}")
    day = None
    for line in told["story"]:
        on = f"{line['at']:%a %d %b %Y}"
        shown = on if on != day else " " * len(on)
        day = on
        to.print(f"{shown}  {line['at']:%H:%M}  {line['says']}", markup=False)
    if told["next"]:
        due = told["next"]["due"].astimezone(ZoneInfo(told["time_zone"]) if told["time_zone"] else UTC)
        to.print(f"[bold]next[/] {due:%a %d %b %Y %H:%M}: {told['next']['why']}")


def list_(
    stage: Annotated[str | None, typer.Option(help="only this stage, such as negotiation")] = None,
    hold: Annotated[str | None, typer.Option(help="only cases with this hold, such as dispute")] = None,
    attention: Annotated[bool, typer.Option("--attention", help="only cases that need a person")] = False,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="rows at most")] = 200,
    as_json: AsJson = False,
) -> None:
    """List cases by stage, hold or attention; the next due first."""
    for what, value, known in (("stage", stage, STAGES), ("hold", hold, HOLDS)):
        if value is not None and value not in known:
            raise refuse(f"no {what} {value!r}: use one of {', '.join(known)}")

    async def work(there: House) -> list[asyncpg.Record]:
        async with there.pool.acquire() as connection:
            return list(await list_cases(connection, stage, hold, attention, most))

    _rows(_with_house(work), as_json)


def late(
    hours: Annotated[float, typer.Option(min=0, help="how many hours late at least")] = 1.0, as_json: AsJson = False
) -> None:
    """List cases whose next step is overdue: a worker or a server may be down. Exit status 1 if there are any."""

    async def work(there: House) -> list[asyncpg.Record]:
        async with there.pool.acquire() as connection:
            return list(await late_cases(connection, await there.now() - timedelta(hours=hours)))

    rows = _with_house(work)
    _rows(rows, as_json)
    if rows:
        raise typer.Exit(1)


def export(out: Annotated[Path, typer.Argument(help="file to write, JSON lines")]) -> None:
    """Write every journal to a file that `verify --file` can check without a database."""

    async def work(there: House) -> int:
        count = 0
        with out.open("w", encoding="utf-8") as file:
            async with there.pool.acquire() as connection, connection.transaction():
                async for r in connection.cursor("select case_id, number, bytes, hash from journal order by 1, 2"):
                    line = {"case": str(r["case_id"]), "number": r["number"], "line": r["bytes"].decode(),
                            "hash": r["hash"].hex()}  # fmt: skip
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    count += 1
        return count

    typer.echo(f"{_with_house(work)} journal entries in {out}")


def verify(
    file: Annotated[Path | None, typer.Option(help="an export, instead of the database")] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no journal was changed: each entry's hash covers its bytes and the entry before. Exit status 1 if broken."""
    if file is not None:
        lines = _exported(file)
    else:

        async def work(there: House) -> list[tuple[str, int, bytes, bytes]]:
            async with there.pool.acquire() as connection:
                rows = await connection.fetch("select case_id, number, bytes, hash from journal order by 1, 2")
                return [(str(r[0]), r[1], bytes(r[2]), bytes(r[3])) for r in rows]

        lines = _with_house(work)
    chains: dict[str, list[tuple[int, bytes, bytes]]] = {}
    for case, number, kept, stored in lines:
        chains.setdefault(case, []).append((number, kept, stored))
    broken = [b for case, chain in chains.items() if (b := journal.verify(case, chain)) is not None]
    if as_json:
        found = [{"case": b.case_id, "number": b.number, "why": b.why} for b in broken]
        typer.echo(json.dumps({"cases": len(chains), "entries": len(lines), "broken": found}))
    else:
        for b in broken:
            typer.secho(f"case {b.case_id}, entry {b.number}: {b.why}", fg=typer.colors.RED)
        typer.echo(f"{len(chains)} cases, {len(lines)} entries: {len(broken) or 'no'} broken")
    if broken:
        raise typer.Exit(1)


def _exported(file: Path) -> list[tuple[str, int, bytes, bytes]]:
    found = []
    try:
        lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as e:
        raise refuse(f"{file} cannot be read ({e.strerror}): name a file that `export` wrote") from e
    for n, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            found.append((str(line["case"]), int(line["number"]), line["line"].encode(), bytes.fromhex(line["hash"])))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise refuse(f"{file}, line {n}: is no line of an export ({e}): it was changed, or export it again") from e
    return found


def _with_house(work: Any) -> Any:
    async def within() -> Any:
        async with house() as there:
            return await work(there)

    return run(within())


def _rows(rows: list[asyncpg.Record], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([dict(r) for r in rows], default=str, indent=1))
        return
    if not rows:
        typer.echo("none")
        return
    table = Table(box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(plain(column))
    for r in rows:
        table.add_row(*[_cell(v) for v in r.values()])
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
