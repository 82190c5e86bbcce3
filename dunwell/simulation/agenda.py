"""What comes when in one person's life. Without I/O: the simulation lives by it, and so may a driver of the real engine."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dunwell.domain.behaviour import SOURCE, Deed, Utterance, speak
from dunwell.domain.case import CaseState
from dunwell.domain.events import Event
from dunwell.domain.ledger import LoanMoney
from dunwell.domain.messages import HoldLifted, HoldPlaced, LookAgain, Message, PaymentReceived, to_json
from dunwell.domain.portfolio import EventRow, PaymentRow, PersonFile

PAYMENTS_AT = time(5, 0)
EVENTS_AT = time(5, 10)
SWEEP_AT = time(6, 0)
FINAL_LOOK_AT = time(23, 0)


@dataclass(frozen=True, slots=True)
class FinalLook:
    """The last business date is over: each open case looks once more, so that its journal holds where it ends."""


@dataclass(frozen=True, slots=True)
class ComingAct:
    """Something that happens to one loan at an instant (UTC). `contact`: the number of the contact it reacts to."""

    at: datetime
    id: str
    loan_id: str
    deed: Deed | PaymentRow | EventRow | FinalLook
    contact: int | None = None


class Agenda:
    """One person's coming acts, in order. Give the instants of `next_at` to `take`, each once, in their order.

    `zone` is the person's, UTC while it is not known; nothing comes before `starts_on`, or after `ends_at`, the instant of
    the final look on `ends_on`.
    """

    def __init__(self, person: PersonFile, zone: tzinfo, starts_on: date, ends_on: date) -> None:
        self.starts_on, self.ends_on = starts_on, ends_on
        self._zone = zone
        self._sweeps: dict[date, datetime] = {}
        self.ends_at = self._instant(ends_on, FINAL_LOOK_AT)
        self._behaviour = person.behaviour
        self._owner = person.customer.customer_id
        self._matches = [0] * len(person.behaviour.reactions)
        self._currencies = {loan.loan_id: loan.currency for loan in person.loans}
        # The order of entry settles what comes first in the same minute.
        self._coming = [(act.at, n, act) for n, act in enumerate(self._known(person))]
        heapq.heapify(self._coming)
        self._entered = len(self._coming)

    def next_at(self, dues: Mapping[str, datetime | None], openings: Mapping[str, date | None]) -> datetime | None:
        """The next instant at which anything happens; None when the time is over.

        `dues`: when each open case's next step is due. `openings`: the day on which the sweep opens a case for a loan
        that has none open.
        """
        found = [due for due in dues.values() if due is not None]
        found += [self.sweep_at(day) for day in openings.values() if day is not None]
        if self._coming:
            found.append(self._coming[0][0])
        first = min(found, default=None)
        return first if first is not None and first <= self.ends_at else None

    def take(self, at: datetime) -> list[ComingAct]:
        """The acts of an instant and of all before it, in order; they are not given again."""
        taken = []
        while self._coming and self._coming[0][0] <= at:
            taken.append(heapq.heappop(self._coming)[2])
        return taken

    def react(self, loan_id: str, events: Iterable[Event], at: datetime) -> None:
        """Let the person react, later, to what was just written into a loan's journal."""
        reactions = self._behaviour.reactions
        if not reactions:
            return
        for event in events:
            for k, reaction in enumerate(reactions):
                if not reaction.trigger.matches(loan_id, event):
                    continue
                self._matches[k] += 1
                if reaction.trigger.nth in (None, self._matches[k]):
                    name = f"script/{self._owner}/reactions/{k + 1}/{self._matches[k]}"
                    when = _minute(at) + reaction.trigger.delay
                    contact = getattr(event, "number", None) if event.kind.startswith("contact_") else None
                    self._enter(ComingAct(when, name, loan_id, reaction.deed, contact))

    def said(self, act: ComingAct, money: LoanMoney, state: CaseState | None) -> Utterance | None:
        """The message that an act is, as the loan stands then; None when there is nothing to pay or promise."""
        match act.deed:
            case PaymentRow() as paid:
                return _utter(
                    act.id,
                    "payment_received",
                    PaymentReceived(
                        source=SOURCE,
                        payment_id=paid.payment_id,
                        value_date=paid.value_date,
                        amount=paid.amount,
                        currency=self._currencies[paid.loan_id],
                    ),
                )
            case EventRow(kind="dispute_opened"):
                return _utter(act.id, "hold_placed", HoldPlaced(hold="dispute", loan_only=True))
            case EventRow(kind="dispute_resolved"):
                return _utter(act.id, "hold_lifted", HoldLifted(hold="dispute", loan_only=True))
            case EventRow(kind=kind):
                raise ValueError(f"event {act.id} is of the unknown kind {kind!r}")
            case FinalLook():
                return _utter(act.id, "look_again", LookAgain())
            case deed:
                return speak(deed, act.id, money, state, self.day_of(act.at), act.contact)

    def sweep_at(self, day: date) -> datetime:
        """When the sweep of a day looks at this person's loans."""
        found = self._sweeps.get(day)
        if found is None:
            found = self._sweeps[day] = self._instant(day, SWEEP_AT)
        return found

    def next_sweep_day(self, now: datetime) -> date:
        """The day of the first sweep at `now` or after it."""
        today = self.day_of(now)
        return today if now <= self.sweep_at(today) else today + timedelta(days=1)

    def day_of(self, at: datetime) -> date:
        """The person's business date at an instant."""
        return at.astimezone(self._zone).date()

    def _known(self, person: PersonFile) -> Iterator[ComingAct]:
        """Everything that is known beforehand, and lies within the time of this agenda."""
        span = self.starts_on, self.ends_on
        for payment in person.payments:
            if span[0] <= payment.value_date <= span[1]:
                at = self._instant(payment.value_date, PAYMENTS_AT)
                yield ComingAct(at, f"{SOURCE}/{payment.payment_id}", payment.loan_id, payment)
        for event in person.events:
            if span[0] <= event.on <= span[1]:
                yield ComingAct(self._instant(event.on, EVENTS_AT), event.event_id, event.loan_id, event)
        for k, act in enumerate(person.behaviour.acts, start=1):
            if span[0] <= act.at.date() <= span[1]:
                at = act.at.replace(tzinfo=self._zone).astimezone(UTC)
                yield ComingAct(at, f"script/{self._owner}/acts/{k}", act.loan, act.deed)
        for loan in person.loans:
            yield ComingAct(self.ends_at, f"final/{self.ends_on}", loan.loan_id, FinalLook())

    def _enter(self, act: ComingAct) -> None:
        heapq.heappush(self._coming, (act.at, self._entered, act))
        self._entered += 1

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self._zone).astimezone(UTC)


def _utter(act_id: str, name: str, message: Message) -> Utterance:
    return Utterance(act_id, name, message, to_json(message))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
