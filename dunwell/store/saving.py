"""What a step leaves behind: journal, the case's row, and its wake-ups done."""

from collections.abc import Sequence
from datetime import datetime

from dunwell.domain.events import Event
from dunwell.store import journal
from dunwell.store.database import Connection
from dunwell.store.reading import CaseRow, write_state

# One statement: each that is saved is a round trip less while locks are held.
_SAVE = """
with told as (
    insert into journal (case_id, number, at, kind, bytes, hash, run_id)
    select $1, n, $15, k, b, h, $4
    from unnest($16::int[], $17::text[], $18::bytea[], $19::bytea[]) as t(n, k, b, h)
), done as (
    delete from outbox o where $20 and case_id = $1 and loan_version <= $2 and person_version <= $3
    and not exists (select 1 from message m where m.case_id = $1 and m.id = o.message_id and m.taken_at is null)
)
update collection_case set sequence = $5, stage = $6, ending = $7, next_kind = $8, next_due = $9, next_code = $10,
    next_reason = $11, attention = $12, holds = $13, segment = $14, last_at = $15, seen_loan = $2, seen_person = $3,
    oldest_due_on = $21, snapshot = $22, journal_length = $23, head = $24
where id = $1
"""


async def save(
    connection: Connection, row: CaseRow, told: Sequence[Event], now: datetime, run_id: str | None, *, seen: bool
) -> None:
    """Append what was told to the journal, and keep the state with it.

    A journal number that stands already is an error, never replaced. `seen`: the case has seen the versions in its
    row, and every message that waited, so its wake-ups are done.
    """
    entries = list(journal.chain(row.id, row.length, row.head, now, told))
    if entries:
        row.length, row.head = entries[-1].number, entries[-1].hash
    state, coming = row.state, row.state.next
    await connection.execute(
        _SAVE,
        row.id, row.loan_version, row.person_version, run_id, state.sequence, state.stage, state.ending,
        coming.kind if coming else None, coming.due if coming else None, coming.code if coming else None,
        coming.reason if coming else None, state.attention.code if state.attention else None,
        sorted(set(state.holds.values())), state.path, now,
        [e.number for e in entries], [e.kind for e in entries], [e.line for e in entries], [e.hash for e in entries],
        seen, state.anchor, write_state(state), row.length, row.head,
    )  # fmt: skip
