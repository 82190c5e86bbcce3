"""The sandbox provider keeps its word over kills, and misbehaves exactly as told."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dunwell.channels.protocol import ChannelDown, Dispatch, OutcomeUnknown

from .conftest import Provider

Message = Callable[..., Dispatch]
LONG = timedelta(seconds=10)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.01)


async def test_a_kill_between_accept_and_answer_keeps_the_message(provider: Provider, message: Message) -> None:
    provider.control("faults", delay_after_ms=60_000)
    reminder = message()

    async with provider.channel(deadline=LONG) as sms:
        sending = asyncio.create_task(sms.send(reminder))
        await until(lambda: provider.received() == 1)
        assert provider.kill() == -9
        with pytest.raises(OutcomeUnknown):
            await sending

        provider.start()
        found = await sms.look_up(reminder.key)

        assert found is not None
        assert found.state == "sent"
        assert await sms.send(reminder) == found
    assert provider.received() == 1


async def test_what_had_not_left_before_a_kill_never_leaves(provider: Provider, message: Message) -> None:
    provider.control("faults", delay_before_ms=60_000)
    reminder = message()

    async with provider.channel(deadline=LONG) as sms:
        sending = asyncio.create_task(sms.send(reminder))
        await until(lambda: provider.status(f"/v1/sms/messages/{reminder.key}") == 202)
        provider.kill()
        with pytest.raises(OutcomeUnknown):
            await sending

        provider.start()

        assert await sms.look_up(reminder.key) is None


@pytest.mark.parametrize("mode", ["honours_keys", "looks_up"])
async def test_a_message_that_may_still_leave_is_not_looked_up_as_never_sent(
    provider: Provider, message: Message, mode: str
) -> None:
    provider.control("modes", mode=mode)
    provider.control("faults", delay_before_ms=1_000, times=1)
    reminder = message()

    async with provider.channel() as sms:
        with pytest.raises(OutcomeUnknown):
            await sms.send(reminder)
        with pytest.raises(ChannelDown, match="202"):
            await sms.look_up(reminder.key)
        if mode == "honours_keys":
            with pytest.raises(OutcomeUnknown, match="409"):
                await sms.send(reminder)
        await until(lambda: provider.received() == 1)

        assert await sms.look_up(reminder.key) is not None


async def test_a_key_used_for_other_words_is_no_failure_of_the_first_message(
    provider: Provider, message: Message
) -> None:
    first = message()
    async with provider.channel() as sms:
        receipt = await sms.send(first)
        with pytest.raises(OutcomeUnknown, match="409"):
            await sms.send(message(key=first.key, text="Other words."))

        assert await sms.look_up(first.key) == receipt


async def test_a_message_past_its_window_does_not_leave(provider: Provider, message: Message) -> None:
    provider.control("modes", refuses_expired=True)
    provider.control("faults", delay_before_ms=200)

    async with provider.channel() as sms:
        receipt = await sms.send(message(expires_at=datetime.now(UTC) + timedelta(milliseconds=100)))

    assert (receipt.state, receipt.code) == ("failed", "expired")


async def test_the_same_seed_hits_the_same_messages_in_any_order(provider: Provider, message: Message) -> None:
    reminders = [message() for _ in range(40)]

    async def refused(order: list[Dispatch]) -> set[str]:
        provider.control("faults", chances={"refuse": 0.3}, seed=7)
        provider.control("modes", mode="looks_up")
        async with provider.channel(deadline=LONG) as sms:
            receipts = [await sms.send(reminder) for reminder in order]
        return {sent.key for sent, receipt in zip(order, receipts, strict=True) if receipt.state == "failed"}

    hit = await refused(reminders)

    assert 0 < len(hit) < len(reminders)
    assert await refused(reminders[::-1]) == hit


async def test_modes_outlive_a_restart_and_faults_do_not(provider: Provider, message: Message) -> None:
    provider.control("modes", channel="email", mode="neither")
    provider.control("faults", chances={"busy": 1})
    assert provider.stop() == 0
    provider.start()

    async with provider.channel("email") as mail, provider.channel() as sms:
        sent = message(channel="email", to="someone@example.org")
        assert (await mail.send(sent)).state == "sent"
        with pytest.raises(OutcomeUnknown, match="501"):
            await mail.look_up(sent.key)
        assert await sms.look_up(sent.key) is None


async def test_reports_come_when_due_and_a_late_one_never_slips_behind_the_cursor(
    provider: Provider, message: Message
) -> None:
    provider.control("modes", channel="sms", reports=True)
    provider.control("faults", report_delay_ms=400, times=1)
    late, prompt = message(), message()

    async with provider.channel() as sms:
        await sms.send(late)
        await sms.send(prompt)
    first = provider.read("/v1/sms/reports")
    await until(lambda: bool(provider.read("/v1/sms/reports", after=first["cursor"])["reports"]))
    second = provider.read("/v1/sms/reports", after=first["cursor"])

    assert [report["key"] for report in first["reports"]] == [prompt.key]
    assert [(report["key"], report["state"]) for report in second["reports"]] == [(late.key, "delivered")]
    assert provider.read("/v1/sms/reports", after=second["cursor"]) == {"reports": [], "cursor": second["cursor"]}


async def test_counts_tell_repeated_keys_from_repeated_words(provider: Provider, message: Message) -> None:
    provider.control("modes", mode="neither")
    once, twice = message(), message(to="+447700900456")

    async with provider.channel() as sms:
        for dispatch in (once, message(), twice, twice):
            await sms.send(dispatch)

    assert provider.read("/control/counts") == {
        "total": 4,
        "by_channel": {"sms": 4},
        "max_per_key": 2,
        "duplicates_by_key": 1,
        "duplicates_by_content": 2,
        "failed": 0,
    }


def test_without_the_token_only_the_health_check_answers(provider: Provider) -> None:
    assert httpx.get(f"{provider.address}/healthz").status_code == 200
    for path in ("/control/counts", "/control/messages", "/v1/sms/reports", "/v1/sms/messages/any"):
        assert httpx.get(f"{provider.address}{path}").status_code == 401
        assert httpx.get(f"{provider.address}{path}", headers={"authorization": "Bearer no"}).status_code == 401


async def test_a_stop_does_not_wait_for_a_hanging_call(provider: Provider, message: Message) -> None:
    provider.control("faults", chances={"hang_after": 1})

    async with provider.channel(deadline=LONG) as sms:
        sending = asyncio.create_task(sms.send(message()))
        await until(lambda: provider.received() == 1)

        assert await asyncio.to_thread(provider.stop) == 0
        with pytest.raises(OutcomeUnknown):
            await sending


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "0", "--token-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE: that variable is empty"),
        (["--port", "0", "--host", "0.0.0.0"], "needs a token"),
        (["--port", "{taken}"], "0 takes a free port"),
        (["--port", "0", "--store", "{store}"], "that no other sandbox uses"),
    ],
    ids=["no token", "open to all", "port taken", "store taken"],
)
def test_a_sandbox_that_cannot_start_says_why(
    provider: Provider, tmp_path: Path, options: list[str], said: str
) -> None:
    taken = {"taken": provider.address.rpartition(":")[2], "store": provider.store}
    command = [sys.executable, "-m", "dunwell.channels.sandbox", "--store", str(tmp_path / "other.sqlite")]

    ended = subprocess.run(
        command + [option.format(**taken) for option in options],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
