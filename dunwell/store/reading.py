"""Reads the three streams of a case: the ledger, the person, and the case's own row."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter, ValidationError

from dunwell.domain.case import SNAPSHOT_VERSION, CaseState
from dunwell.domain.facts import Facts
from dunwell.domain.ledger import Credit, Instalment, LoanMoney, Schedule
from dunwell.domain.person import Contact, Hold, Person
from dunwell.domain.step import Said
from dunwell.domain.strategy import Book
from dunwell.store.database import Connection
from dunwell.store.sealing import unseal_words

# Longer than any span a cap or a window looks back over.
CONTACTS_KEPT_IN_SIGHT = timedelta(days=40)
_STATE = TypeAdapter(CaseState)


class NewerSnapshot(RuntimeError):
    """A newer release wrote this case. Refused, so that one of its workers takes the step."""


class NoSuchCase(LookupError):
    """No case has this id."""


@dataclass(slots=True)
class CaseRow:
    """A case under its lock."""

    id: UUID
    loan_id: str
    person_id: str
    state: CaseState
    length: int
    head: bytes
    last_at: datetime | None
    seen_loan: int
    seen_person: int
    loan_version: int
    person_version: int
    shown: tuple[object, ...]


def shown(state: CaseState) -> tuple[object, ...]:
    """What search attributes show; they are written only when this changes."""
    return state.stage, sorted(set(state.holds.values())), state.attention is not None


async def lock(connection: Connection, case_id: UUID) -> CaseRow:
    """Lock person, loan, case, in this order, before anything else is read.

    Not against rows that only refer to them: intake queues a wake-up without waiting for a case.

    Raises: NoSuchCase; NewerSnapshot.
    """
    person = await connection.fetchrow(
        """select id, version from person
           where id = (select person_id from collection_case where id = $1) for no key update""",
        case_id,
    )
    if person is None:
        raise NoSuchCase(f"no case has the id {case_id}")
    # What is locked is read as it is after the wait, and in the order named.
    row = await connection.fetchrow(
        """select k.loan_id, l.version as loan_version, k.snapshot, k.snapshot_version, k.stage, k.holds, k.attention,
               k.journal_length, k.head, k.last_at, k.seen_loan, k.seen_person
           from collection_case k join loan l on l.id = k.loan_id where k.id = $1 for no key update of l, k""",
        case_id,
    )
    assert row is not None
    return CaseRow(
        id=case_id,
        loan_id=row["loan_id"],
        person_id=person["id"],
        state=read_state(case_id, row["loan_id"], person["id"], row),
        length=row["journal_length"],
        head=bytes(row["head"]),
        last_at=row["last_at"],
        seen_loan=row["seen_loan"],
        seen_person=row["seen_person"],
        loan_version=row["loan_version"],
        person_version=person["version"],
        shown=(row["stage"], row["holds"], row["attention"] is not None),
    )


def read_state(case_id: UUID, loan_id: str, person_id: str, row: asyncpg.Record) -> CaseState:
    """The snapshot of a case; a case never worked has the state of an empty journal."""
    if row["snapshot_version"] > SNAPSHOT_VERSION:
        raise NewerSnapshot(f"case {case_id} was last worked by a newer release")
    if row["snapshot"] is None:
        return CaseState(str(case_id), loan_id, person_id)
    try:
        return _STATE.validate_json(row["snapshot"])
    except ValidationError as e:
        # A code of a newer release, such as a step's kind: nothing that a person could decide here.
        raise NewerSnapshot(f"case {case_id} holds what this release does not know") from e


def write_state(state: CaseState) -> str:
    """The snapshot as JSON."""
    return _STATE.dump_json(state).decode()


_MONEY = """
  (select l.currency from loan l where l.id = $1) as currency,
  (select json_agg(json_build_array(s.from_on, s.covered,
          (select json_agg(json_build_array(i.number, i.due_on, i.amount))
             from instalment i where i.loan_id = s.loan_id and i.version = s.version))
          order by s.version) from schedule s where s.loan_id = $1) as schedules,
  (select json_agg(json_build_array(m.source, m.external_id, m.value_date, m.amount, m.kind, m.reversed_on)
          order by m.value_date, m.arrived_at, m.external_id)
     from money_event m where m.loan_id = $1 and m.kind <> 'reversal') as money
"""
_PERSON = """
  (select json_build_array(p.time_zone, p.language, p.jurisdiction, p.points, p.past_episodes, p.version)
     from person p where p.id = $2) as person,
  (select json_agg(json_build_array(h.id, h.kind, h.placed_at, h.loan_id, h.channel, h.ends_on, h.lifted_at)
          order by h.placed_at, h.id) from hold h where h.person_id = $2) as holds,
  (select json_agg(json_build_array(c.made_at, c.channel, c.purpose, c.loan_id, c.state) order by c.made_at)
     from intent c where c.person_id = $2 and c.made_at > $3) as contacts
"""


async def read_facts(connection: Connection, person_id: str, loan_id: str, now: datetime, book: Book) -> Facts:
    """All that a decision rests on, as of this statement; call it after the locks."""
    row = await connection.fetchrow(f"select {_MONEY}, {_PERSON}", loan_id, person_id, now - CONTACTS_KEPT_IN_SIGHT)
    return _facts(loan_id, person_id, row, book)


_WAITING = "exists (select 1 from message w where w.case_id = $4 and w.taken_at is null) as anything_waits"


async def read_facts_and_waiting(
    connection: Connection, case: CaseRow, now: datetime, book: Book
) -> tuple[Facts, Sequence[Said]]:
    """The facts of a case under its lock, and the messages that no step has taken, oldest first."""
    row = await connection.fetchrow(
        f"select {_MONEY}, {_PERSON}, {_WAITING}",
        case.loan_id,
        case.person_id,
        now - CONTACTS_KEPT_IN_SIGHT,
        case.id,
    )
    facts = _facts(case.loan_id, case.person_id, row, book)
    assert row is not None
    if not row["anything_waits"]:
        return facts, ()
    rows = await connection.fetch(
        "select id, name, raw from message where case_id = $1 and taken_at is null order by arrived_at, id", case.id
    )
    words = await unseal_words(connection, case.person_id, [r["raw"] for r in rows])
    return facts, [Said(r["id"], r["name"], said) for r, said in zip(rows, words, strict=True)]


def _facts(loan_id: str, person_id: str, row: asyncpg.Record | None, book: Book) -> Facts:
    if row is None or row["currency"] is None or row["person"] is None:
        raise LookupError(f"no loan {loan_id} of person {person_id}")
    return Facts(_money(loan_id, row), _person(person_id, row), book)


async def read_money(connection: Connection, loan_id: str) -> LoanMoney:
    """The money facts of one loan."""
    row = await connection.fetchrow(f"select {_MONEY}", loan_id)
    if row is None or row["currency"] is None:
        raise LookupError(f"no loan {loan_id}")
    return _money(loan_id, row)


def _money(loan_id: str, row: asyncpg.Record) -> LoanMoney:
    # A loan that came without instalments owes nothing yet.
    schedules = tuple(
        Schedule(_day(from_on), tuple(Instalment(n, _day(due), amount) for n, due, amount in parts or ()), covered)
        for from_on, covered, parts in _list(row["schedules"])
    ) or (Schedule(date.min, ()),)
    events = _list(row["money"])
    came = tuple(
        Credit(source, id, _day(on), amount, kind) for source, id, on, amount, kind, back in events if not back
    )
    backs = tuple(sorted(_day(back) for *_, back in events if back))
    return LoanMoney(loan_id, row["currency"], schedules, came, backs)


def _person(person_id: str, row: asyncpg.Record) -> Person:
    zone, language, jurisdiction, points, past, version = json.loads(row["person"])
    holds = tuple(
        Hold(id, kind, _instant(at), loan, channel, _day(ends) if ends else None, _instant(lifted) if lifted else None)
        for id, kind, at, loan, channel, ends, lifted in _list(row["holds"])
    )
    contacts = tuple(
        Contact(_instant(at), channel, purpose, loan, state)
        for at, channel, purpose, loan, state in _list(row["contacts"])
    )
    return Person(person_id, zone, language, jurisdiction, frozenset(points), holds, contacts, past, version)


def _list(value: str | None) -> Sequence[Any]:
    return json.loads(value) if value else ()


@lru_cache(maxsize=20_000)
def _day(text: str) -> date:
    return date.fromisoformat(text)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
