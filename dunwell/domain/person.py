"""The human behind one or more loans: how to reach them, what stops it, what was already said."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dunwell.domain.codes import Channel, HoldKind, IntentState


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that stops or limits what may be done. `loan_id` None: every loan of the person.

    `channel` narrows contact-point holds (opt-out, wrong party) to that channel; None is all.
    """

    id: str
    kind: HoldKind
    placed_at: datetime
    loan_id: str | None = None
    channel: Channel | None = None
    ends_on: date | None = None
    lifted_at: datetime | None = None

    def in_force(self, today: date) -> bool:
        """True until lifted or past its last day; an unknown end is still in force."""
        return self.lifted_at is None and (self.ends_on is None or today <= self.ends_on)


@dataclass(frozen=True, slots=True)
class Contact:
    """An outbound attempt, counted over all channels and loans of the person."""

    at: datetime
    channel: Channel
    purpose: str
    loan_id: str
    state: IntentState


@dataclass(frozen=True, slots=True)
class Person:
    """What the domain may know of a person: no name, no address, no text."""

    id: str
    time_zone: str | None
    language: str
    jurisdiction: str
    usable: frozenset[Channel]
    holds: tuple[Hold, ...] = ()
    contacts: tuple[Contact, ...] = ()
    past_episodes: int = 0
    version: int = 0

    @property
    def zone(self) -> tzinfo | None:
        """The person's own zone, or None where it is not known."""
        if not self.time_zone:
            return None
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return None

    def today(self, now: datetime) -> date:
        """The business date where the person lives; UTC's where that is unknown."""
        return now.astimezone(self.zone or UTC).date()

    def holds_on(self, loan_id: str, today: date) -> tuple[Hold, ...]:
        """Holds in force that touch this loan."""
        return tuple(h for h in self.holds if h.loan_id in (None, loan_id) and h.in_force(today))

    def placed(self, hold: Hold) -> "Person":
        """The same person with one more hold; placing it again changes nothing."""
        if any(h.id == hold.id for h in self.holds):
            return self
        return replace(self, holds=(*self.holds, hold))

    def lifted(self, kind: HoldKind, loan_id: str | None, at: datetime) -> "Person":
        """The same person with the open holds of a kind ended."""
        return replace(
            self,
            holds=tuple(
                replace(h, lifted_at=at) if h.kind == kind and h.loan_id == loan_id and h.lifted_at is None else h
                for h in self.holds
            ),
        )

    def without(self, channel: Channel) -> "Person":
        """The same person with a contact point that proved unusable."""
        return replace(self, usable=self.usable - {channel})

    def contacted(self, contact: Contact) -> "Person":
        """The same person with one more attempt on record."""
        return replace(self, contacts=(*self.contacts, contact))
