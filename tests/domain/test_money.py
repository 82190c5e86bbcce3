"""Amounts are exact, or refused."""

import pytest

from dunwell.domain.money import AmountError, exponent, format_amount, parse_amount, split


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("1.15", "EUR", 115), ("0.29", "EUR", 29), ("4.35", "GBP", 435), ("5000", "JPY", 5000), ("1.115", "KWD", 1115)],
)
def test_an_amount_is_read_to_the_last_minor_unit(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor
    assert parse_amount(format_amount(minor, currency), currency) == minor


@pytest.mark.parametrize(("text", "currency"), [("1.005", "EUR"), ("1.0", "JPY"), ("1.0000", "KWD")])
def test_more_decimals_than_the_currency_has_are_refused_not_rounded(text: str, currency: str) -> None:
    with pytest.raises(AmountError, match="decimals"):
        parse_amount(text, currency)


@pytest.mark.parametrize("code", ["XXX", "EURO", "eur", ""])
def test_an_unknown_currency_is_refused_for_nobody_knows_its_decimals(code: str) -> None:
    with pytest.raises(AmountError, match="unknown currency"):
        exponent(code)


def test_parts_sum_to_the_whole_and_the_first_ones_take_what_does_not_divide() -> None:
    assert split(10_001, [1, 1, 1]) == [3334, 3334, 3333]
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(2, [1, 1, 1]) == [1, 1, 0]
