"""Per case: events, state transitions, bytes, commits, CPU; ours and bare in turns."""

import statistics
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType

from bench.ground import FOUR, SOURCE, Ground, Handle, Used, in_flight
from bench.portfolio import OWED
from dunwell.domain.messages import PaymentReceived

_LOOKED_AT = 10
_CONTACTS = "select count(*) from intent where state = 'sent'"
_CLOSED = "select count(*) from collection_case where stage = 'closed'"


@dataclass(slots=True)
class Figures:
    """One kind of case, over all rounds. CPU in seconds."""

    cases: int = 0
    seconds: float = 0.0
    used: Used = field(default_factory=Used)
    events: float = 0.0
    transitions: float = 0.0
    history_bytes: float = 0.0
    largest_payload: int = 0

    @property
    def cases_per_second(self) -> float:
        """Opened, contacted and, where paid, closed."""
        return self.cases / self.seconds if self.seconds else 0.0

    def cpu_ms(self, part: str) -> float:
        """Milliseconds of a case."""
        return 1000 * self.used.cpu.get(part, 0.0) / max(self.cases, 1)


@dataclass(slots=True)
class Shape:
    """What happens to each case: so many contacts, and then perhaps a payment by signal that closes it."""

    name: str
    contacts: int
    paid: bool
    ours: Figures = field(default_factory=Figures)
    bare: Figures = field(default_factory=Figures)


async def side_by_side(ground: Ground, shape: Shape, rounds: int, cases: int) -> None:
    """So many rounds of so many cases of each kind, turn and turn about."""
    for _ in range(rounds):
        await _ours(ground, shape, cases)
        await _bare(ground, shape, cases)


async def _ours(ground: Ground, shape: Shape, cases: int) -> None:
    names = ground.names(cases)
    await ground.open_cases(names, repeat=shape.contacts == 2)
    contacts, closed = await ground.pool.fetchval(_CONTACTS), await ground.pool.fetchval(_CLOSED)
    before, began = await Used.so_far(ground), await _now(ground)
    await ground.sweep(_before(names))
    await ground.until("contacts made", contacts + cases * shape.contacts, _CONTACTS)
    ended = await ground.pool.fetchval("select extract(epoch from max(settled_at))::float8 from intent")
    if shape.paid:
        await in_flight(pay_by_signal(ground, n) for n in names)
        await ground.until("cases closed", closed + cases, _CLOSED)
        ended = await ground.pool.fetchval(
            "select extract(epoch from max(pg_xact_commit_timestamp(xmin)))::float8 from collection_case"
        )
    await _note(ground, shape.ours, cases, ended - began, before, [ground.case(n) for n in names])


async def _bare(ground: Ground, shape: Shape, cases: int) -> None:
    names = ground.names(cases)
    marks = ground.marks.count()
    before, began = await Used.so_far(ground), await _now(ground)
    await ground.start_bare(names, FOUR[: shape.contacts])
    await ground.until("bare contacts made", marks + cases * shape.contacts)
    if shape.paid:
        await in_flight(ground.bare(n).signal("pay", n) for n in names)
        await ground.until("bare payments booked", marks + cases * (shape.contacts + 1))
    ended = max(at for _, at in ground.marks.read(marks))
    await _note(ground, shape.bare, cases, ended - began, before, [ground.bare(n) for n in names])


async def pay_by_signal(ground: Ground, name: str) -> None:
    """All that is owed, told straight to the case's workflow."""
    paid = PaymentReceived(
        source=SOURCE, payment_id=f"signal-{name}", value_date=(await _today(ground)), amount=OWED, currency="GBP"
    )
    await ground.case(name).signal("payment_received", paid)
