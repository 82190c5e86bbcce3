"""What upstream systems and people tell us. Each call commits before it returns."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from dunwell.domain.absorb import hold_at_once
from dunwell.domain.codes import HoldKind
from dunwell.domain.facts import LiftHold, PlaceHold, ReverseCredit
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import InboundMessage, Message, Undecodable, decode, to_json
from dunwell.domain.person import Hold
from dunwell.store import ledger, people
from dunwell.store.database import Connection, whole
from dunwell.store.outbox import queue
from dunwell.store.sealing import seal_words


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an event: its code (posted, known, review, queued ...) and in words."""

    result: str
    says: str


async def pay(pool: asyncpg.Pool, loan_id: str, credit: Credit, currency: str, at: datetime) -> Told:
    """Post a payment once, and wake its case. Raises: LookupError for an unknown loan."""

    async def post(c: Connection) -> Told:
        of_loan = await ledger.lock_loan(c, loan_id)
        if of_loan != currency:
            raise ValueError(f"loan {loan_id} is in {of_loan}, the payment in {currency}: send it in {of_loan}")
        posted = await ledger.post(c, loan_id, currency, credit, at)
        if posted.result == "posted":
            await _wake(c, loan_id, "payment_received", f"{credit.source}/{credit.id}", at)
        return Told(posted.result, posted.says)

    return await whole(pool, post)


async def reverse(pool: asyncpg.Pool, loan_id: str, back: ReverseCredit, at: datetime) -> Told:
    """Take a wrong booking back, and wake its case."""

    async def undo(c: Connection) -> Told:
        currency = await ledger.lock_loan(c, loan_id)
        posted = await ledger.reverse(c, loan_id, currency, back, at)
        if posted.result == "posted":
            await _wake(c, loan_id, "payment_reversed", f"{back.source}/{back.reversal_id}", at)
        return Told(posted.result, posted.says)

    return await whole(pool, undo)


async def hold(pool: asyncpg.Pool, person_id: str, placed: Hold) -> Told:
    """Stop: every open case of the person sees it before it contacts anyone again."""

    async def place(c: Connection) -> Told:
        await people.lock_person(c, person_id)
        if not await people.write(c, person_id, PlaceHold(placed)):
            return Told("known", "that hold is in force already")
        await people.wake_cases(c, person_id, "hold_placed", placed.id, placed.placed_at)
        return Told("held", f"held: {placed.kind}")

    return await whole(pool, place)


async def lift(pool: asyncpg.Pool, person_id: str, kind: HoldKind, loan_id: str | None, id: str, at: datetime) -> Told:
    """The cause of a hold is gone."""

    async def end(c: Connection) -> Told:
        await people.lock_person(c, person_id)
        if not await people.write(c, person_id, LiftHold(kind, loan_id, at)):
            return Told("known", f"no {kind} hold is in force")
        await people.wake_cases(c, person_id, "hold_lifted", id, at)
        return Told("lifted", f"lifted: {kind}")

    return await whole(pool, end)


async def tell(pool: asyncpg.Pool, case_id: UUID, id: str, name: str, message: Message | str, at: datetime) -> Told:
    """Keep a message for a case and wake it; the same id again changes nothing.

    A `str` is raw JSON as it came: what does not read is kept too, and a person is asked.
    """
    raw = message if isinstance(message, str) else to_json(message)

    async def keep(c: Connection) -> Told:
        if name == "inbound_message":
            await _stop_at_once(c, case_id, id, raw, at)
        person = await c.fetchval("select person_id from collection_case where id = $1", case_id)
        (said,) = await seal_words(c, person, [raw.encode()])
        added = await c.fetchval(
            """insert into message (case_id, id, name, raw, arrived_at) values ($1, $2, $3, $4, $5)
               on conflict do nothing returning 1""",
            case_id, id, name, said, at,
        )  # fmt: skip
        if added is None:
            return Told("known", f"message {id} was taken already")
        await queue(c, case_id, name, id, at)
        return Told("queued", f"message {id} waits for the case")

    return await whole(pool, keep)


async def _stop_at_once(c: Connection, case_id: UUID, id: str, raw: str, at: datetime) -> None:
    """A stop, a dispute and the like hold every case they touch from this commit on, not when one has taken it."""
    try:
        said = decode("inbound_message", raw.encode())
    except Undecodable:
        return  # kept as it came; the case asks a person
    case = await c.fetchrow("select person_id, loan_id from collection_case where id = $1", case_id)
    if case is None or not isinstance(said, InboundMessage):
        return
    held = hold_at_once(str(case_id), case["loan_id"], id, said, at)
    if held is not None:
        await people.lock_person(c, case["person_id"])
        if await people.write(c, case["person_id"], PlaceHold(held)):
            await people.wake_cases(c, case["person_id"], "hold_placed", held.id, at, but=case_id)


async def _wake(c: Connection, loan_id: str, name: str, message_id: str, at: datetime) -> None:
    """Wake the loan's case, if it has one that is open or that this makes late again."""
    case = await c.fetchrow(
        """select k.id, l.version from collection_case k join loan l on l.id = k.loan_id
           join person p on p.id = l.person_id
           where k.loan_id = $1 and (k.stage <> 'closed' or l.oldest_unpaid_due_on
               < ($2::timestamptz at time zone coalesce(nullif(p.time_zone, ''), 'UTC'))::date)""",
        loan_id,
        at,
    )
    if case is not None:
        await queue(c, case["id"], name, message_id, at, loan_version=case["version"])
