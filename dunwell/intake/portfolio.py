"""Reads a portfolio folder. Every row is taken, is a repetition, or is reported; a file that is not what it says is refused.

What becomes of rows that hang on others: a loan of a customer that was rejected is rejected too, and so are the instalments,
payments and events of a loan that was: each is one row of `rejected.csv` with that reason. An instalment that was rejected takes
nothing with it: the loan is worked without it, so never too much is asked for.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml

from dunwell.domain.behaviour import Behaviour, ScriptError, read_behaviour
from dunwell.domain.ledger import Instalment
from dunwell.domain.portfolio import Customer, EventRow, LoanFile, PaymentRow, Portfolio
from dunwell.intake import cells
from dunwell.intake.cells import BadCell

COLUMNS: dict[str, tuple[str, ...]] = {
    "customers.csv": ("customer_id", "name", "language", "jurisdiction", "time_zone", "phone", "email"),
    "loans.csv": ("loan_id", "customer_id", "product", "currency"),
    "instalments.csv": ("loan_id", "number", "due_on", "amount"),
    "payments.csv": ("payment_id", "loan_id", "value_date", "amount"),
    "events.csv": ("event_id", "loan_id", "on", "kind"),
}
_OPTIONAL = frozenset({"events.csv"})

T = TypeVar("T")


class PortfolioRefused(ValueError):
    """A file is not what it has to be: nothing was taken. Names the file, the problem and the remedy."""

    def __init__(self, file: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {problem}: {remedy}")
        self.file, self.problem, self.remedy = file, problem, remedy


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not taken. `line` counts from 1, the header; `column` is empty when the whole row is meant."""

    file: str
    line: int
    column: str
    value: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: dict[str, str]


class _Folder:
    """One reading of a folder: what was taken, and what was not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rejected: list[Rejected] = []
        self.customers: dict[str, Customer] = {}
        self.loans: dict[str, LoanFile] = {}
        # What was rejected, and on which line: whoever refers to it is told.
        self.lost_customers: dict[str, int] = {}
        self.lost_loans: dict[str, int] = {}

    def read(self) -> Portfolio:
        as_of = _as_of(self.root)
        self._take_customers()
        self._take_loans()
        self._take_instalments()
        payments = self._take("payments.csv", self._payment, lambda p: p.payment_id)
        events = self._take("events.csv", self._event, lambda e: e.event_id)
        return Portfolio(
            self.customers,
            self.loans,
            tuple(payments.values()),
            tuple(events.values()),
            _script(self.root, self.loans),
            as_of,
        )

    def _take(
        self, file: str, read: Callable[[_Row], T], key: Callable[[T], Any], lost: dict[str, int] | None = None
    ) -> dict[Any, T]:
        """All rows of a file by their id. A repetition is ignored, the same id with other content rejected."""
        known: dict[Any, T] = {}
        lines: dict[Any, int] = {}
        for row in self._rows(file):
            try:
                found = read(row)
            except BadCell as e:
                self._reject(file, row, e)
                if lost is not None:
                    lost.setdefault(row.cells[COLUMNS[file][0]], row.line)
                continue
            id = key(found)
            if id not in known:
                known[id], lines[id] = found, row.line
            elif known[id] != found:
                column = COLUMNS[file][0 if not isinstance(id, tuple) else 1]
                self._reject(
                    file,
                    row,
                    BadCell(
                        column, row.cells[column], f"known from line {lines[id]} with other content",
                        "give each its own id, or send the same row again",
                    ),
                )  # fmt: skip
        return known

    def _take_customers(self) -> None:
        self.customers = self._take("customers.csv", _customer, lambda c: c.customer_id, self.lost_customers)
        for id in self.customers:
            self.lost_customers.pop(id, None)

    def _take_loans(self) -> None:
        self.loans = self._take("loans.csv", self._loan, lambda loan: loan.loan_id, self.lost_loans)
        for id in self.loans:
            self.lost_loans.pop(id, None)

    def _take_instalments(self) -> None:
        taken = self._take("instalments.csv", self._instalment, lambda i: (i[0], i[1].number))
        by_loan: dict[str, list[Instalment]] = {}
        for loan_id, instalment in taken.values():
            by_loan.setdefault(loan_id, []).append(instalment)
        for loan_id, instalments in by_loan.items():
            ordered = tuple(sorted(instalments, key=lambda i: (i.due_on, i.number)))
            self.loans[loan_id] = replace(self.loans[loan_id], instalments=ordered)

    def _loan(self, row: _Row) -> LoanFile:
        customer_id = cells.identifier(row.cells, "customer_id")
        if customer_id not in self.customers:
            raise _unknown("customer", "customer_id", customer_id, "customers.csv", self.lost_customers)
        return LoanFile(
            cells.identifier(row.cells, "loan_id"),
            self.customers[customer_id].customer_id,
            cells.identifier(row.cells, "product"),
            cells.currency(row.cells, "currency"),
            (),
        )

    def _instalment(self, row: _Row) -> tuple[str, Instalment]:
        loan = self._loan_of(row)
        number = cells.whole_number(row.cells, "number")
        due_on = cells.day(row.cells, "due_on")
        return loan.loan_id, Instalment(number, due_on, cells.amount(row.cells, "amount", loan.currency))

    def _payment(self, row: _Row) -> PaymentRow:
        payment_id, loan = cells.identifier(row.cells, "payment_id"), self._loan_of(row)
        value_date = cells.day(row.cells, "value_date")
        return PaymentRow(payment_id, loan.loan_id, value_date, cells.amount(row.cells, "amount", loan.currency))

    def _event(self, row: _Row) -> EventRow:
        event_id, loan = cells.identifier(row.cells, "event_id"), self._loan_of(row)
        on = cells.day(row.cells, "on")
        return EventRow(event_id, loan.loan_id, on, cells.one_of(row.cells, "kind", cells.EVENT_KINDS))

    def _loan_of(self, row: _Row) -> LoanFile:
        loan_id = cells.identifier(row.cells, "loan_id")
        if loan_id not in self.loans:
            raise _unknown("loan", "loan_id", loan_id, "loans.csv", self.lost_loans)
        return self.loans[loan_id]

    def _reject(self, file: str, row: _Row, bad: BadCell) -> None:
        self.rejected.append(Rejected(file, row.line, bad.column, bad.value, bad.problem, bad.remedy))

    def _rows(self, file: str) -> Iterator[_Row]:
        """The rows of a file, each by its columns; a row of another width is rejected."""
        path = self.root / file
        if not path.exists():
            if file in _OPTIONAL:
                return
            raise PortfolioRefused(
                file, f"is missing in {self.root}", f"add it with the columns {', '.join(COLUMNS[file])}"
            )
        before = 0
        try:
            with path.open(encoding="utf-8-sig", newline="") as text:
                lines = csv.reader(text, strict=True)
                header = _header(file, next(lines, []))
                before = lines.line_num
                for values in lines:
                    line, before = before + 1, lines.line_num
                    if len(values) == len(header):
                        yield _Row(line, dict(zip(header, values, strict=True)))
                    elif values:
                        self.rejected.append(
                            Rejected(
                                file, line, "", ",".join(values), f"{len(values)} values under {len(header)} columns",
                                "give each column a value; quote one that holds a comma",
                            )
                        )  # fmt: skip
        except UnicodeDecodeError as e:
            raise PortfolioRefused(
                file, f"is not UTF-8 after line {before} (byte {e.object[e.start]:#04x})", "save it as UTF-8"
            ) from None
        except csv.Error as e:
            raise PortfolioRefused(
                file, f"is no CSV after line {before}: {e}", "close each quote; remove NUL bytes"
            ) from None


def read_portfolio(folder: Path) -> tuple[Portfolio, list[Rejected]]:
    """The portfolio in a folder, and its rows that were not taken.

    Raises: PortfolioRefused when a file is missing, is not UTF-8, or has not the columns it needs.
    """
    if not folder.is_dir():
        raise PortfolioRefused(str(folder), "is no folder", "name the folder that holds customers.csv")
    reading = _Folder(folder)
    return reading.read(), reading.rejected


def write_rejected(path: Path, rows: Iterable[Rejected]) -> None:
    """One line for each row that was not taken; a file with a header alone says that all were."""
    with path.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(f.name for f in fields(Rejected))
        lines.writerows(astuple(r) for r in rows)


def _customer(row: _Row) -> Customer:
    return Customer(
        cells.identifier(row.cells, "customer_id"),
        row.cells["name"],
        cells.language(row.cells, "language"),
        cells.jurisdiction(row.cells, "jurisdiction"),
        cells.time_zone(row.cells, "time_zone"),
        cells.phone(row.cells, "phone"),
        cells.email(row.cells, "email"),
    )


def _unknown(what: str, column: str, id: str, file: str, lost: dict[str, int]) -> BadCell:
    if id in lost:
        return BadCell(column, id, f"this {what} was rejected in line {lost[id]} of {file}", "mend that line first")
    return BadCell(column, id, f"no such {what}", f"add it to {file} or correct the id")


def _header(file: str, header: list[str]) -> list[str]:
    needed = COLUMNS[file]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise PortfolioRefused(file, f"has the column {', '.join(twice)} more than once", "keep one of them")
    missing = [name for name in needed if name not in header]
    if missing:
        raise PortfolioRefused(
            file, f"has no column {', '.join(missing)}", f"its first line has to name {', '.join(needed)}"
        )
    return header


def _as_of(root: Path) -> date:
    path = root / "as_of.txt"
    if not path.exists():
        raise PortfolioRefused("as_of.txt", f"is missing in {root}", "write the last business date into it")
    text = path.read_bytes().decode("utf-8", errors="replace").strip()
    try:
        return cells.day({"as_of": text}, "as_of")
    except BadCell as e:
        raise PortfolioRefused("as_of.txt", f"{text[:40]!r} {e.problem}", e.remedy) from None


def _script(root: Path, loans: dict[str, LoanFile]) -> dict[str, Behaviour]:
    """What people do, from the optional `script.yaml`."""
    path = root / "script.yaml"
    if not path.exists():
        return {}
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise PortfolioRefused("script.yaml", f"does not read: {e}", "write it as YAML in UTF-8") from None
    people = told.get("people") if isinstance(told, dict) else None
    if not isinstance(people, dict) or set(told) != {"people"}:
        raise PortfolioRefused("script.yaml", "does not begin with people", "write people: {customer_id: ...}")
    currencies: dict[str, dict[str, str]] = {}
    for loan in loans.values():
        currencies.setdefault(loan.customer_id, {})[loan.loan_id] = loan.currency
    try:
        return {str(id): _behaviour(str(id), told, currencies) for id, told in people.items()}
    except ScriptError as e:
        raise PortfolioRefused(f"script.yaml, {e.place}", e.problem, e.remedy) from None


def _behaviour(id: str, told: Any, currencies: dict[str, dict[str, str]]) -> Behaviour:
    if id not in currencies:
        raise ScriptError(f"people.{id}", "no customer of that id has a loan", "correct the id or add a loan")
    return read_behaviour(f"people.{id}", told, currencies[id])
