"""What every provider looks like to a step that wants to reach somebody."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message to one person, court or agency.

    Attributes:
        key: UUID as text; the same for every attempt at the same message.
        channel: sms, email, voice, letter, legal or agency.
        to: E.164 number, e-mail address, postal line, or the name of a court or agency.
        text: The rendered message.
        subject: The subject line, where the channel has one.
        language: BCP 47 tag of the text.
        purpose: Why it is sent, as a code.
        expires_at: In UTC; after this instant the message must not leave.

    Raises:
        ValueError: the key is no UUID, or `expires_at` has no time zone.
    """

    key: str
    channel: str
    to: str
    text: str
    subject: str | None
    language: str
    purpose: str
    expires_at: datetime

    def __post_init__(self) -> None:
        try:
            UUID(self.key)
        except ValueError:
            raise ValueError(f"Dispatch.key: {self.key!r} is no UUID; draw one with uuid4()") from None
        if self.expires_at.utcoffset() is None:
            raise ValueError(f"Dispatch.expires_at: {self.expires_at} has no time zone; give it in UTC")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider says has become of a message.

    Attributes:
        state: sent = it is on its way to the person; failed = it surely is not and will not be.
        provider_id: The provider's own id of the message.
        code: accepted, invalid_address, refused, expired, or the provider's own word.
        at: When the provider took or refused it, by its own clock.
    """

    state: Literal["sent", "failed"]
    provider_id: str | None
    code: str
    at: datetime | None = None


class ChannelDown(Exception):
    """Nothing left through this call; the same message may be tried again later, with the same key."""


class OutcomeUnknown(Exception):
    """The message may have left and nobody can tell; look it up before anything else, never just send again."""


class Channel(Protocol):
    """A provider of one channel. All three properties are what its contract promises."""

    @property
    def honours_keys(self) -> bool:
        """Whether a second send with the same key reaches nobody a second time."""
        ...

    @property
    def can_look_up(self) -> bool:
        """Whether the provider can say what became of a key."""
        ...

    @property
    def keeps_keys_for(self) -> timedelta:
        """How long it remembers a key; an older key must be neither sent again nor looked up."""
        ...

    async def send(self, dispatch: Dispatch) -> Receipt:
        """Hand the message over once, without retries.

        Raises:
            ChannelDown: it surely was not accepted.
            OutcomeUnknown: it left us and no clear answer came.
        """
        ...

    async def look_up(self, key: str) -> Receipt | None:
        """Say what became of a key; None means the provider surely has not got it and will not send it.

        Raises:
            ChannelDown: no answer yet; ask again later.
            OutcomeUnknown: the provider cannot say, now or later.
        """
        ...
