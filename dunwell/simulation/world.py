"""One person's life in memory: the same steps as the engine takes, one after the other, to the minute."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from dunwell.domain.behaviour import Utterance
from dunwell.domain.case import CaseState, case_id_of
from dunwell.domain.codes import StepKind
from dunwell.domain.events import ContactIntended, EpisodeClosed, Event
from dunwell.domain.facts import Facts, LiftHold, PlaceHold, PostCredit, ReverseCredit
from dunwell.domain.ledger import Credit, LoanMoney
from dunwell.domain.messages import HoldLifted, HoldPlaced, LookAgain, PaymentReceived, PaymentReversed
from dunwell.domain.opening import opens_on
from dunwell.domain.person import Contact, Hold, Person
from dunwell.domain.portfolio import PersonFile
from dunwell.domain.step import Said, Worked, begin, conclude
from dunwell.domain.strategy import Book
from dunwell.simulation.agenda import Agenda, ComingAct

MINUTE = timedelta(minutes=1)
# Longer than any span over which a cap counts.
CONTACTS_KEPT = timedelta(days=40)
# A case that takes more steps within one minute than this goes round in a circle.
_STEPS_IN_A_MINUTE = 50


class GoesInCircles(RuntimeError):
    """A case plans one step after another without time passing: a fault in a strategy or in the domain."""


@dataclass(slots=True)
class _Loan:
    """A loan in this world: its money, its case once it has one, and what the case has seen."""

    case_id: str
    money: LoanMoney
    opens_on: date | None
    state: CaseState | None = None
    money_version: int = 0
    seen: tuple[int, int] = (-1, -1)

    @property
    def open(self) -> bool:
        return self.state is not None and not self.state.closed

    @property
    def due(self) -> datetime | None:
        if self.state is None or self.state.closed or self.state.next is None:
            return None
        return self.state.next.due


class PersonsWorld:
    """Lives one person's time from `starts_on` to `ends_on`. `journals`: what each loan's case was told, and when."""

    def __init__(self, file: PersonFile, book: Book, starts_on: date, ends_on: date) -> None:
        self.person: Person = file.person()
        self.steps = 0
        self.journals: dict[str, list[tuple[datetime, Event]]] = {}
        self._book = book
        self._agenda = Agenda(file, file.zone, starts_on, ends_on)
        self._person_version = 0
        self._heard: set[tuple[str, str]] = set()
        self._loans: dict[str, _Loan] = {}
        for loan_id, money in file.money().items():
            self._loans[loan_id] = _Loan(str(case_id_of(loan_id)), money, None)
            self._look_ahead(loan_id, starts_on)
        # Within one minute the cases of a person take their turns by case id.
        self._turns = sorted(self._loans, key=lambda loan_id: self._loans[loan_id].case_id)

    @property
    def money(self) -> dict[str, LoanMoney]:
        """Each loan's money as it is known by now."""
        return {loan_id: loan.money for loan_id, loan in self._loans.items()}

    @property
    def cases(self) -> dict[str, CaseState]:
        """The cases that were ever opened, by loan."""
        return {loan_id: loan.state for loan_id, loan in self._loans.items() if loan.state is not None}

    def live(self) -> None:
        """Live to the end. Raises: GoesInCircles."""
        while (now := self._next()) is not None:
            for act in self._agenda.take(now):
                self._happens(act, now)
            for loan_id in self._turns:
                loan = self._loans[loan_id]
                if loan.opens_on is not None and self._agenda.sweep_at(loan.opens_on) <= now:
                    self._step(loan_id, "assess", now)
                if loan.due is not None and loan.due <= now:
                    self._work(loan_id, now)

    def _next(self) -> datetime | None:
        loans = self._loans.items()
        dues = {loan_id: loan.due for loan_id, loan in loans if loan.open}
        openings = {loan_id: loan.opens_on for loan_id, loan in loans if loan.opens_on is not None}
        return self._agenda.next_at(dues, openings)

    def _happens(self, act: ComingAct, now: datetime) -> None:
        """Money and holds are booked at once and wake the cases they touch; anything else a case hears."""
        loan = self._loans[act.loan_id]
        said = self._agenda.said(act, loan.money, loan.state)
        if said is None:
            return
        match said.message:
            case PaymentReceived() as paid:
                credit = Credit(paid.source, paid.payment_id, paid.value_date, paid.amount)
                self._money_moves(act.loan_id, PostCredit(credit), now)
            case PaymentReversed() as back:
                write = ReverseCredit(back.source, back.payment_id, back.reversal_id, back.on)
                self._money_moves(act.loan_id, write, now)
            case HoldPlaced() as hold:
                on = act.loan_id if hold.loan_only else None
                self._stops(PlaceHold(Hold(said.id, hold.hold, now, on, hold.channel, hold.ends_on)), now)
            case HoldLifted() as lifted:
                self._stops(LiftHold(lifted.hold, act.loan_id if lifted.loan_only else None, now), now)
            case LookAgain():
                if loan.open:
                    self._step(act.loan_id, "absorb", now)
                    self._work(act.loan_id, now)
            case _:
                self._hears(act.loan_id, said, now)

    def _money_moves(self, loan_id: str, write: PostCredit | ReverseCredit, now: datetime) -> None:
        loan = self._loans[loan_id]
        money = self._facts(loan_id).after(write).money
        if money is loan.money:
            return
        loan.money = money
        loan.money_version += 1
        late = self._facts(loan_id).position(self._agenda.day_of(now)).dpd > 0
        if loan.state is not None and (loan.open or late):
            self._wake(loan_id, now)
        self._look_ahead(loan_id, self._agenda.next_sweep_day(now))

    def _stops(self, write: PlaceHold | LiftHold, now: datetime) -> None:
        person = Facts(next(iter(self._loans.values())).money, self.person, self._book).after(write).person
        if person != self.person:
            self.person = person
            self._person_version += 1
            self._wake_open_cases(now)

    def _hears(self, loan_id: str, said: Utterance, now: datetime) -> None:
        if (loan_id, said.id) in self._heard:
            return
        self._heard.add((loan_id, said.id))
        self._step(loan_id, "absorb", now, [Said(said.id, said.name, said.raw.encode())])
        self._work(loan_id, now)

    def _wake_open_cases(self, now: datetime, but: str | None = None) -> None:
        for loan_id in self._turns:
            if loan_id != but and self._loans[loan_id].open:
                self._wake(loan_id, now)

    def _wake(self, loan_id: str, now: datetime) -> None:
        """A wake-up tells nothing by itself: a case that has seen everything already does not look again."""
        loan = self._loans[loan_id]
        if loan.seen != (loan.money_version, self._person_version):
            self._step(loan_id, "absorb", now)
            self._work(loan_id, now)

    def _work(self, loan_id: str, now: datetime) -> None:
        """Take the case's steps until the next one is due later."""
        loan = self._loans[loan_id]
        for _ in range(_STEPS_IN_A_MINUTE):
            if loan.due is None or loan.due > now or loan.state is None or loan.state.next is None:
                return
            self._step(loan_id, loan.state.next.kind, now)
        coming = loan.state.next if loan.state else None
        raise GoesInCircles(f"loan {loan_id} at {now:%Y-%m-%d %H:%M}: again and again {coming}")

    def _step(self, loan_id: str, kind: StepKind, now: datetime, heard: Sequence[Said] = ()) -> None:
        loan = self._loans[loan_id]
        if loan.state is None:
            loan.state = CaseState(loan.case_id, loan_id, self.person.id)
        worked = begin(loan.state, self._facts(loan_id), now, kind, heard)
        touched = self._save(loan_id, worked, now)
        if worked.intent is not None:
            touched |= self._save(loan_id, conclude(loan.state, self._facts(loan_id), now, "sent", "accepted"), now)
        if touched:
            self._wake_open_cases(now, but=loan_id)
        if loan.state.closed:
            self._look_ahead(loan_id, self._agenda.next_sweep_day(now + MINUTE))
        else:
            loan.opens_on = None

    def _save(self, loan_id: str, worked: Worked, now: datetime) -> bool:
        """What a step gives goes into the streams; True when it changed what is known of the person."""
        loan, before = self._loans[loan_id], self.person
        self.steps += 1
        if worked.facts is not None and worked.writes:
            loan.money_version += worked.facts.money is not loan.money
            loan.money, self.person = worked.facts.money, worked.facts.person
        touched = self.person is not before and self.person != before
        self._person_version += touched
        loan.seen = (loan.money_version, self._person_version)
        self.journals.setdefault(loan_id, []).extend((now, event) for event in worked.events)
        for event in worked.events:
            if isinstance(event, ContactIntended):
                self._contacted(loan_id, event, now)
            elif isinstance(event, EpisodeClosed) and event.opened_on is not None:
                self.person = replace(self.person, past_episodes=self.person.past_episodes + 1)
                self._look_ahead_everywhere(now)
        self._agenda.react(loan_id, worked.events, now)
        return touched

    def _contacted(self, loan_id: str, event: ContactIntended, now: datetime) -> None:
        """It counts against the caps from the moment of intent."""
        kept = tuple(c for c in self.person.contacts if c.at > now - CONTACTS_KEPT)
        made = Contact(now, event.channel, event.purpose, loan_id, "sent")
        self.person = replace(self.person, contacts=(*kept, made))

    def _look_ahead(self, loan_id: str, after: date) -> None:
        loan = self._loans[loan_id]
        loan.opens_on = opens_on(loan.state, self._facts(loan_id), after)

    def _look_ahead_everywhere(self, now: datetime) -> None:
        for loan_id, loan in self._loans.items():
            if not loan.open:
                self._look_ahead(loan_id, self._agenda.next_sweep_day(now + MINUTE))

    def _facts(self, loan_id: str) -> Facts:
        return Facts(self._loans[loan_id].money, self.person, self._book)
