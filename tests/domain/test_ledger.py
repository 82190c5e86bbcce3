"""What is owed, whatever was paid, in whatever order it was told."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dunwell.domain.ledger import (
    DAY,
    Credit,
    Episode,
    Instalment,
    LoanMoney,
    Schedule,
    episodes,
    next_late_day,
    position,
)

YEAR = date(2025, 1, 1)
days = st.integers(0, 180).map(lambda n: YEAR + timedelta(days=n))
amounts = st.integers(1, 500)
instalments = st.lists(st.tuples(days, amounts), min_size=1, max_size=6).map(
    lambda dues: tuple(Instalment(n, on, amount) for n, (on, amount) in enumerate(dues, 1))
)
payments = st.lists(st.tuples(days, amounts), max_size=6).map(
    lambda paid: tuple(Credit("bank", f"P{n}", on, amount) for n, (on, amount) in enumerate(paid))
)


def loan(dues: tuple[Instalment, ...], paid: tuple[Credit, ...] = ()) -> LoanMoney:
    return LoanMoney("L1", "EUR", (Schedule(min(i.due_on for i in dues), dues),), paid)


def march_and_april(*paid: Credit) -> LoanMoney:
    return loan((Instalment(1, date(2025, 3, 1), 10000), Instalment(2, date(2025, 4, 1), 10000)), paid)


@given(instalments, payments, days)
def test_no_money_appears_or_is_lost(dues: tuple[Instalment, ...], paid: tuple[Credit, ...], on: date) -> None:
    money = loan(dues, paid)
    there = position(money, on)
    assert there.outstanding - there.credit == sum(i.amount for i in dues) - money.paid(on)
    assert 0 <= there.past_due <= there.outstanding
    assert there.credit == 0 or there.outstanding == 0


@given(instalments, payments, days, st.data())
def test_a_new_schedule_and_a_reversal_after_it_lose_no_money(
    dues: tuple[Instalment, ...], paid: tuple[Credit, ...], on: date, data: st.DataObject
) -> None:
    money = loan(dues, paid)
    owed = position(money, on).outstanding
    if not owed:
        return
    first = data.draw(st.integers(1, 60))
    later = money.rescheduled(on, (Instalment(9, on + timedelta(days=first), owed),))
    assert position(later, on).outstanding == owed
    assert position(later, on).past_due == 0
    for back in paid:
        if back.value_date <= on:
            later = later.reversed(back.source, back.id, on)
            owed += back.amount
            assert position(later, on).outstanding == owed


@given(instalments, payments)
def test_days_past_due_are_never_negative_and_rise_by_one_a_day_without_payment(
    dues: tuple[Instalment, ...], paid: tuple[Credit, ...]
) -> None:
    money = loan(dues, paid)
    paid_on = {c.value_date for c in paid}
    span = [position(money, YEAR + timedelta(days=n)) for n in range(-2, 200)]
    assert all(there.dpd >= 0 for there in span)
    for before, after in pairwise(span):
        if after.on not in paid_on and before.dpd > 0:
            assert after.dpd == before.dpd + 1


@given(instalments, payments, days, st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_in_which_money_facts_arrive_changes_nothing(
    dues: tuple[Instalment, ...], paid: tuple[Credit, ...], on: date, random: object, back: int
) -> None:
    reversed_ones = {c.id for c in paid[:back]}
    told_in_order = loan(dues)
    for credit in paid:
        told_in_order = told_in_order.credited(credit)
    for id in sorted(reversed_ones):
        told_in_order = told_in_order.reversed("bank", id, on)

    shuffled = list(paid)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    told_shuffled = loan(dues)
    for credit in shuffled:
        told_shuffled = told_shuffled.credited(credit)
        if credit.id in reversed_ones:
            told_shuffled = told_shuffled.reversed("bank", credit.id, on)

    assert position(told_shuffled, on) == position(told_in_order, on)
    assert episodes(told_shuffled, on) == episodes(told_in_order, on)


@given(instalments, payments, days)
def test_episodes_are_the_runs_of_late_days(
    dues: tuple[Instalment, ...], paid: tuple[Credit, ...], until: date
) -> None:
    money = loan(dues, paid)
    runs: list[Episode] = []
    day = YEAR - DAY
    while day <= until:
        dpd = position(money, day).dpd
        running = bool(runs) and runs[-1].ended_on is None
        if dpd and running:
            runs[-1] = replace(runs[-1], worst_dpd=max(runs[-1].worst_dpd, dpd))
        elif dpd:
            runs.append(Episode(day, None, dpd))
        elif running:
            runs[-1] = replace(runs[-1], ended_on=day)
        day += DAY
    assert episodes(money, until) == runs


@given(instalments, payments, days)
def test_the_next_late_day_is_the_first_with_a_day_past_due(
    dues: tuple[Instalment, ...], paid: tuple[Credit, ...], after: date
) -> None:
    money = loan(dues, paid)
    ahead = (after + timedelta(days=n) for n in range(1, 200))
    assert next_late_day(money, after) == next((day for day in ahead if position(money, day).dpd > 0), None)


def test_paying_the_oldest_instalment_moves_day_zero() -> None:
    money = march_and_april()
    assert position(money, date(2025, 4, 10)).dpd == 40
    assert position(money.credited(Credit("bank", "A", date(2025, 4, 10), 10000)), date(2025, 4, 10)).dpd == 9


def test_a_wrong_booking_that_is_reversed_was_never_made() -> None:
    paid = march_and_april(Credit("bank", "A", date(2025, 4, 10), 10000), Credit("bank", "B", date(2025, 4, 12), 10000))
    assert position(paid, date(2025, 4, 12)).dpd == 0
    undone = paid.reversed("bank", "A", date(2025, 4, 20))
    there = position(undone, date(2025, 4, 20))
    # The second hundred now pays March; April is open.
    assert (there.dpd, there.past_due, there.oldest_unpaid_due_on) == (19, 10000, date(2025, 4, 1))
    assert undone.reversed("bank", "A", date(2025, 4, 21)) is undone


def test_what_is_left_over_stays_the_loans_credit() -> None:
    there = position(march_and_april(Credit("bank", "A", date(2025, 2, 1), 25000)), date(2025, 5, 1))
    assert (there.outstanding, there.credit, there.dpd) == (0, 5000, 0)
