"""Real dues and payments through the real engine: some of the people of each folder, `starter.py replay` takes them all."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from dunwell.catalogue import load_book
from dunwell.cli.replaying import write_tables
from dunwell.domain.portfolio import Portfolio
from dunwell.intake.portfolio import read_portfolio
from dunwell.local.driver import driving
from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT

DATA = CHECKOUT.parent / "shared" / "data"
# One person in so many: about a minute for both folders on two cores.
ONE_IN = {"instalment_loans": 40, "trade_invoices": 12}


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"real portfolios are not here: {DATA.name} is beside the checkout or absent"
)
@pytest.mark.parametrize("name", ["instalment_loans", "trade_invoices"])
@pytest.mark.timeout(300)
async def test_real_portfolios_come_out_as_expected_through_the_engine(name: str, tmp_path: Path) -> None:
    whole, rejected = read_portfolio(DATA / name)
    assert not rejected
    some = _some(whole, ONE_IN[name])
    book = load_book(CHECKOUT)

    async with Stack(tmp_path / "stack") as stack, driving(stack, book) as drive:
        await drive.bring_in(some)
        await drive.work(some, lambda _: None)
        await write_tables(drive, some, tmp_path / "out")

    for table in ("episodes.csv", "balances.csv"):
        expected = [r for r in _rows(DATA / name / "expected" / table) if r["loan_id"] in some.loans]
        assert _rows(tmp_path / "out" / table) == expected


def _some(whole: Portfolio, one_in: int) -> Portfolio:
    people = set(sorted(whole.customers)[::one_in])
    loans = {id: loan for id, loan in whole.loans.items() if loan.customer_id in people}
    return replace(
        whole,
        loans=loans,
        payments=tuple(p for p in whole.payments if p.loan_id in loans),
        events=tuple(e for e in whole.events if e.loan_id in loans),
    )


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
