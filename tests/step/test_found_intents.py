"""An attempt died between its two transactions, or is slow: what the next one makes of the intent it finds."""

import asyncio
import json
import signal
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from dunwell.domain.case import case_id_of
from dunwell.domain.messages import NextStep
from dunwell.domain.person import Hold
from dunwell.intake import events
from tests.step.lender import CHECKOUT, Lender

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)
SOON, A_DAY = timedelta(minutes=5), timedelta(days=1)
# Neither has left when the provider hangs before, each has when it hangs after.
NOT_LEFT, LEFT = "hang_before", "hang_after"


async def die_sending(lender: Lender, loan: str, fault: str) -> None:
    """A process is killed while the provider does not answer it; the intent stays behind."""
    case = case_id_of(loan)
    await lender.sweep(AT, loan.rpartition("-")[0])
    lender.provider("faults", channel="sms", chances={fault: 1.0})
    told = {"dsn": lender.dsn, "provider_url": lender.provider_url, "at": AT.isoformat(), "crew": [[loan]]}
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.step.attempt", json.dumps(told), cwd=CHECKOUT
    )
    async with asyncio.timeout(60):
        while not await lender.intents(case) or (fault == LEFT and not lender.received(loan.rpartition("-")[0])):
            assert dying.returncode is None, "the process ended before it could be killed"
            await asyncio.sleep(0.05)
    dying.kill()
    assert await dying.wait() == -signal.SIGKILL
    lender.provider("faults", channel="sms")
    assert [i["state"] for i in await lender.intents(case)] == ["planned"]


async def try_again(lender: Lender, loan: str, at: datetime) -> NextStep:
    """The server starts the same step again."""
    case = case_id_of(loan)
    return await lender.work(case, "remind", at, sequence=(await lender.row(case))["sequence"])


async def outcomes(lender: Lender, loan: str) -> list[tuple[str, str]]:
    """State and code of each contact in the case's journal."""
    return [(made["state"], made["code"]) for made in await lender.journal(case_id_of(loan), "contact_made")]


@pytest.mark.parametrize(("later", "code"), [(A_DAY, "expired"), (SOON, "facts_changed")])
async def test_an_intent_found_behind_a_stop_is_abandoned_and_its_reservation_returned(
    lender: Lender, later: timedelta, code: str
) -> None:
    person = f"stopped-{code}"
    [loan, other] = await lender.lend(person, date(2025, 1, 10), loans=2)
    await die_sending(lender, loan, NOT_LEFT)
    stop = Hold(f"{person}/stop", "complaint", AT + SOON / 2)
    await events.hold(lender.pool, person, stop)

    coming = await try_again(lender, loan, AT + later)
    assert (coming.kind, "complaint" in coming.reason) == ("assess", True)
    assert await outcomes(lender, loan) == [("abandoned", code)]
    assert lender.received(person) == []

    # The day's one contact is free again once the stop is lifted: the other loan may use it.
    lifted_at = AT + later + SOON
    await events.lift(lender.pool, person, "complaint", None, f"{person}/lifted", lifted_at)
    due = await lender.work(case_id_of(other), "assess", lifted_at)
    assert due.due <= lifted_at
    await try_again(lender, other, lifted_at)
    assert await outcomes(lender, other) == [("sent", "accepted")]
    assert len(lender.received(person)) == 1


async def test_an_intent_that_did_leave_is_recorded_and_not_sent_again(lender: Lender) -> None:
    [loan] = await lender.lend("has-left", date(2025, 1, 10))
    await die_sending(lender, loan, LEFT)

    await try_again(lender, loan, AT + SOON)
    assert await outcomes(lender, loan) == [("sent", "accepted")]
    assert len(lender.received("has-left")) == 1


async def test_an_intent_that_did_not_leave_goes_out_with_its_own_key(lender: Lender) -> None:
    [loan] = await lender.lend("not-left", date(2025, 1, 10))
    await die_sending(lender, loan, NOT_LEFT)

    await try_again(lender, loan, AT + SOON)
    [intent] = await lender.intents(case_id_of(loan))
    [message] = lender.received("not-left")
    assert (intent["state"], intent["attempts"], str(intent["key"])) == ("sent", 2, message["key"])


async def test_where_nothing_can_be_looked_up_but_keys_are_honoured_the_same_key_is_sent_again(lender: Lender) -> None:
    lender = lender.by_contract(honours_keys=True, can_look_up=False)
    [loan] = await lender.lend("honours", date(2025, 1, 10))
    await die_sending(lender, loan, LEFT)

    await try_again(lender, loan, AT + SOON)
    assert await outcomes(lender, loan) == [("sent", "accepted")]
    assert len(lender.received("honours")) == 1


@pytest.mark.parametrize("fault", [LEFT, NOT_LEFT])
async def test_where_nobody_can_say_it_counts_as_made_and_is_never_sent_again(lender: Lender, fault: str) -> None:
    person = f"neither-{fault}"
    lender.provider("modes", mode="neither")
    lender = lender.by_contract(honours_keys=False, can_look_up=False)
    [loan, other] = await lender.lend(person, date(2025, 1, 10), loans=2)
    await die_sending(lender, loan, fault)
    reached = len(lender.received(person))

    coming = await try_again(lender, loan, AT + SOON)
    assert await outcomes(lender, loan) == [("unknown", "no_answer")]
    assert coming.due - AT > A_DAY
    waits = await lender.work(case_id_of(other), "assess", AT + 2 * SOON)
    assert waits.due.date() > AT.date()
    assert len(lender.received(person)) == reached == (fault == LEFT)


async def test_a_key_older_than_the_provider_keeps_it_is_never_sent_again(lender: Lender) -> None:
    lender = lender.by_contract(honours_keys=True, can_look_up=True, keeps_keys_hours=1)
    [loan] = await lender.lend("forgotten", date(2025, 1, 10))
    await die_sending(lender, loan, NOT_LEFT)

    await try_again(lender, loan, AT + timedelta(minutes=61))
    assert await outcomes(lender, loan) == [("unknown", "no_answer")]
    assert lender.received("forgotten") == []


async def test_a_slow_attempt_that_was_overtaken_changes_nothing(lender: Lender) -> None:
    [loan] = await lender.lend("slow", date(2025, 1, 10))
    case = case_id_of(loan)
    coming = await lender.come_due(loan, AT)
    lender.provider("faults", channel="sms", delay_after_ms=5000, times=1)

    slow = asyncio.create_task(lender.work(case, "remind", AT, sequence=coming.sequence))
    async with asyncio.timeout(20):
        while not lender.received("slow"):
            await asyncio.sleep(0.05)
    newer = await lender.work(case, "remind", AT + SOON, sequence=coming.sequence)
    assert not slow.done()

    assert await slow == newer
    assert await outcomes(lender, loan) == [("sent", "accepted")]
    assert len(lender.received("slow")) == 1
    assert [i["state"] for i in await lender.intents(case)] == ["sent"]


async def test_a_newer_attempt_waits_for_what_a_slow_one_is_still_handing_over(lender: Lender) -> None:
    [loan] = await lender.lend("handing", date(2025, 1, 10))
    case = case_id_of(loan)
    coming = await lender.come_due(loan, AT)
    lender.provider("faults", channel="sms", delay_before_ms=4000, times=1)

    slow = asyncio.create_task(lender.work(case, "remind", AT, sequence=coming.sequence))
    async with asyncio.timeout(20):
        while not await lender.intents(case):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    with pytest.raises(Exception, match="ask again later"):
        await lender.work(case, "remind", AT + SOON, sequence=coming.sequence)

    await slow
    assert (await try_again(lender, loan, AT + SOON)).kind == "remind"
    assert await outcomes(lender, loan) == [("sent", "accepted")]
    assert len(lender.received("handing")) == 1
