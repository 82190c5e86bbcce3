"""A portfolio as it is handed over: who owes what, what was paid, and what people do in a simulation."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo

from dunwell.domain.behaviour import Behaviour
from dunwell.domain.codes import Channel
from dunwell.domain.ledger import Instalment, LoanMoney, Schedule
from dunwell.domain.person import Person

# A person's time begins before anything is due, so that a reminder before the first due date has its day.
_BEFORE_ANYTHING = timedelta(days=32)


@dataclass(frozen=True, slots=True)
class Customer:
    """The human behind loans. `time_zone` None: not known. Phone and e-mail may be empty."""

    customer_id: str
    name: str
    language: str
    jurisdiction: str
    time_zone: str | None
    phone: str
    email: str

    @property
    def usable(self) -> frozenset[Channel]:
        """The channels by which they can be reached. A letter always finds its way at first."""
        found: set[Channel] = {"letter"}
        if self.phone:
            found |= {"sms", "voice"}
        if self.email:
            found.add("email")
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class LoanFile:
    """One loan with its instalments; amounts in minor units of `currency`."""

    loan_id: str
    customer_id: str
    product: str
    currency: str
    instalments: tuple[Instalment, ...]


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """Money that came in, in the order of arrival. Amount in minor units of the loan's currency."""

    payment_id: str
    loan_id: str
    value_date: date
    amount: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something a system upstream reports: a dispute opened, or resolved."""

    event_id: str
    loan_id: str
    on: date
    kind: str


@dataclass(frozen=True, slots=True)
class PersonFile:
    """All of the portfolio that concerns one person."""

    customer: Customer
    loans: tuple[LoanFile, ...]
    payments: tuple[PaymentRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    behaviour: Behaviour = field(default_factory=Behaviour)

    @property
    def zone(self) -> tzinfo:
        """Where their business dates are counted: UTC while the zone is not known."""
        return self.person().zone or UTC

    @property
    def starts_on(self) -> date | None:
        """A date before anything of theirs can happen; None when nothing ever does."""
        days = [i.due_on for loan in self.loans for i in loan.instalments]
        days += [p.value_date for p in self.payments]
        days += [e.on for e in self.events]
        days += [a.at.date() for a in self.behaviour.acts]
        return min(days) - _BEFORE_ANYTHING if days else None

    def person(self) -> Person:
        """What the domain may know of them."""
        who = self.customer
        return Person(who.customer_id, who.time_zone, who.language, who.jurisdiction, who.usable)

    def money(self) -> dict[str, LoanMoney]:
        """Each loan before anything was paid."""
        return {loan.loan_id: money_of(loan) for loan in self.loans}


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Everything of a portfolio folder that could be taken. `as_of` is its last business date."""

    customers: dict[str, Customer]
    loans: dict[str, LoanFile]
    payments: tuple[PaymentRow, ...]
    events: tuple[EventRow, ...]
    script: dict[str, Behaviour]
    as_of: date

    def people(self) -> Iterator[PersonFile]:
        """One file for each person with a loan, in the order of their ids."""
        loans: dict[str, list[LoanFile]] = defaultdict(list)
        for loan in self.loans.values():
            loans[loan.customer_id].append(loan)
        owner = {loan.loan_id: loan.customer_id for loan in self.loans.values()}
        payments: dict[str, list[PaymentRow]] = defaultdict(list)
        for payment in self.payments:
            payments[owner[payment.loan_id]].append(payment)
        events: dict[str, list[EventRow]] = defaultdict(list)
        for event in self.events:
            events[owner[event.loan_id]].append(event)
        for customer_id in sorted(loans):
            yield PersonFile(
                self.customers[customer_id],
                tuple(sorted(loans[customer_id], key=lambda loan: loan.loan_id)),
                tuple(payments[customer_id]),
                tuple(events[customer_id]),
                self.script.get(customer_id, Behaviour()),
            )


def money_of(loan: LoanFile) -> LoanMoney:
    """A loan before anything was paid; its schedule is in force from the first due date on."""
    first = min((i.due_on for i in loan.instalments), default=date.min)
    return LoanMoney(loan.loan_id, loan.currency, (Schedule(first, loan.instalments),))
