"""What the two transactions of a step promise, whatever happens between and beside them."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

from dunwell.domain.case import case_id_of
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import InboundMessage, NextStep, PaymentReceived
from dunwell.domain.person import Hold
from dunwell.intake import events
from dunwell.store.steps import ToSend
from tests.step.lender import Lender
from tests.store.attempts import AT, DUE_ON, SOON, ask, begin, conclude, intend, note, wake_ups

QUESTION = InboundMessage(about="question")


async def waits_while_locked(lender: Lender, lock: str, key: str, work: Coroutine[Any, Any, object]) -> bool:
    """Whether the work waits as long as another transaction holds that row."""

    async def somebody_waits() -> None:
        while not await lender.pool.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.02)

    async with lender.pool.acquire() as other, other.transaction():
        await other.execute(lock, key)
        step, waiting = asyncio.create_task(work), asyncio.create_task(somebody_waits())
        async with asyncio.timeout(20):
            done, _ = await asyncio.wait({step, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await step
    return step not in done


@pytest.mark.parametrize("table", ["person", "loan"])
async def test_a_step_waits_for_whoever_changes_its_person_or_its_loan(lender: Lender, table: str) -> None:
    [loan] = await lender.lend(f"locked-{table}", DUE_ON)
    await lender.come_due(loan, AT)
    key = loan if table == "loan" else f"locked-{table}"
    lock = f"select 1 from {table} where id = $1 for no key update"
    assert await waits_while_locked(lender, lock, key, begin(lender, loan, "remind", AT))


async def test_what_is_about_to_leave_counts_against_the_caps_of_the_persons_other_loans(lender: Lender) -> None:
    first, second = await lender.lend("about-to-leave", DUE_ON, loans=2)
    await lender.come_due(first, AT)
    await lender.come_due(second, AT)
    assert isinstance(await begin(lender, first, "remind", AT), ToSend)
    deferred = await begin(lender, second, "remind", AT)
    assert isinstance(deferred, NextStep)
    assert deferred.due.date() > AT.date()


async def test_an_attempt_that_comes_second_changes_nothing(lender: Lender) -> None:
    [loan] = await lender.lend("second", DUE_ON)
    sending = await intend(lender, loan)
    first = await conclude(lender, loan, sending, "sent", AT + SOON)
    before = await lender.row(case_id_of(loan))
    second = await conclude(lender, loan, sending, "failed", AT + 2 * SOON, "bounced")
    assert await lender.row(case_id_of(loan)) == before
    assert (second.kind, second.due, second.sequence) == (first.kind, first.due, first.sequence)
    [intent] = await lender.intents(case_id_of(loan))
    assert (intent["state"], intent["code"]) == ("sent", "accepted")


async def test_what_was_given_up_and_did_leave_after_all_is_recorded_as_made(lender: Lender) -> None:
    [loan] = await lender.lend("late-truth", DUE_ON)
    sending = await intend(lender, loan)
    await conclude(lender, loan, sending, "abandoned", AT + SOON, "facts_changed")
    await conclude(lender, loan, sending, "sent", AT + 2 * SOON)
    made = await lender.journal(case_id_of(loan), "contact_made")
    assert [(m["state"], m["code"]) for m in made] == [("abandoned", "facts_changed"), ("sent", "learned_late")]
    assert [i["state"] for i in await lender.intents(case_id_of(loan))] == ["sent"]


async def test_a_step_that_is_asked_for_again_returns_the_current_next_step_and_writes_nothing(lender: Lender) -> None:
    [loan] = await lender.lend("again", DUE_ON)
    case = case_id_of(loan)
    sending = await intend(lender, loan)
    stale = (await lender.row(case))["sequence"]
    coming = await conclude(lender, loan, sending, "sent", AT + SOON)
    before = await lender.row(case)
    again = await lender.working.steps.begin(ask(case, "remind", AT + SOON, stale), lambda: AT + SOON)
    assert isinstance(again, NextStep)
    assert (again.sequence, again.due) == (coming.sequence, coming.due)
    assert await lender.row(case) == before


async def test_what_a_retry_brings_along_is_kept_also_when_it_finds_an_intent(lender: Lender) -> None:
    [loan] = await lender.lend("brings", DUE_ON)
    sending = await intend(lender, loan)
    for _ in range(2):
        found = await begin(lender, loan, "remind", AT + SOON, [note("said-1", "inbound_message", QUESTION)])
        assert isinstance(found, ToSend)
        assert (found.key, found.found, found.text) == (sending.key, True, sending.text)
    assert [m["id"] for m in await lender.messages(case_id_of(loan))] == ["said-1"]
    # Something was said: the gate lets nothing go out before it is heard.
    asked = ask(case_id_of(loan), "remind", AT + SOON)
    assert await lender.working.steps.may_send(asked, sending, lambda: AT + SOON) == "message_waiting"


async def test_an_intent_whose_hours_are_over_may_not_go_out(lender: Lender) -> None:
    [loan] = await lender.lend("hours-over", DUE_ON)
    sending = await intend(lender, loan)
    asked = ask(case_id_of(loan), "remind", AT)
    assert await lender.working.steps.may_send(asked, sending, lambda: AT + SOON) is None
    assert await lender.working.steps.may_send(asked, sending, lambda: sending.expires_at) == "expired"


async def test_an_intent_that_the_facts_no_longer_ask_for_may_not_go_out(lender: Lender) -> None:
    [loan] = await lender.lend("held-since", DUE_ON)
    sending = await intend(lender, loan)
    await events.hold(lender.pool, "held-since", Hold("held-since/1", "complaint", AT + SOON))
    asked = ask(case_id_of(loan), "remind", AT)
    assert await lender.working.steps.may_send(asked, sending, lambda: AT + 2 * SOON) == "facts_changed"


async def test_messages_are_heard_once_and_in_the_order_in_which_they_came(lender: Lender) -> None:
    [loan] = await lender.lend("in-order", DUE_ON)
    case = case_id_of(loan)
    await lender.come_due(loan, AT)
    for number, id in enumerate(["c", "a", "b"]):
        for _ in range(2):
            at = AT + timedelta(seconds=number)
            await events.tell(lender.pool, case, id, "inbound_message", QUESTION, at)
    await begin(lender, loan, "absorb", AT + SOON)
    await begin(lender, loan, "absorb", AT + SOON)
    assert [e["id"] for e in await lender.journal(case, "message_heard")] == ["c", "a", "b"]


async def test_now_never_goes_behind_the_journal(lender: Lender) -> None:
    [loan] = await lender.lend("behind", DUE_ON)
    await lender.come_due(loan, AT)
    await begin(lender, loan, "absorb", AT - timedelta(hours=2), [note("said-1", "inbound_message", QUESTION)])
    times = [e["at"] for e in await lender.journal(case_id_of(loan))]
    assert times == sorted(times)
    assert times[-1] >= AT


async def test_a_case_that_has_seen_everything_does_not_look_again(lender: Lender) -> None:
    [loan] = await lender.lend("seen", DUE_ON)
    case = case_id_of(loan)
    await lender.come_due(loan, AT)
    await events.pay(lender.pool, loan, Credit("bank", "seen-1", AT.date(), 1_000), "GBP", AT)
    await events.hold(lender.pool, "seen", Hold("seen/1", "vulnerable", AT))
    await begin(lender, loan, "absorb", AT)
    row = await lender.row(case)
    assert (row["seen_loan"], row["seen_person"]) == (1, 1)
    await begin(lender, loan, "absorb", AT + SOON)
    assert await lender.row(case) == row


async def test_a_wake_up_is_done_when_the_case_has_seen_what_it_tells_of_and_never_before(lender: Lender) -> None:
    [loan] = await lender.lend("woken", DUE_ON)
    case = case_id_of(loan)
    await lender.come_due(loan, AT)
    assert await wake_ups(lender, case) == []
    await events.pay(lender.pool, loan, Credit("bank", "woken-1", AT.date(), 1_000), "GBP", AT)
    sending = await begin(lender, loan, "remind", AT)
    assert isinstance(sending, ToSend)
    assert await wake_ups(lender, case) == ["payment_received"]
    await events.pay(lender.pool, loan, Credit("bank", "woken-2", AT.date(), 2_000), "GBP", AT)
    await conclude(lender, loan, sending, "sent", AT + SOON)
    assert await wake_ups(lender, case) == []


async def test_a_message_that_no_step_could_take_goes_on_waking_its_case(lender: Lender) -> None:
    [loan] = await lender.lend("not-taken", DUE_ON)
    case = case_id_of(loan)
    await lender.come_due(loan, AT)
    await events.tell(lender.pool, case, "said-1", "inbound_message", QUESTION, AT)
    await lender.working.steps.attend(ask(case, "attention", AT), "step_failed", "a trial", lambda: AT)
    assert (await lender.row(case))["attention"] == "step_failed"
    assert await wake_ups(lender, case) == ["inbound_message"]
    await begin(lender, loan, "absorb", AT + SOON)
    assert await wake_ups(lender, case) == []


async def test_a_stop_said_to_one_case_holds_the_others_before_any_case_has_heard_it(lender: Lender) -> None:
    told, other = await lender.lend("stops", DUE_ON, loans=2)
    await lender.come_due(told, AT)
    await lender.come_due(other, AT)
    await events.tell(lender.pool, case_id_of(told), "said-1", "inbound_message", InboundMessage(about="stop"), AT)
    stopped = await begin(lender, other, "remind", AT + SOON)
    assert isinstance(stopped, NextStep)
    assert "held (cease request)" in stopped.reason
    await events.lift(lender.pool, "stops", "cease_request", None, "lifted-1", AT + SOON)
    assert isinstance(await begin(lender, other, "remind", AT + 2 * SOON), ToSend | NextStep)
    assert await lender.pool.fetchval("select lifted_at from hold where person_id = 'stops'") == AT + SOON


async def test_a_signal_from_a_source_that_may_not_moves_no_money(lender: Lender) -> None:
    [loan] = await lender.lend("stranger", DUE_ON)
    await lender.come_due(loan, AT)
    paid = PaymentReceived(source="stranger", payment_id="P1", value_date=AT.date(), amount=10_000, currency="GBP")
    await begin(lender, loan, "absorb", AT, [note("said-1", "payment_received", paid)])
    assert await lender.pool.fetchval("select count(*) from money_event where loan_id = $1", loan) == 0
    assert (await lender.row(case_id_of(loan)))["attention"] == "message_not_understood"
