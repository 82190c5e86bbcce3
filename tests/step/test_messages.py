"""Whatever is signalled to a case: it fails nothing, is kept as it came, and moves money only where that is allowed."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.service import RPCError

from dunwell.domain.case import case_id_of
from dunwell.domain.messages import Answer, Decision, HoldPlaced, PaymentReceived
from tests.step.engine import Engine, until

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)
GARBAGE = b"\xff\xfe\x00 not JSON, not even text"


async def taken(engine: Engine, case: UUID, count: int) -> dict[str, tuple[bytes, Any]]:
    """Raw bytes and answer of each message by its name, once there are that many and all are taken."""

    async def look() -> dict[str, tuple[bytes, Any]]:
        messages = await engine.lender.messages(case)
        if len(messages) < count or any(m["taken_at"] is None for m in messages):
            return {}
        return {m["name"]: (bytes(m["raw"]), m["answer"]) for m in messages}

    return await until(f"case {case} has taken {count} messages", look)


async def decide(engine: Engine, case: UUID) -> Answer:
    said = Decision(what="resume", by="operator-1")
    return Answer.model_validate(await engine.run_of(case).execute_update("decide", said))


async def test_what_cannot_be_read_is_kept_raw_and_a_person_is_asked_to_look(engine: Engine) -> None:
    case = await engine.open("garbled", AT, date(2025, 1, 10))
    await engine.contacted(case)
    run = engine.run_of(case)
    bytes_of_no_kind = RawValue(Payload(metadata={"encoding": b"binary/plain"}, data=GARBAGE))
    await run.signal("hold_placed", bytes_of_no_kind)
    await run.signal("promise", {"amount": "ten", "due_on": "soon"})
    await run.signal("horoscope", {"sign": "leo"})
    await run.signal("two_things", args=["one", "two"])
    await run.signal("name\0d", {"text": "a\0b"})
    with pytest.raises(RPCError, match=r"(?i)exceeds|larger|limit"):
        await run.signal("inbound_message", "x" * 3_000_000)

    messages = await taken(engine, case, 5)
    assert GARBAGE.decode("utf-8", "backslashreplace").encode() == messages["hold_placed"][0]
    assert b'"ten"' in messages["promise"][0]
    assert b"leo" in messages["horoscope"][0]
    assert messages["two_things"][0] == b'"one""two"'
    row = await engine.lender.row(case)
    assert (row["attention"], row["next_kind"]) == ("message_not_understood", "attention")
    assert len(await engine.lender.journal(case, "message_kept")) == 5
    assert (await run.describe()).status == WorkflowExecutionStatus.RUNNING

    # No date of a message is so far away that no step could reckon with it.
    await run.signal("hold_placed", HoldPlaced.model_construct(hold="complaint", ends_on=date.max))
    await taken(engine, case, 6)
    assert len(await engine.lender.journal(case, "message_kept")) == 6
    assert (await decide(engine, case)).accepted
    assert (await engine.lender.row(case))["attention"] is None


async def test_a_payment_by_signal_is_posted_once_and_only_from_a_source_that_may(engine: Engine) -> None:
    case = await engine.open("signalled", AT, date(2025, 1, 10))
    await engine.contacted(case)
    run = engine.run_of(case)
    paid = PaymentReceived(
        source="gateway", payment_id="pay-1", value_date=date(2025, 1, 14), amount=4_000, currency="GBP"
    )
    for _ in range(2):
        await run.signal("payment_received", paid)
    await taken(engine, case, 2)
    posted = "select source, external_id, amount from money_event where loan_id = 'signalled-0'"
    assert [tuple(r) for r in await engine.lender.pool.fetch(posted)] == [("gateway", "pay-1", 4_000)]
    assert (await engine.lender.row(case))["attention"] is None

    await run.signal("payment_received", paid.model_copy(update={"source": "stranger", "payment_id": "pay-2"}))
    await taken(engine, case, 3)
    assert len(await engine.lender.pool.fetch(posted)) == 1
    assert (await engine.lender.row(case))["attention"] == "message_not_understood"
    entries = await engine.lender.pool.fetch("select amount from ledger_entry where loan_id = 'signalled-0'")
    assert sorted(e["amount"] for e in entries) == [-4_000, 4_000]


async def test_a_step_that_fails_puts_the_case_before_a_person_and_it_goes_on_when_resumed(engine: Engine) -> None:
    sealed = "select sealed from personal where person_id = 'unreadable'"
    [loan] = await engine.lender.lend("unreadable", date(2025, 1, 10))
    kept = await engine.lender.pool.fetchval(sealed)
    await engine.lender.pool.execute("delete from personal where person_id = 'unreadable'")
    await engine.lender.sweep(AT, "unreadable")
    case = case_id_of(loan)

    async def attended() -> bool:
        return str((await engine.lender.row(case))["attention"]) == "step_failed"

    await until("the case asks for a person", attended)
    row = await engine.lender.row(case)
    assert (row["next_kind"], "unreadable" in row["next_reason"]) == ("attention", True)
    assert await engine.lender.intents(case) == []
    # Nothing can be decided yet, and whoever asks is told so.
    undecided = await decide(engine, case)
    assert undecided.accepted
    await until("the case asks again", attended)

    await engine.lender.pool.execute("insert into personal values ('unreadable', $1)", kept)
    assert (await decide(engine, case)).accepted
    row = await engine.contacted(case)
    assert row["attention"] is None
    assert len(engine.lender.received("unreadable")) == 1


async def test_more_than_one_step_can_hold_is_taken_by_several(engine: Engine) -> None:
    case = await engine.open("flooded", AT, date(2025, 1, 10))
    await engine.contacted(case)
    await engine.kill_worker()
    for number in range(25):
        # Together more than the server takes as the input of one step.
        await engine.run_of(case).signal(f"flood{number}", "x" * 99_000)
    await engine.serve()

    messages = await taken(engine, case, 25)
    assert {len(raw) for raw, _ in messages.values()} == {99_002}
    assert (await engine.run_of(case).describe()).status == WorkflowExecutionStatus.RUNNING
