"""The journal: entries chained by hash over canonical bytes that are kept."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from dunwell.domain import events as ev


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
        head = sha256(head + kept).digest()
        if head != stored:
            return Broken(case_id, number, "the bytes do not match their hash")
        told = json.loads(kept)
        if (told.get("case"), told.get("number")) != (case_id, number):
            return Broken(case_id, number, "the entry tells of another case or place")
        expected += 1
    return None
