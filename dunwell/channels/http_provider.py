"""A provider reached over HTTP, one call for each message."""

import asyncio
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from dunwell.channels.protocol import ChannelDown, Dispatch, OutcomeUnknown, Receipt

# Moved for good, no or a stale token, half a request, too early, too many, unavailable: the provider did not take it.
SURELY_NOT_ACCEPTED = frozenset({301, 307, 308, 401, 408, 425, 429, 503})
# Another request with this key runs, or said something else: what became of that one decides.
KEY_IN_CONFLICT = 409
DEADLINE = timedelta(seconds=10)


class _Answer(BaseModel):
    state: Literal["sent", "failed"]
    code: str
    provider_id: str | None = None
    at: datetime | None = None

    def as_receipt(self) -> Receipt:
        return Receipt(self.state, self.provider_id, self.code, self.at)


class _Departure:
    """Notices the moment from which a request may have reached the provider."""

    def __init__(self) -> None:
        self.happened = False

    async def watch(self, event: str, _details: dict[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.happened = True


class HttpChannel:
    """One channel of a provider at `base_url`.

    Args:
        base_url: http or https address, without credentials in it.
        channel: The channel's code, part of the path.
        secret: Bearer token, never shown or logged.
        honours_keys: As in `Channel`.
        can_look_up: As in `Channel`.
        keeps_keys_for: As in `Channel`.
        deadline: For a whole call, from the wait for a connection to the last byte of the answer.

    Raises:
        ValueError: the address or the secret cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        channel: str,
        secret: str | None = None,
        *,
        honours_keys: bool,
        can_look_up: bool,
        keeps_keys_for: timedelta,
        deadline: timedelta = DEADLINE,
    ) -> None:
        address = _checked_address(base_url)
        if secret is not None and not (secret and secret.isascii() and secret.isprintable() and " " not in secret):
            raise ValueError(f"secret of the {channel} provider: not a bearer token; use visible ASCII without blanks")
        self.channel = channel
        self.honours_keys = honours_keys
        self.can_look_up = can_look_up
        self.keeps_keys_for = keeps_keys_for
        self._deadline = deadline.total_seconds()
        self._messages = f"{address}/v1/{quote(channel, safe='')}/messages"
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {secret}"} if secret else None,
            # The deadline covers the whole call, where httpx would limit each read by itself.
            timeout=httpx.Timeout(None),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(self, dispatch: Dispatch) -> Receipt:
        """As `Channel.send`. A 401 counts as down: a stale token must not turn the day's messages into failures.

        Raises:
            ValueError: the message is meant for another channel.
            ChannelDown, OutcomeUnknown: as `Channel.send`.
        """
        if dispatch.channel != self.channel:
            raise ValueError(f"message {dispatch.key}: for {dispatch.channel}, handed to the {self.channel} provider")
        departure = _Departure()
        request = self._client.build_request(
            "POST",
            self._messages,
            headers={"idempotency-key": dispatch.key},
            json={
                "to": dispatch.to,
                "text": dispatch.text,
                "subject": dispatch.subject,
                "language": dispatch.language,
                "purpose": dispatch.purpose,
                "expires_at": dispatch.expires_at.isoformat(),
            },
            extensions={"trace": departure.watch},
        )
        try:
            response = await self._answer_to(request)
        except (httpx.RequestError, TimeoutError) as broken:
            if departure.happened:
                raise OutcomeUnknown(f"{self._about(dispatch.key)} left, no answer: {_name(broken)}") from broken
            raise ChannelDown(f"{self._about(dispatch.key)} did not leave: {_name(broken)}") from broken
        return self._read_receipt(dispatch.key, response)

    async def look_up(self, key: str) -> Receipt | None:
        """As `Channel.look_up`."""
        about = self._about(key)
        if not self.can_look_up:
            raise OutcomeUnknown(f"{about}: this provider looks nothing up")
        try:
            response = await self._answer_to(
                self._client.build_request("GET", f"{self._messages}/{quote(key, safe='')}")
            )
        except (httpx.RequestError, TimeoutError) as broken:
            raise ChannelDown(f"{about}: look-up not answered: {_name(broken)}") from broken
        status = response.status_code
        if status == httpx.codes.OK and (answer := _answer_in(response)) is not None:
            return answer.as_receipt()
        # A bare 404 may come from a wrong address; taking it for "not sent" would send twice.
        if status == httpx.codes.NOT_FOUND and _code_in(response) == "unknown_key":
            return None
        undecided_yet = status == httpx.codes.ACCEPTED
        if undecided_yet or status in SURELY_NOT_ACCEPTED or (status >= 500 and status != httpx.codes.NOT_IMPLEMENTED):
            raise ChannelDown(f"{about}: look-up answered {status}; ask again later")
        raise OutcomeUnknown(f"{about}: look-up answered {status}, which decides nothing")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _answer_to(self, request: httpx.Request) -> httpx.Response:
        async with asyncio.timeout(self._deadline):
            return await self._client.send(request)

    def _read_receipt(self, key: str, response: httpx.Response) -> Receipt:
        status = response.status_code
        if status in SURELY_NOT_ACCEPTED:
            raise ChannelDown(f"{self._about(key)} not accepted: answer {status}")
        answer = _answer_in(response)
        if answer is not None and (response.is_success or (response.is_client_error and answer.state == "failed")):
            return answer.as_receipt()
        if response.is_client_error and status != KEY_IN_CONFLICT:
            return Receipt("failed", None, _code_in(response) or f"http_{status}")
        raise OutcomeUnknown(f"{self._about(key)} left, answer {status} decides nothing")

    def _about(self, key: str) -> str:
        return f"{self.channel} message {key}"


def _checked_address(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as wrong:
        raise ValueError(f"provider address: {wrong}; use http://host:port or https://host") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ValueError(
            f"provider address {url.scheme}://{url.host}: use http://host:port or https://host; "
            "the token has a setting of its own"
        )
    return base_url.rstrip("/")


def _answer_in(response: httpx.Response) -> _Answer | None:
    try:
        return _Answer.model_validate_json(response.content)
    except ValidationError:
        return None


class _Refusal(BaseModel):
    code: str


def _code_in(response: httpx.Response) -> str | None:
    try:
        return _Refusal.model_validate_json(response.content).code
    except ValidationError:
        return None


def _name(error: Exception) -> str:
    return type(error).__name__
