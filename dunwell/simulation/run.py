"""A whole portfolio in memory: person after person, each through their time."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dunwell.domain import events as ev
from dunwell.domain.portfolio import PersonFile, Portfolio
from dunwell.domain.strategy import Book
from dunwell.simulation.outputs import Entry, LoanStory, Tables
from dunwell.simulation.world import PersonsWorld


@dataclass(slots=True)
class Summary:
    """What a simulation came to. `steps` counts both ends of a step that made a contact."""

    people: int = 0
    loans: int = 0
    steps: int = 0
    episodes: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    contacts: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)


def simulate(portfolio: Portfolio, book: Book, out: Path, starts_on: date | None = None) -> Summary:
    """Live the portfolio up to its last business date, and write the four files of a replay into `out`."""
    tables, summary = Tables(portfolio.as_of), Summary()
    for person in portfolio.people():
        world = live(person, book, starts_on, portfolio.as_of)
        summary.people += 1
        summary.steps += world.steps
        for loan_id, money in world.money.items():
            journal = [Entry(at, event) for at, event in world.journals.get(loan_id, ())]
            tables.add(LoanStory(money, journal, zone=person.zone))
            _count(summary, journal)
        for case in world.cases.values():
            summary.stages[case.stage] += 1
    tables.write(out)
    return summary


def live(person: PersonFile, book: Book, starts_on: date | None, ends_on: date) -> PersonsWorld:
    """One person's life up to and including `ends_on`; from the beginning of anything unless a day is given."""
    first = starts_on or person.starts_on or ends_on
    world = PersonsWorld(person, book, min(first, ends_on), ends_on)
    world.live()
    return world


def _count(summary: Summary, journal: list[Entry]) -> None:
    summary.loans += 1
    for entry in journal:
        match entry.event:
            case ev.EpisodeOpened():
                summary.episodes += 1
            case ev.ContactMade(channel=channel):
                summary.contacts[channel] += 1
            case ev.ContactWithheld(code=code):
                summary.withheld[code] += 1
            case ev.EpisodeClosed(ending=ending, opened_on=date()):
                summary.endings[ending] += 1
