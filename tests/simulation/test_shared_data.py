"""Two portfolios of real dues and payments come out as they were computed elsewhere, to the byte."""

from pathlib import Path

import pytest

from dunwell.catalogue import load_book
from dunwell.intake.portfolio import read_portfolio
from dunwell.simulation.run import simulate

CHECKOUT = Path(__file__).parents[2]
SHARED = CHECKOUT.parent / "shared" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real portfolios are not at {SHARED}: this checkout stands alone")
@pytest.mark.parametrize("name", ["instalment_loans", "trade_invoices"])
def test_a_real_portfolio_is_simulated_to_its_expected_episodes_and_balances(name: str, tmp_path: Path) -> None:
    portfolio, rejected = read_portfolio(SHARED / name)
    simulate(portfolio, load_book(CHECKOUT), tmp_path)
    assert not rejected
    for file in ("episodes.csv", "balances.csv"):
        assert (tmp_path / file).read_bytes() == (SHARED / name / "expected" / file).read_bytes()
