"""A case while it is being worked: its state, and what is being told of it right now."""

from dataclasses import dataclass, field
from datetime import date, datetime

from dunwell.domain import events as ev
from dunwell.domain.case import CaseState, apply
from dunwell.domain.facts import Facts, Write
from dunwell.domain.ledger import LoanMoney, Position
from dunwell.domain.messages import Answer


@dataclass(slots=True)
class Story:
    """Collects events and writes in order; each event changes the state at once.

    `now` is UTC; what is planned from it uses the whole minute.
    """

    state: CaseState
    facts: Facts
    now: datetime
    told: list[ev.Event] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    _today: date | None = field(default=None, init=False)
    _seen: tuple[LoanMoney, Position] | None = field(default=None, init=False)

    @property
    def minute(self) -> datetime:
        """Now, to the whole minute: so a case decides alike a second earlier or later."""
        return self.now.replace(second=0, microsecond=0)

    @property
    def today(self) -> date:
        """The business date where the person lives."""
        if self._today is None:
            self._today = self.facts.today(self.now)
        return self._today

    @property
    def position(self) -> Position:
        """What is owed today."""
        if self._seen is None or self._seen[0] is not self.facts.money:
            self._seen = self.facts.money, self.facts.position(self.today)
        return self._seen[1]

    def tell(self, event: ev.Event) -> None:
        """It happened: into the journal and the state."""
        apply(self.state, event, self.now)
        self.told.append(event)

    def write(self, write: Write) -> None:
        """Ask the ledger's or the person's stream for a change; seen here from now on."""
        self.writes.append(write)
        self.facts = self.facts.after(write)

    def answer(self, id: str, accepted: bool, says: str) -> None:
        """Tell the sender who waits what became of the message."""
        self.answers.append(Answer(id=id, accepted=accepted, says=says))
