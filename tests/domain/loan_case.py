"""One loan's case in memory, worked at the instants of a test, with the book we ship."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TypeVar

from dunwell.catalogue import load_book
from dunwell.domain.case import CaseState
from dunwell.domain.codes import StepKind
from dunwell.domain.events import Event
from dunwell.domain.facts import Facts, Write
from dunwell.domain.ledger import Instalment, LoanMoney, Schedule
from dunwell.domain.messages import NAMES, Message, to_json
from dunwell.domain.person import Person
from dunwell.domain.step import Said, Worked, begin

BOOK = load_book(Path(__file__).parents[2])
PERSON = Person("C1", "UTC", "en", "GB", frozenset({"sms", "email", "voice", "letter"}))
E = TypeVar("E", bound=Event)


def noon(day: date) -> datetime:
    """Within the hours of every channel, for somebody who lives by UTC."""
    return datetime.combine(day, time(12), UTC)


def owes(*dues: tuple[date, int]) -> LoanMoney:
    """A loan with these instalments: due date, minor units."""
    instalments = tuple(Instalment(number, on, amount) for number, (on, amount) in enumerate(dues, 1))
    return LoanMoney("L1", "EUR", (Schedule(dues[0][0], instalments),))


@dataclass
class LoanCase:
    """What the store does around a step, without a store."""

    facts: Facts
    state: CaseState = field(default_factory=lambda: CaseState("K1", "L1", "C1"))
    told: list[Event] = field(default_factory=list)
    heard: int = 0

    @classmethod
    def of(cls, money: LoanMoney, person: Person = PERSON) -> "LoanCase":
        return cls(Facts(money, person, BOOK))

    def work(self, kind: StepKind, at: datetime, *messages: Message) -> Worked:
        """One step; a contact that it intends stays intended."""
        worked = begin(self.state, self.facts, at, kind, [self._said(m) for m in messages])
        assert worked.facts is not None
        self.facts = worked.facts
        self.told += worked.events
        return worked

    def hear(self, at: datetime, *messages: Message) -> Worked:
        return self.work("absorb", at, *messages)

    def happens(self, write: Write) -> None:
        """Money or a hold, booked without a word to the case."""
        self.facts = self.facts.after(write)

    def events(self, kind: type[E]) -> Sequence[E]:
        return [e for e in self.told if isinstance(e, kind)]

    def twin(self) -> "LoanCase":
        """The same case, to be led another way."""
        return replace(self, state=deepcopy(self.state), told=list(self.told))

    def _said(self, message: Message) -> Said:
        name = next(name for name, kind in NAMES.items() if isinstance(message, kind))
        self.heard += 1
        return Said(f"M{self.heard}", name, to_json(message).encode())
