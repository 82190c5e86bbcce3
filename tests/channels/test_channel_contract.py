"""What a step may rely on, whatever a provider can and cannot do."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from dunwell.channels.http_provider import HttpChannel
from dunwell.channels.protocol import Channel, ChannelDown, Dispatch, OutcomeUnknown

from .conftest import Provider

Message = Callable[..., Dispatch]


@dataclass(frozen=True)
class Kind:
    mode: str
    honours_keys: bool
    can_look_up: bool


@pytest.fixture(
    params=[Kind("honours_keys", True, True), Kind("looks_up", False, True), Kind("neither", False, False)],
    ids=lambda kind: kind.mode,
)
async def sms(request: pytest.FixtureRequest, provider: Provider) -> AsyncIterator[HttpChannel]:
    kind: Kind = request.param
    provider.control("modes", mode=kind.mode)
    async with provider.channel(honours_keys=kind.honours_keys, can_look_up=kind.can_look_up) as channel:
        yield channel


async def test_a_message_reaches_its_person_once_and_word_for_word(
    sms: Channel, provider: Provider, message: Message
) -> None:
    reminder = message()

    receipt = await sms.send(reminder)

    (received,) = provider.read("/control/messages", to=reminder.to)["messages"]
    assert (receipt.state, receipt.code, receipt.provider_id) == ("sent", "accepted", received["provider_id"])
    assert (received["key"], received["text"]) == (reminder.key, reminder.text)
    assert receipt.at is not None
    assert receipt.at.utcoffset() is not None


async def test_a_second_send_with_the_same_key_reaches_nobody_where_keys_are_honoured(
    sms: Channel, provider: Provider, message: Message
) -> None:
    reminder = message()

    first, second = await sms.send(reminder), await sms.send(reminder)

    assert (first == second) is sms.honours_keys
    counts = provider.read("/control/counts")
    assert counts["max_per_key"] == (1 if sms.honours_keys else 2)
    assert counts["duplicates_by_key"] == counts["duplicates_by_content"] == (0 if sms.honours_keys else 1)


async def test_looking_up_tells_sent_from_never_arrived(sms: Channel, message: Message) -> None:
    sent, never_sent = message(), message()
    receipt = await sms.send(sent)

    if sms.can_look_up:
        assert await sms.look_up(sent.key) == receipt
        assert await sms.look_up(never_sent.key) is None
    else:
        with pytest.raises(OutcomeUnknown):
            await sms.look_up(sent.key)


async def test_a_refused_message_has_failed_and_reached_nobody(
    sms: Channel, provider: Provider, message: Message
) -> None:
    provider.control("faults", chances={"refuse": 1})
    reminder = message()

    receipt = await sms.send(reminder)

    assert (receipt.state, receipt.code) == ("failed", "refused")
    assert provider.received() == 0
    if sms.can_look_up:
        assert await sms.look_up(reminder.key) == receipt


@pytest.mark.parametrize(
    ("channel", "address"), [("sms", "07700 900123"), ("voice", "+12"), ("email", "nobody.example"), ("letter", " ")]
)
async def test_an_address_that_cannot_exist_fails(
    provider: Provider, message: Message, channel: str, address: str
) -> None:
    async with provider.channel(channel) as wrong:
        receipt = await wrong.send(message(channel=channel, to=address))

    assert (receipt.state, receipt.code) == ("failed", "invalid_address")


@pytest.mark.parametrize(("fault", "received"), [("error_before", 0), ("error_after", 1)])
async def test_an_inner_error_of_the_provider_leaves_the_outcome_unknown(
    sms: Channel, provider: Provider, message: Message, fault: str, received: int
) -> None:
    provider.control("faults", chances={fault: 1})

    with pytest.raises(OutcomeUnknown):
        await sms.send(message())

    assert provider.received() == received


async def test_a_busy_provider_is_down_and_takes_the_message_later(
    sms: Channel, provider: Provider, message: Message
) -> None:
    provider.control("faults", chances={"busy": 1}, times=1)
    reminder = message()

    with pytest.raises(ChannelDown):
        await sms.send(reminder)

    assert (await sms.send(reminder)).state == "sent"
    assert provider.received() == 1


@pytest.mark.parametrize(("fault", "received"), [("hang_before", 0), ("hang_after", 1)])
async def test_a_hanging_provider_is_given_up_at_the_deadline_with_the_outcome_unknown(
    sms: Channel, provider: Provider, message: Message, fault: str, received: int
) -> None:
    provider.control("faults", chances={fault: 1})

    with pytest.raises(OutcomeUnknown):
        await sms.send(message())

    assert provider.received() == received
