"""A provider that cannot honour keys but can be asked what it took: looking up alone keeps a message from going out twice."""

from datetime import date

import pytest

from tests.step.lender import Lender
from tests.step.test_found_intents import AT, LEFT, NOT_LEFT, SOON, die_sending, outcomes, try_again


@pytest.mark.parametrize("fault", [LEFT, NOT_LEFT])
async def test_where_only_a_look_up_tells_a_retry_asks_before_it_sends(lender: Lender, fault: str) -> None:
    person = f"looked-up-{fault}"
    lender.provider("modes", mode="looks_up")
    lender = lender.by_contract(honours_keys=False, can_look_up=True)
    [loan] = await lender.lend(person, date(2025, 1, 10))
    await die_sending(lender, loan, fault)

    await try_again(lender, loan, AT + SOON)
    assert await outcomes(lender, loan) == [("sent", "accepted")]
    assert len(lender.received(person)) == 1
