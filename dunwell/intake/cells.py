"""What a cell of a portfolio file may hold. Each reader gives the value, or says what is wrong with it and what would do."""

import re
import sys
from collections.abc import Collection, Mapping
from datetime import date
from functools import cache, lru_cache
from zoneinfo import available_timezones

from dunwell.domain.money import AmountError, exponent, parse_amount

EVENT_KINDS = ("dispute_opened", "dispute_resolved")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")
_YEARS = range(1900, 2200)

Cells = Mapping[str, str]


class BadCell(ValueError):
    """A cell that cannot be taken: its column, its value, the problem and the remedy."""

    def __init__(self, column: str, value: str, problem: str, remedy: str) -> None:
        super().__init__(f"{column} {value!r}: {problem}: {remedy}")
        self.column, self.value, self.problem, self.remedy = column, value, problem, remedy


def identifier(row: Cells, column: str) -> str:
    """Any text of 1 to 200 characters without spaces around it."""
    value = row[column]
    if not value or len(value) > 200 or value != value.strip() or not value.isprintable():
        raise BadCell(column, value, "is no id", "give 1 to 200 printable characters without spaces around them")
    return sys.intern(value)


def day(row: Cells, column: str) -> date:
    """A business date."""
    found = _day(row[column])
    if found is None:
        raise BadCell(column, row[column], "is no date", "write it as 2025-03-12")
    return found


@lru_cache(maxsize=50_000)
def _day(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year in _YEARS else None


def amount(row: Cells, column: str, currency: str) -> int:
    """Minor units above zero."""
    value = row[column]
    try:
        found = parse_amount(value, currency)
    except AmountError as e:
        problem, _, remedy = str(e).partition(": ")
        raise BadCell(column, value, problem, remedy) from None
    if found == 0:
        raise BadCell(column, value, "zero is no amount", "leave the row out, or correct the amount")
    return found


def whole_number(row: Cells, column: str) -> int:
    """1, 2, 3 and so on."""
    value = row[column]
    if not re.fullmatch(r"[1-9][0-9]{0,6}", value):
        raise BadCell(column, value, "is no number of an instalment", "count instalments from 1")
    return int(value)


def currency(row: Cells, column: str) -> str:
    """An ISO 4217 code."""
    value = row[column]
    try:
        exponent(value)
    except AmountError as e:
        problem, _, remedy = str(e).partition(": ")
        raise BadCell(column, value, problem, remedy) from None
    return sys.intern(value)


def time_zone(row: Cells, column: str) -> str | None:
    """An IANA zone; None when empty: then nobody is contacted, for no hour is known to be lawful."""
    value = row[column]
    if not value:
        return None
    if value not in _zones():
        raise BadCell(column, value, "is no time zone", "use its IANA name, such as Europe/London, or leave it empty")
    return sys.intern(value)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def language(row: Cells, column: str) -> str:
    """A BCP 47 tag."""
    return _matching(row, column, _LANGUAGE, "is no language", "use its BCP 47 tag, such as en or pt-BR")


def jurisdiction(row: Cells, column: str) -> str:
    """An ISO 3166-1 country, or an ISO 3166-2 part of one."""
    return _matching(row, column, _JURISDICTION, "is no jurisdiction", "use its ISO 3166 code, such as GB or US-NY")


def phone(row: Cells, column: str) -> str:
    """E.164, or empty."""
    return _matching(
        row, column, _PHONE, "is no phone number", "write it as +447700900123, or leave it empty", empty=True
    )


def email(row: Cells, column: str) -> str:
    """An address, or empty."""
    return _matching(row, column, _EMAIL, "is no e-mail address", "write one address, or leave it empty", empty=True)


def one_of(row: Cells, column: str, allowed: Collection[str]) -> str:
    """One of some codes."""
    value = row[column]
    if value not in allowed:
        raise BadCell(column, value, "is not known", f"use one of {', '.join(sorted(allowed))}")
    return sys.intern(value)


def _matching(
    row: Cells, column: str, shape: re.Pattern[str], problem: str, remedy: str, *, empty: bool = False
) -> str:
    value = row[column]
    if not (empty and not value) and not shape.fullmatch(value):
        raise BadCell(column, value, problem, remedy)
    return sys.intern(value)
