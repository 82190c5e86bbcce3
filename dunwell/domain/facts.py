"""The facts a decision rests on, and the changes a case may ask of the streams that hold them."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from dunwell.domain.codes import Channel, HoldKind
from dunwell.domain.ledger import Credit, Instalment, LoanMoney, Position, position
from dunwell.domain.person import Hold, Person
from dunwell.domain.strategy import Book


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """To the person's stream: stop."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class LiftHold:
    """To the person's stream: the open holds of this kind end."""

    kind: HoldKind
    loan_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class LosePoint:
    """To the person's stream: this channel's contact point does not work."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class PostCredit:
    """To the ledger: money in, or a relief booked; once for each (source, id)."""

    credit: Credit


@dataclass(frozen=True, slots=True)
class ReverseCredit:
    """To the ledger: a booking was wrong."""

    source: str
    payment_id: str
    reversal_id: str
    on: date


@dataclass(frozen=True, slots=True)
class Reschedule:
    """To the ledger: new instalments from a date on, for what is unpaid then."""

    on: date
    instalments: tuple[Instalment, ...]


Write = PlaceHold | LiftHold | LosePoint | PostCredit | ReverseCredit | Reschedule


@dataclass(frozen=True, slots=True)
class Facts:
    """One loan's money, its person, and the book of rules in force."""

    money: LoanMoney
    person: Person
    book: Book

    def today(self, now: datetime) -> date:
        """The business date where the person lives."""
        return self.person.today(now)

    def position(self, on: date) -> Position:
        """The loan at the end of a business date."""
        return position(self.money, on)

    def after(self, write: Write) -> "Facts":
        """The facts once a write is done. Writing the same thing twice changes nothing more."""
        match write:
            case PlaceHold(hold):
                return replace(self, person=self.person.placed(hold))
            case LiftHold(kind, loan_id, at):
                return replace(self, person=self.person.lifted(kind, loan_id, at))
            case LosePoint(channel):
                return replace(self, person=self.person.without(channel))
            case PostCredit(credit):
                known = {(c.source, c.id) for c in self.money.credits}
                if (credit.source, credit.id) in known:
                    return self
                return replace(self, money=self.money.credited(credit))
            case ReverseCredit(source, payment_id, _, on):
                return replace(self, money=self.money.reversed(source, payment_id, on))
            case Reschedule(on, instalments):
                return replace(self, money=self.money.rescheduled(on, instalments))
