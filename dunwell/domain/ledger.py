"""What is owed on a loan, derived anew from its money facts; nothing here is remembered."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

CreditKind = Literal["payment", "settlement_discount", "write_off", "sale", "hand_over", "withdrawal"]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Instalment:
    """One due of a loan. `amount` in minor units, above zero."""

    number: int
    due_on: date
    amount: int


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that came in, or a relief that was booked. Counts from its value date."""

    source: str
    id: str
    value_date: date
    amount: int
    kind: CreditKind = "payment"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Instalments in force from a date on. `covered` minor units were used up by earlier ones."""

    from_on: date
    instalments: tuple[Instalment, ...]
    covered: int = 0

    def __post_init__(self) -> None:
        # Sorted once: money is laid against them in this order again and again.
        ordered = tuple(sorted(self.instalments, key=lambda i: (i.due_on, i.number)))
        object.__setattr__(self, "instalments", ordered)


@dataclass(frozen=True, slots=True)
class Position:
    """A loan on one business date. Amounts in minor units; `dpd` in days."""

    on: date
    outstanding: int
    past_due: int
    credit: int
    oldest_unpaid_due_on: date | None
    dpd: int
    next_due_on: date | None
    next_due_amount: int


@dataclass(frozen=True, slots=True)
class Episode:
    """A run of days with days past due of one or more; `ended_on` is None while it lasts."""

    opened_on: date
    ended_on: date | None
    worst_dpd: int


@dataclass(frozen=True, slots=True)
class LoanMoney:
    """All money facts of one loan. Reversed credits are not in it: they were never made."""

    loan_id: str
    currency: str
    schedules: tuple[Schedule, ...]
    credits: tuple[Credit, ...] = ()
    reversed_on: tuple[date, ...] = field(default=())

    def schedule(self, on: date) -> Schedule:
        """The schedule in force on a date; before the first one, the first."""
        in_force = [s for s in self.schedules if s.from_on <= on]
        return in_force[-1] if in_force else self.schedules[0]

    def paid(self, until: date) -> int:
        """Credits with a value date up to and including `until`."""
        return sum(c.amount for c in self.credits if c.value_date <= until)

    def credited(self, credit: Credit) -> "LoanMoney":
        """The same loan with one more credit."""
        return replace(self, credits=(*self.credits, credit))

    def reversed(self, source: str, id: str, on: date) -> "LoanMoney":
        """The same loan as if the payment had never been made (a wrong booking)."""
        kept = tuple(c for c in self.credits if (c.source, c.id) != (source, id))
        if len(kept) == len(self.credits):
            return self
        return replace(self, credits=kept, reversed_on=(*self.reversed_on, on))

    def rescheduled(self, on: date, instalments: tuple[Instalment, ...]) -> "LoanMoney":
        """The same debt under a new schedule from `on`; what was paid stays paid."""
        old_total = sum(i.amount for i in self.schedule(on).instalments)
        covered = self.schedule(on).covered + old_total - sum(i.amount for i in instalments)
        new = Schedule(on, instalments, covered)
        return replace(self, schedules=(*self.schedules, new))


def position(money: LoanMoney, on: date) -> Position:
    """The loan at the end of the day `on`: credits go to the oldest unpaid instalment first.

    Days past due are counted from the due date of the oldest instalment with anything unpaid;
    the due day itself is day 0.
    """
    schedule = money.schedule(on)
    left = money.paid(on) - schedule.covered
    outstanding = past_due = next_amount = 0
    oldest: date | None = None
    next_due: date | None = None
    dues = schedule.instalments
    if left < 0:
        # A payment that the earlier instalments had used up was reversed: it is owed again, first of all.
        dues, left = (Instalment(0, schedule.from_on, -left), *dues), 0
    for due in dues:
        if left >= due.amount:
            left -= due.amount
            continue
        unpaid, left = due.amount - left, 0
        outstanding += unpaid
        if oldest is None:
            oldest = due.due_on
        if due.due_on < on:
            past_due += unpaid
        elif next_due is None or next_due == due.due_on:
            next_due = due.due_on
            next_amount += unpaid
    dpd = max(0, (on - oldest).days) if oldest else 0
    return Position(on, outstanding, past_due, left, oldest, dpd, next_due, next_amount)


def episodes(money: LoanMoney, until: date, since: date | None = None) -> list[Episode]:
    """The late episodes of a loan up to and including `until`, oldest first.

    With `since` only the days from then on are looked at: a run that began earlier seems to begin there.
    """
    changes = _change_days(money, until, since)
    found: list[Episode] = []
    opened: date | None = None
    worst = 0
    for start, end in zip(changes, [*changes[1:], until + DAY], strict=True):
        there = position(money, start)
        if there.dpd == 0:
            if opened is not None:
                found.append(Episode(opened, start, worst))
                opened, worst = None, 0
            continue
        if opened is None:
            opened = start
        worst = max(worst, there.dpd + (end - DAY - start).days)
    if opened is not None:
        found.append(Episode(opened, None, worst))
    return found


def next_late_day(money: LoanMoney, after: date) -> date | None:
    """The first day after `after` with a day past due, if no further money comes in."""
    for start, end, there in ahead(money, after + DAY):
        oldest = there.oldest_unpaid_due_on
        if oldest is not None:
            late = max(start, oldest + DAY)
            if end is None or late < end:
                return late
    return None


def ahead(money: LoanMoney, start: date) -> Iterator[tuple[date, date | None, Position]]:
    """Spans of days from `start` on in which what is paid does not change, as far as is known.

    Each with its first day, the day after its last (None: open), and the loan on its first day.
    """
    days = {c.value_date for c in money.credits} | {s.from_on for s in money.schedules}
    starts = [start, *sorted(d for d in days if d > start)]
    for first, end in zip(starts, [*starts[1:], None], strict=True):
        yield first, end, position(money, first)


def _change_days(money: LoanMoney, until: date, since: date | None) -> list[date]:
    """The days on which lateness can begin, end, or change its oldest instalment."""
    days = {i.due_on + DAY for s in money.schedules for i in s.instalments}
    days |= {c.value_date for c in money.credits}
    days |= {d for s in money.schedules for d in (s.from_on, s.from_on + DAY)}
    if since is not None:
        days = {d for d in days if d > since} | {since}
    return sorted(d for d in days if d <= until) or [until]
