"""Wake-ups for cases, queued in the transaction that gives cause for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from dunwell.store.database import Connection

CHANNEL = "dunwell_outbox"


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A case to signal, and what a run that has to be started first needs to know."""

    id: int
    case_id: UUID
    name: str
    message_id: str
    at: datetime
    stage: str
    currency: str
    jurisdiction: str
    oldest_due_on: date | None
    tries: int


async def queue(
    connection: Connection,
    case_id: UUID,
    name: str,
    message_id: str,
    at: datetime,
    *,
    loan_version: int = -1,
    person_version: int = -1,
) -> None:
    """Queue a wake-up; the relay hears of it when the transaction commits."""
    await connection.execute(
        """with queued as (
               insert into outbox (case_id, name, message_id, loan_version, person_version, at)
               values ($1, $2, $3, $4, $5, $6))
           select pg_notify($7, '')""",
        case_id, name, message_id, loan_version, person_version, at, CHANNEL,
    )  # fmt: skip


async def claim(connection: Connection, most: int, again_after_seconds: int) -> Sequence[WakeUp]:
    """Take wake-ups that are due; each comes up again later unless its case has seen it by then.

    A claim need not survive a crash of the database: what was claimed is then told twice, which changes nothing.
    """
    rows = await connection.fetch(
        """with due as (
               select id from outbox where next_try <= now() order by next_try limit $1 for update skip locked
           ), taken as (
               update outbox o set tries = tries + 1,
                   next_try = now() + make_interval(secs => $2 * least(power(2, o.tries), 32))
               from due where o.id = due.id
               returning o.id, o.case_id, o.name, o.message_id, o.at, o.tries
           ), at_once as (
               select set_config('synchronous_commit', 'off', true)
           )
           select t.*, c.stage, c.oldest_due_on, l.currency, p.jurisdiction
           from at_once, taken t join collection_case c on c.id = t.case_id
           join loan l on l.id = c.loan_id join person p on p.id = c.person_id order by t.id""",
        most,
        again_after_seconds,
    )
    return [WakeUp(**dict(r)) for r in rows]


async def seen(connection: Connection, case_id: UUID, loan_version: int, person_version: int) -> None:
    """The case has seen these versions, and every message that waited: its wake-ups are done."""
    await connection.execute(
        """delete from outbox o where case_id = $1 and loan_version <= $2 and person_version <= $3
           and not exists (select 1 from message m where m.case_id = $1 and m.id = o.message_id
                           and m.taken_at is null)""",
        case_id,
        loan_version,
        person_version,
    )
