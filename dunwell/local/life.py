"""One person's life, lived through the real engine: all cases of the person advance in lock step.

What happens, and when, comes from the same agenda as in the simulation. Only the clock differs: it is the
workflows' own, moved forward by the server's time skipping, never further than the next thing known.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from dunwell.domain.behaviour import Utterance
from dunwell.domain.case import CaseState, case_id_of
from dunwell.domain.events import Event, decode
from dunwell.domain.facts import Facts, ReverseCredit
from dunwell.domain.ledger import Credit, LoanMoney
from dunwell.domain.messages import HoldLifted, HoldPlaced, LookAgain, PaymentReceived, PaymentReversed
from dunwell.domain.opening import opens_on
from dunwell.domain.person import Hold
from dunwell.domain.portfolio import PersonFile
from dunwell.domain.strategy import Book
from dunwell.intake import events
from dunwell.intake.relay import workflow_id
from dunwell.local.settling import NotSettled, Settling
from dunwell.simulation.agenda import Agenda, ComingAct
from dunwell.store.cases import sweep_page
from dunwell.store.reading import read_facts, read_state

_MINUTE = timedelta(minutes=1)
# A clock moved to the very second may stand a hair before it, and in another minute.
_INTO_THE_MINUTE = timedelta(seconds=3)
_END_WITHIN_SECONDS = 60.0
# More than this at one instant is a circle, not a life.
_AT_ONE_INSTANT = 50


@dataclass(slots=True)
class Offsets:
    """How far the time of each running case is from its workflow's; filled in where runs are started."""

    of: dict[UUID, timedelta] = field(default_factory=dict)

    def began(self, case_id: UUID, at: datetime) -> float:
        """A run begins at the date of what woke it. Seconds."""
        ahead = at - datetime.now(UTC)
        self.of.setdefault(case_id, ahead)
        return ahead.total_seconds()

    def ended(self, case_id: UUID) -> None:
        """The run is over; the next one begins anew."""
        self.of.pop(case_id, None)


@dataclass(slots=True)
class _Loan:
    case_id: UUID
    money: LoanMoney
    opens_on: date | None = None
    version: int = 0
    state: CaseState | None = None
    journal_read: int = 0

    @property
    def open(self) -> bool:
        return self.state is not None and not self.state.closed

    @property
    def due(self) -> datetime | None:
        if not self.open or self.state is None or self.state.next is None:
            return None
        return self.state.next.due


@dataclass(slots=True)
class Engine:
    """What every life runs on."""

    pool: asyncpg.Pool
    client: Client
    skipper: TimeSkipper
    offsets: Offsets
    settling: Settling
    book: Book

    def handle(self, case_id: UUID) -> WorkflowHandle[object, object]:
        """The case's workflow, whichever run is the present one."""
        return self.client.get_workflow_handle(workflow_id(case_id))


class PersonsLife:
    """Lives one person's time from `starts_on` to `ends_on`. `now` shows how far it has come."""

    def __init__(self, file: PersonFile, engine: Engine, starts_on: date, ends_on: date) -> None:
        self.now: datetime | None = None
        self._engine = engine
        self._id = file.customer.customer_id
        self._agenda = Agenda(file, file.zone, starts_on, ends_on)
        self._person = file.person()
        self._loans = {loan: _Loan(case_id_of(loan), money) for loan, money in file.money().items()}
        self._turns = sorted(self._loans, key=lambda loan: str(self._loans[loan].case_id))
        self._look_ahead(self._loans, starts_on)

    async def live(self) -> None:
        """Live to the end."""
        again = 0
        while (now := self._next()) is not None:
            again = again + 1 if now == self.now else 0
            if again > _AT_ONE_INSTANT:
                raise NotSettled(f"the life of person {self._id} stands still at {now:%Y-%m-%d %H:%M}")
            self.now = now
            await self._advance(now)
            for act in self._agenda.take(now):
                await self._happens(act, now)
            if any(self._opens(loan, now) for loan in self._loans.values()):
                day = self._agenda.day_of(now)
                await sweep_page(self._engine.pool, self._engine.book, day, now, "", 10_000, self._id)
                await self._settle(now)
                # Looked at and not opened: not again before tomorrow.
                self._look_ahead((id for id, x in self._loans.items() if not x.open), self._day_after(now))

    def _next(self) -> datetime | None:
        dues = {id: loan.due for id, loan in self._loans.items()}
        openings = {id: loan.opens_on for id, loan in self._loans.items()}
        return self._agenda.next_at(dues, openings)

    def _opens(self, loan: _Loan, now: datetime) -> bool:
        return not loan.open and loan.opens_on is not None and self._agenda.sweep_at(loan.opens_on) <= now

    async def _advance(self, now: datetime) -> None:
        """Move every open case's clock to `now`; cases whose step is due take their turns by case id."""
        waiting = [loan for id in self._turns if (loan := self._loans[id]).open]
        due = [loan for loan in waiting if loan.due is not None and loan.due <= now]
        for loan in waiting:
            if loan not in due:
                await self._move(loan, now)
        for loan in due:
            await self._move(loan, now)
            await self._settle(now, [loan])
        if due:
            await self._settle(now)

    async def _move(self, loan: _Loan, now: datetime) -> None:
        """Forward a case's clock; the server is asked where it stands, for skipping takes real time of its own."""
        engine, handle = self._engine, self._engine.handle(loan.case_id)
        stands_at = await engine.skipper.get_current_time(handle) + engine.offsets.of[loan.case_id]
        by = now + _INTO_THE_MINUTE - stands_at
        if by <= timedelta(0):
            return
        try:
            await engine.skipper.fast_forward(handle, by)
        except RPCError as e:
            if e.status != RPCStatusCode.NOT_FOUND:
                raise

    async def _happens(self, act: ComingAct, now: datetime) -> None:
        """Something happens to a loan; it goes the way it would in production, through the intake."""
        loan, pool = self._loans[act.loan_id], self._engine.pool
        said = self._agenda.said(act, loan.money, loan.state)
        if said is None:
            return
        match said.message:
            case PaymentReceived() as paid:
                credit = Credit(paid.source, paid.payment_id, paid.value_date, paid.amount)
                await events.pay(pool, act.loan_id, credit, paid.currency, now)
            case PaymentReversed() as back:
                write = ReverseCredit(back.source, back.payment_id, back.reversal_id, back.on)
                await events.reverse(pool, act.loan_id, write, now)
            case HoldPlaced() as hold:
                on = act.loan_id if hold.loan_only else None
                placed = Hold(said.id, hold.hold, now, on, hold.channel, hold.ends_on)
                await events.hold(pool, self._id, placed)
            case HoldLifted() as lifted:
                on = act.loan_id if lifted.loan_only else None
                await events.lift(pool, self._id, lifted.hold, on, said.id, now)
            case LookAgain():
                if loan.open:
                    await events.tell(pool, loan.case_id, said.id, said.name, said.raw, now)
            case _:
                await self._say(loan, said, now)
        await self._settle(now, touched=[act.loan_id])

    async def _say(self, loan: _Loan, said: Utterance, now: datetime) -> None:
        if loan.state is not None:
            await events.tell(self._engine.pool, loan.case_id, said.id, said.name, said.raw, now)

    async def _settle(self, now: datetime, only: Iterable[_Loan] | None = None, touched: Iterable[str] = ()) -> None:
        """Wait until the person's cases have done all that is due, then read what changed."""
        cases = [loan.case_id for loan in only] if only is not None else None
        await self._engine.settling.wait(self._id, now, cases)
        was_open = {id for id, loan in self._loans.items() if loan.open}
        changed = await self._read(now)
        closed = {id for id in was_open if not self._loans[id].open}
        await self._runs_end()
        if closed:
            await self._read_person(now)
            self._look_ahead((id for id, x in self._loans.items() if not x.open), self._day_after(now))
        else:
            ids = (id for id in {*changed, *touched} if not self._loans[id].open)
            self._look_ahead(ids, self._agenda.next_sweep_day(now))
        for loan in self._loans.values():
            if loan.open:
                loan.opens_on = None

    async def _runs_end(self) -> None:
        """A run that is still ending would take the next message at its own, older date."""
        for loan in self._loans.values():
            if loan.open or loan.case_id not in self._engine.offsets.of:
                continue
            async with asyncio.timeout(_END_WITHIN_SECONDS):
                while await self._runs(loan.case_id):
                    await asyncio.sleep(0.02)
            self._engine.offsets.ended(loan.case_id)

    async def _runs(self, case_id: UUID) -> bool:
        try:
            described = await self._engine.handle(case_id).describe()
        except RPCError as e:
            if e.status == RPCStatusCode.NOT_FOUND:
                return False
            raise
        return described.status == WorkflowExecutionStatus.RUNNING

    async def _read(self, now: datetime) -> set[str]:
        """The cases' new states, the money that moved, and the new entries of the journals."""
        rows = await self._engine.pool.fetch(
            """select l.id as loan_id, l.version, k.id, k.person_id, k.snapshot, k.snapshot_version, k.journal_length
               from loan l left join collection_case k on k.loan_id = l.id where l.person_id = $1""",
            self._id,
        )
        changed = set()
        fresh: list[tuple[UUID, int]] = []
        for row in rows:
            loan = self._loans[row["loan_id"]]
            if row["version"] != loan.version:
                loan.version = row["version"]
                changed.add(row["loan_id"])
                async with self._engine.pool.acquire() as c:
                    facts = await read_facts(c, self._id, row["loan_id"], now, self._engine.book)
                loan.money, self._person = facts.money, facts.person
            if row["journal_length"] and row["journal_length"] > loan.journal_read:
                loan.state = read_state(row["id"], row["loan_id"], row["person_id"], row)
                fresh.append((row["id"], loan.journal_read))
                loan.journal_read = row["journal_length"]
        if fresh:
            await self._react(fresh)
        return changed

    async def _react(self, fresh: list[tuple[UUID, int]]) -> None:
        """The person reacts to what was written, in the order in which it was."""
        rows = await self._engine.pool.fetch(
            """select k.loan_id, j.at, j.kind, j.bytes from unnest($1::uuid[], $2::int[]) as t(id, after)
               join journal j on j.case_id = t.id and j.number > t.after join collection_case k on k.id = t.id
               order by date_trunc('minute', j.at), k.id, j.number""",
            [id for id, _ in fresh],
            [after for _, after in fresh],
        )
        for row in rows:
            event: Event = decode(row["kind"], json.loads(row["bytes"])["body"])
            self._agenda.react(row["loan_id"], [event], row["at"])

    async def _read_person(self, now: datetime) -> None:
        loan = next(iter(self._loans))
        async with self._engine.pool.acquire() as c:
            self._person = (await read_facts(c, self._id, loan, now, self._engine.book)).person

    def _look_ahead(self, loans: Iterable[str], after: date) -> None:
        for id in loans:
            loan = self._loans[id]
            loan.opens_on = opens_on(loan.state, Facts(loan.money, self._person, self._engine.book), after)

    def _day_after(self, now: datetime) -> date:
        return self._agenda.next_sweep_day(now + _MINUTE)
