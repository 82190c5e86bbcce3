"""The journal: entries chained by hash over canonical bytes that are kept."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from dunwell.domain import events as ev
from dunwell.store.database import Connection


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept line of a case's journal."""

    case_id: UUID
    number: int
    at: datetime
    kind: str
    line: bytes
    hash: bytes

    @property
    def body(self) -> dict[str, object]:
        """The event's own fields."""
        body = json.loads(self.line)["body"]
        return dict(body)


def chain(case_id: UUID, length: int, head: bytes, at: datetime, told: Iterable[ev.Event]) -> Iterator[Entry]:
    """The entries that follow `head`, the hash of entry number `length`."""
    for number, event in enumerate(told, start=length + 1):
        kept = ev.canonical(
            {
                "at": at.isoformat(),
                "body": event.body(),
                "case": str(case_id),
                "kind": event.kind,
                "number": number,
            }
        )
        head = sha256(head + kept).digest()
        yield Entry(case_id, number, at, event.kind, kept, head)


async def append(connection: Connection, entries: Sequence[Entry], run_id: str | None) -> None:
    """Write entries in one statement; a number that stands already is an error, never replaced."""
    await connection.execute(
        """insert into journal (case_id, number, at, kind, bytes, hash, run_id)
           select $1, n, $2, k, b, h, $6
           from unnest($3::int[], $4::text[], $5::bytea[], $7::bytea[]) as t(n, k, b, h)""",
        entries[0].case_id,
        entries[0].at,
        [e.number for e in entries],
        [e.kind for e in entries],
        [e.line for e in entries],
        run_id,
        [e.hash for e in entries],
    )


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a chain does not hold, and why."""

    case_id: str
    number: int
    why: str


def verify(case_id: str, lines: Iterable[tuple[int, bytes, bytes]]) -> Broken | None:
    """Check one case's lines (number, bytes, hash) in order; None when the chain holds."""
    head, expected = b"", 1
    for number, kept, stored in lines:
        if number != expected:
            return Broken(case_id, expected, f"entry {expected} is missing, {number} follows")
        told = json.loads(kept)
        if (told.get("case"), told.get("number")) != (case_id, number):
            return Broken(case_id, number, "the entry tells of another case or place")
        head = sha256(head + kept).digest()
        if head != stored:
            return Broken(case_id, number, "the bytes do not match their hash")
        expected += 1
    return None
