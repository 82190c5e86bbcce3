"""Money is posted once, in balance, and what cannot be posted as it came waits for a person."""

from datetime import date, datetime
from uuid import UUID

from dunwell.domain.facts import ReverseCredit
from dunwell.domain.ledger import Credit, position
from dunwell.intake import events
from dunwell.store.reading import read_money
from tests.step.lender import Lender
from tests.store.attempts import AT, DUE_ON, wake_ups

PAID_ON = date(2025, 1, 14)
BACK_ON = date(2025, 1, 20)


async def pay(lender: Lender, loan: str, credit: Credit, at: datetime = AT) -> str:
    return (await events.pay(lender.pool, loan, credit, "GBP", at)).result


async def owed(lender: Lender, loan: str) -> int:
    async with lender.pool.acquire() as connection:
        there = position(await read_money(connection, loan), BACK_ON)
    return there.outstanding - there.credit


async def test_a_payment_is_posted_once_however_often_it_is_told(lender: Lender) -> None:
    [loan] = await lender.lend("payer", DUE_ON)
    paid = Credit("bank", "payer-1", PAID_ON, 4_000)
    assert [await pay(lender, loan, paid) for _ in range(3)] == ["posted", "known", "known"]
    assert await owed(lender, loan) == 6_000
    changed = Credit("bank", "payer-1", PAID_ON, 5_000)
    assert await pay(lender, loan, changed) == "review"
    assert await owed(lender, loan) == 6_000


async def test_the_same_amount_and_day_from_another_source_waits_for_a_person(lender: Lender) -> None:
    [loan] = await lender.lend("twin", DUE_ON)
    assert await pay(lender, loan, Credit("bank", "twin-1", PAID_ON, 4_000)) == "posted"
    assert await pay(lender, loan, Credit("gateway", "twin-2", PAID_ON, 4_000)) == "review"
    assert await pay(lender, loan, Credit("bank", "twin-3", PAID_ON, 4_000)) == "posted"
    assert await owed(lender, loan) == 2_000
    [waits] = await lender.pool.fetch("select * from money_review where loan_id = $1", loan)
    assert (waits["source"], waits["external_id"], waits["amount"]) == ("gateway", "twin-2", 4_000)


async def test_what_is_reversed_is_owed_again_and_both_bookings_stay_in_balance(lender: Lender) -> None:
    [loan] = await lender.lend("reverser", DUE_ON)
    await pay(lender, loan, Credit("bank", "reverser-1", PAID_ON, 10_000))
    back = ReverseCredit("bank", "reverser-1", "reverser-1/back", BACK_ON)
    told = [(await events.reverse(lender.pool, loan, back, AT)).result for _ in range(2)]
    assert told == ["posted", "known"]
    assert await owed(lender, loan) == 10_000
    entries = await lender.pool.fetch("select account, amount from ledger_entry where loan_id = $1", loan)
    assert sorted(tuple(e) for e in entries) == [
        ("cash", -10_000),
        ("cash", 10_000),
        ("debt", -10_000),
        ("debt", 10_000),
    ]
    oldest = await lender.pool.fetchval("select oldest_unpaid_due_on from loan where id = $1", loan)
    assert oldest == DUE_ON


async def test_the_daily_sweep_run_twice_wakes_a_case_once(lender: Lender) -> None:
    await lender.lend("swept", DUE_ON)
    for _ in range(2):
        await lender.sweep(AT, "swept")
    [case] = await lender.pool.fetch("select id from collection_case where person_id = 'swept'")
    assert await wake_ups(lender, UUID(str(case["id"]))) == ["opened"]
    listed = await lender.pool.fetch("select dpd, past_due from overdue where person_id = 'swept'")
    assert [tuple(row) for row in listed] == [(4, 10_000)]
