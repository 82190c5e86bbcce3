"""What can happen in a case. A case is the fold of these; each is one entry of its journal.

They hold ids, codes, amounts (minor units) and dates, never a name, an address or a text.
"""

import json
import re
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from dunwell.domain.codes import Channel, Ending, Stage, StepKind


class UnknownEvent(ValueError):
    """An event this release does not know: a newer worker wrote it, and must go on with it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Fields are only ever added, with a default."""

    kind: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def body(self) -> dict[str, Any]:
        """The event as plain JSON values."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


@dataclass(frozen=True, slots=True)
class Due:
    """A dated amount: part of a plan or an offer."""

    due_on: date
    amount: int


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a person may choose in an offer."""

    deferral: bool
    dues: tuple[Due, ...]


@dataclass(frozen=True, slots=True)
class EpisodeOpened(Event):
    number: int
    opened_on: date
    anchor: date
    dpd: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReasonAnalysed(Event):
    reason: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class PathChosen(Event):
    path: str
    content_hash: str
    why: str
    by_segment: bool = False


@dataclass(frozen=True, slots=True)
class AnchorMoved(Event):
    anchor: date
    dpd: int


@dataclass(frozen=True, slots=True)
class StageEntered(Event):
    stage: Stage
    why: str


@dataclass(frozen=True, slots=True)
class StepSkipped(Event):
    step: str
    anchor: date
    why: str


@dataclass(frozen=True, slots=True)
class ContactIntended(Event):
    number: int
    step: str
    anchor: date
    channel: Channel
    purpose: str
    template: str
    amount: int
    currency: str
    rules: tuple[str, ...]
    rules_hash: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactMade(Event):
    """The effect's outcome: sent, failed, unknown (counted as made) or abandoned."""

    number: int
    step: str
    anchor: date
    channel: Channel
    purpose: str
    state: str
    code: str


@dataclass(frozen=True, slots=True)
class ContactWithheld(Event):
    step: str
    channel: Channel
    answer: str
    code: str
    why: str
    rules: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class ContactAnswered(Event):
    number: int
    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PointFailed(Event):
    channel: Channel
    result: str


@dataclass(frozen=True, slots=True)
class MessageHeard(Event):
    id: str
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class MessageKept(Event):
    """A message that could not be understood: kept raw, and a person is asked."""

    id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class PromiseMade(Event):
    number: int
    amount: int
    due_on: date
    verdict_on: date
    needed: int
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromiseRefused(Event):
    why: str


@dataclass(frozen=True, slots=True)
class PromiseJudged(Event):
    number: int
    verdict: str
    received: int


@dataclass(frozen=True, slots=True)
class OfferMade(Event):
    number: int
    options: tuple[Option, ...]
    until: date


@dataclass(frozen=True, slots=True)
class OfferAnswered(Event):
    number: int
    answer: str
    choice: int | None


@dataclass(frozen=True, slots=True)
class PlanStarted(Event):
    number: int
    dues: tuple[Due, ...]
    deferral: bool
    settles: int
    known: tuple[str, ...]
    grace_days: int
    missed_to_break: int


@dataclass(frozen=True, slots=True)
class PlanInstalmentJudged(Event):
    number: int
    index: int
    verdict: str


@dataclass(frozen=True, slots=True)
class PlanEnded(Event):
    number: int
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked(Event):
    what: str
    facts_hash: str
    until: date


@dataclass(frozen=True, slots=True)
class ApprovalGiven(Event):
    what: str
    answer: str
    by: str


@dataclass(frozen=True, slots=True)
class HoldSeen(Event):
    hold: str
    hold_kind: str
    ends_on: date | None


@dataclass(frozen=True, slots=True)
class HoldEnded(Event):
    hold: str
    hold_kind: str


@dataclass(frozen=True, slots=True)
class MoneyChanged(Event):
    """The loan as this case saw it after money moved; minor units."""

    outstanding: int
    past_due: int
    credit: int
    paid: int


@dataclass(frozen=True, slots=True)
class DecisionTaken(Event):
    what: str
    by: str
    amount: int | None = None
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class AttentionRaised(Event):
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class AttentionCleared(Event):
    by: str


@dataclass(frozen=True, slots=True)
class EpisodeClosed(Event):
    number: int
    ending: Ending
    opened_on: date | None
    ended_on: date
    worst_dpd: int


@dataclass(frozen=True, slots=True)
class Planned(Event):
    """The next step, when and why: it covers every moment until it is due."""

    step_kind: StepKind
    step: str | None
    channel: Channel | None
    due: datetime
    code: str
    why: str
    dpd: int
    worst_dpd: int
    outstanding: int
    past_due: int
    credit: int


_KINDS: dict[str, type[Event]] = {c.kind: c for c in Event.__subclasses__()}
_ADAPTERS: dict[str, TypeAdapter[Event]] = {k: TypeAdapter(c) for k, c in _KINDS.items()}


def decode(kind: str, body: dict[str, Any]) -> Event:
    """The event of a journal entry.

    Raises: UnknownEvent when this release does not know the kind or cannot read the body.
    """
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        raise UnknownEvent(f"journal entry of unknown kind {kind!r}: written by a newer release")
    try:
        return adapter.validate_python(body)
    except ValidationError as e:
        raise UnknownEvent(f"journal entry {kind!r} does not read: {e}") from e


def fields_of(kind: str) -> frozenset[str] | None:
    """The names of an event's own fields; None for a kind this release does not know."""
    found = _KINDS.get(kind)
    return None if found is None else frozenset(f.name for f in fields(found))


def canonical(value: dict[str, Any]) -> bytes:
    """Canonical bytes of JSON: UTF-8, keys sorted, no spaces. These are what is hashed and kept."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
