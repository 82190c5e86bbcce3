"""Cases as a whole: the daily overdue list that opens them, and the views people read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg

from dunwell.domain.case import CaseState, case_id_of
from dunwell.domain.opening import should_open
from dunwell.domain.reasons import analyse
from dunwell.domain.strategy import Book
from dunwell.store import outbox
from dunwell.store.database import Connection, whole
from dunwell.store.reading import read_facts, read_state


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the daily sweep. `last` is the key to go on after; None when there is no more."""

    looked_at: int
    overdue: int
    opened: int
    last: str | None


async def sweep_page(
    pool: asyncpg.Pool, book: Book, on: date, now: datetime, after: str, most: int, person_id: str | None = None
) -> Page:
    """Look at the next loans by key: list what is overdue, open what is due to be worked.

    Run twice, or again from the middle, it changes nothing more. It closes nothing, and locks no loan or person: a case
    opened though money came in the same moment sees it when it first looks, and closes.
    """

    async def page(c: Connection) -> Page:
        loans = await c.fetch(
            """select l.id, l.person_id from loan l
               where l.id > $1 and l.oldest_unpaid_due_on <= $2::date + $3::int
                 and ($4::text is null or l.person_id = $4)
               order by l.id limit $5""",
            after, on, _looks_ahead(book), person_id, most,
        )  # fmt: skip
        found = [await _look(c, book, r["id"], r["person_id"], on, now) for r in loans]
        return Page(
            looked_at=len(loans),
            overdue=sum(late for late, _ in found),
            opened=sum(opened for _, opened in found),
            last=loans[-1]["id"] if len(loans) == most else None,
        )

    return await whole(pool, page)


def _looks_ahead(book: Book) -> int:
    """Days before a due date from which some path reminds."""
    return max((-(s.offset_days or 0) for p in book.paths.values() for s in p.steps), default=0)


async def _look(c: Connection, book: Book, loan_id: str, person_id: str, on: date, now: datetime) -> tuple[bool, bool]:
    """One loan: is it overdue, and was its case opened?"""
    facts = await read_facts(c, person_id, loan_id, now, book)
    state = await _state(c, loan_id)
    today = facts.today(now)
    there = facts.position(today)
    late = there.dpd > 0
    if late:
        reason = state.reason if state and not state.closed else analyse(_fresh(loan_id, person_id), facts, there)
        await c.execute(
            """insert into overdue (on_date, loan_id, person_id, currency, dpd, past_due, reason)
               values ($1, $2, $3, $4, $5, $6, $7) on conflict (on_date, loan_id) do update
               set dpd = excluded.dpd, past_due = excluded.past_due, reason = excluded.reason""",
            on, loan_id, person_id, facts.money.currency, there.dpd, there.past_due, reason,
        )  # fmt: skip
    if state is not None and not state.closed:
        return late, False
    if not should_open(state, facts, today):
        return late, False
    return late, await _open(c, loan_id, person_id, now, "reminder" if late else "pre_due", there.oldest_unpaid_due_on)


async def _open(c: Connection, loan_id: str, person_id: str, now: datetime, stage: str, oldest: date | None) -> bool:
    """A case for the loan, and a wake-up for it; one that waits already is not queued again."""
    case_id = case_id_of(loan_id)
    await c.execute(
        """insert into collection_case (id, loan_id, person_id, stage, opened_at, oldest_due_on) values ($1, $2, $3, $4, $5, $6)
           on conflict (id) do nothing""",
        case_id, loan_id, person_id, stage, now, oldest,
    )  # fmt: skip
    if await c.fetchval("select 1 from outbox where case_id = $1 and name = 'opened'", case_id):
        return False
    await outbox.queue(c, case_id, "opened", f"opened/{now:%Y-%m-%d}", now)
    return True


async def _state(c: Connection, loan_id: str) -> CaseState | None:
    row = await c.fetchrow(
        "select id, person_id, snapshot, snapshot_version from collection_case where loan_id = $1", loan_id
    )
    if row is None or row["snapshot"] is None:
        return None
    return read_state(row["id"], loan_id, row["person_id"], row)


def _fresh(loan_id: str, person_id: str) -> CaseState:
    return CaseState(str(case_id_of(loan_id)), loan_id, person_id)


async def overdue_list(c: Connection, on: date) -> Sequence[asyncpg.Record]:
    """The overdue list of a day, worst first."""
    return await c.fetch(
        """select o.*, k.id as case_id, k.stage from overdue o left join collection_case k using (loan_id)
           where on_date = $1 order by dpd desc, loan_id""",
        on,
    )


async def find_case(c: Connection, case_or_loan: str) -> UUID | None:
    """A case by its own id, its workflow's id, or its loan's."""
    wanted = case_or_loan.removeprefix("case-")
    found: UUID | None = await c.fetchval(
        "select id from collection_case where loan_id = $1 or id::text = $2", case_or_loan, wanted
    )
    return found


async def late_cases(c: Connection, before: datetime) -> Sequence[asyncpg.Record]:
    """Cases whose next step was due before `before` and has not been taken."""
    return await c.fetch(
        """select id, loan_id, stage, next_kind, next_due, next_reason from collection_case
           where stage <> 'closed' and next_due < $1 order by next_due limit 1000""",
        before,
    )


async def list_cases(
    c: Connection, stage: str | None, hold: str | None, attention: bool, most: int = 200
) -> Sequence[asyncpg.Record]:
    """Cases by stage, hold or attention, the longest waiting first."""
    return await c.fetch(
        """select k.id, k.loan_id, k.stage, k.ending, k.holds, k.attention, k.next_kind, k.next_due, k.next_reason
           from collection_case k
           where ($1::text is null or stage = $1) and ($2::text is null or $2 = any(holds))
             and (not $3 or attention is not null)
           order by next_due nulls last, loan_id limit $4""",
        stage, hold, attention, most,
    )  # fmt: skip


async def journal_of(c: Connection, case_id: UUID) -> Sequence[asyncpg.Record]:
    """A case's journal, oldest entry first: number, at, kind, bytes, hash, run_id."""
    return await c.fetch(
        "select number, at, kind, bytes, hash, run_id from journal where case_id = $1 order by number", case_id
    )


async def anchor_chains(c: Connection, on: date) -> int:
    """Keep one hash over the heads of all chains: what was written before cannot be rewritten unseen."""
    cases: int = await c.fetchval(
        """insert into chain_anchor (on_date, head, cases)
           select $1, sha256(coalesce(string_agg(head, ''::bytea order by id), ''::bytea)), count(*)
           from collection_case where journal_length > 0
           on conflict (on_date) do update set head = excluded.head, cases = excluded.cases returning cases""",
        on,
    )
    return cases
