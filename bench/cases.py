"""Per case: events, state transitions, bytes, commits, CPU; ours and bare in turns."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import mean

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

from bench.ground import FOUR, SOURCE, Ground, Handle, Used, in_flight
from bench.portfolio import OWED
from dunwell.domain.messages import PaymentReceived

_LOOKED_AT = 10
_SETTLES_SECONDS = 0.5
_CONTACTS = "select count(*) from intent where state = 'sent'"
_CLOSED = "select count(*) from collection_case where stage = 'closed'"
_LAST_CONTACT = "select extract(epoch from max(settled_at))::float8 from intent"
_LAST_SAVED = "select extract(epoch from max(pg_xact_commit_timestamp(xmin)))::float8 from collection_case"


@dataclass(slots=True)
class Figures:
    """One kind of case, over all rounds. CPU in seconds."""

    cases: int = 0
    seconds: float = 0.0
    used: Used = field(default_factory=Used)
    events: list[int] = field(default_factory=list)
    transitions: list[int] = field(default_factory=list)
    history_bytes: list[int] = field(default_factory=list)
    largest_payload: int = 0

    @property
    def cases_per_second(self) -> float:
        """Opened, contacted and, where paid, closed."""
        return self.cases / self.seconds if self.seconds else 0.0

    @property
    def histories(self) -> tuple[float, float, float]:
        """Events, state transitions and bytes of a case."""
        return mean(self.events), mean(self.transitions), mean(self.history_bytes)

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
    await ground.bring_in(names, repeat=shape.contacts == 2)
    contacts, closed = await ground.pool.fetchval(_CONTACTS), await ground.pool.fetchval(_CLOSED)
    before, began = await Used.so_far(ground), time.time()
    await ground.open_cases(names)
    await ground.until("contacts made", contacts + cases * shape.contacts, _CONTACTS)
    ended = _LAST_CONTACT
    if shape.paid:
        await in_flight(pay_by_signal(ground, n) for n in names)
        await ground.until("cases closed", closed + cases, _CLOSED)
        ended = _LAST_SAVED
    await _note(ground, shape.ours, await ground.pool.fetchval(ended) - began, before, [ground.case(n) for n in names])


async def _bare(ground: Ground, shape: Shape, cases: int) -> None:
    names = ground.names(cases)
    marks = ground.marks.count()
    before, began = await Used.so_far(ground), time.time()
    await ground.start_bare(names, FOUR[: shape.contacts])
    await ground.until("bare contacts made", marks + cases * shape.contacts)
    if shape.paid:
        await in_flight(ground.bare(n).signal("pay", n) for n in names)
        await ground.until("bare payments booked", marks + cases * (shape.contacts + 1))
    ended = max(at for _, at in ground.marks.read(marks))
    await _note(ground, shape.bare, ended - began, before, [ground.bare(n) for n in names])


async def pay_by_signal(ground: Ground, name: str) -> None:
    """All that is owed, told straight to the case's workflow."""
    paid = PaymentReceived(
        source=SOURCE, payment_id=f"signal-{name}", value_date=datetime.now(UTC).date(), amount=OWED, currency="GBP"
    )
    await ground.case(name).signal("payment_received", paid)


async def _note(ground: Ground, figures: Figures, seconds: float, before: Used, handles: list[Handle]) -> None:
    # The last workflow task of each case belongs to it.
    await asyncio.sleep(_SETTLES_SECONDS)
    figures.used.add((await Used.so_far(ground)).since(before))
    figures.cases += len(handles)
    figures.seconds += seconds
    looked_at = handles[:: max(1, len(handles) // _LOOKED_AT)]
    for handle in looked_at:
        info = (await handle.describe()).raw_description.workflow_execution_info
        figures.events.append(info.history_length)
        figures.transitions.append(info.state_transition_count)
        figures.history_bytes.append(info.history_size_bytes)
    history = await looked_at[0].fetch_history()
    largest = max(size for event in history.events for size in _payloads(event))
    figures.largest_payload = max(figures.largest_payload, largest)


def _payloads(message: Message) -> Iterator[int]:
    """Bytes of every payload inside."""
    if isinstance(message, Payload):
        yield message.ByteSize()
        return
    for field_, value in message.ListFields():
        if field_.message_type is None:
            continue
        if field_.message_type.GetOptions().map_entry:
            parts = [v for v in value.values() if isinstance(v, Message)]
        else:
            parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            yield from _payloads(part)
