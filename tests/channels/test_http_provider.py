"""When a call goes wrong: what surely did not leave, and what may have."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dunwell.channels.http_provider import HttpChannel
from dunwell.channels.protocol import ChannelDown, Dispatch, OutcomeUnknown, Receipt

from .conftest import PATIENCE, Provider

Message = Callable[..., Dispatch]


def sms_at(address: str) -> HttpChannel:
    return HttpChannel(
        address, "sms", honours_keys=True, can_look_up=True, keeps_keys_for=timedelta(days=1), deadline=PATIENCE
    )


async def test_a_refused_connection_means_nothing_left(message: Message) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}"

    async with sms_at(address) as nobody_there:
        with pytest.raises(ChannelDown):
            await nobody_there.send(message())
        with pytest.raises(ChannelDown):
            await nobody_there.look_up(message().key)


async def test_a_connection_never_made_means_nothing_left(message: Message) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as door:
        # The one place in the queue is taken, so the kernel leaves further callers waiting.
        waiting = [socket.socket() for _ in range(2)]
        for caller in waiting:
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
        async with sms_at(f"http://127.0.0.1:{door.getsockname()[1]}") as unreachable:
            with pytest.raises(ChannelDown):
                await unreachable.send(message())
        for caller in waiting:
            caller.close()


async def answer_once(answer: bytes) -> tuple[asyncio.Server, str]:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(status: int, body: str = "", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Any", f"content-length: {len(body)}", "connection: close", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{",
        http(200, "welcome"),
        http(302, "", "location: /elsewhere"),
        http(409, '{"code": "in_progress"}'),
        http(500),
        http(502),
        http(504),
    ],
    ids=["closed", "cut off", "not our words", "302", "409", "500", "502", "504"],
)
async def test_an_answer_that_decides_nothing_leaves_the_outcome_unknown(answer: bytes, message: Message) -> None:
    server, address = await answer_once(answer)
    async with server, sms_at(address) as sms:
        with pytest.raises(OutcomeUnknown):
            await sms.send(message())


@pytest.mark.parametrize("status", [301, 307, 401, 408, 429, 503])
async def test_an_answer_that_takes_nothing_means_down(status: int, message: Message) -> None:
    server, address = await answer_once(http(status, "", "location: /elsewhere"))
    async with server, sms_at(address) as sms:
        with pytest.raises(ChannelDown):
            await sms.send(message())


async def test_a_refusal_in_other_words_fails_with_its_status(message: Message) -> None:
    server, address = await answer_once(http(413, "too large"))
    async with server, sms_at(address) as sms:
        assert await sms.send(message()) == Receipt("failed", None, "http_413")


async def test_a_bare_404_is_never_taken_for_not_sent(message: Message) -> None:
    server, address = await answer_once(http(404, "no such page"))
    async with server, sms_at(address) as sms:
        with pytest.raises(OutcomeUnknown):
            await sms.look_up(message().key)


async def test_a_wrong_token_reaches_nobody_and_is_told_apart_from_a_failure(
    provider: Provider, message: Message
) -> None:
    async with provider.channel(secret="another-token") as stranger:
        with pytest.raises(ChannelDown, match="401"):
            await stranger.send(message())

    assert provider.received() == 0


async def test_a_message_for_another_channel_is_not_sent(provider: Provider, message: Message) -> None:
    async with provider.channel("email") as mail:
        with pytest.raises(ValueError, match="for sms, handed to the email provider"):
            await mail.send(message())


@pytest.mark.parametrize("address", ["provider:8090", "ftp://provider", "https://me:secret@provider", ""])
def test_an_address_that_cannot_be_called_is_refused_without_showing_a_secret(address: str) -> None:
    with pytest.raises(ValueError, match="use http://host:port") as refused:
        sms_at(address)

    assert "me:secret" not in str(refused.value)


def test_a_dispatch_needs_a_uuid_and_an_instant(message: Message) -> None:
    with pytest.raises(ValueError, match="draw one with uuid4"):
        message(key="reminder-1")
    with pytest.raises(ValueError, match="has no time zone"):
        message(expires_at=datetime.now(UTC).replace(tzinfo=None))
