"""Money: an integer of minor units with its ISO 4217 currency. Never a float."""

import re
from collections.abc import Sequence

# ISO 4217 exponents that are not 2. Source: ISO 4217 list one.
_EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
_CENTS = frozenset(
    [
        "AED", "ARS", "AUD", "BDT", "BGN", "BRL", "CAD", "CHF", "CNY", "COP", "CZK", "DKK",
        "EGP", "EUR", "GBP", "GEL", "HKD", "HUF", "IDR", "ILS", "INR", "KES", "KZT", "LKR",
        "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "QAR", "RON",
        "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "UYU", "ZAR",
    ]
)  # fmt: skip
_AMOUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]+))?")

# What PostgreSQL's bigint holds: beyond it an amount is an error, never a wrapped number.
LARGEST = 2**63 - 1


class AmountError(ValueError):
    """An amount or currency that cannot be money; the message says why and what would do."""


def exponent(currency: str) -> int:
    """Digits after the point in `currency`, 0 to 4.

    Raises: AmountError when the currency is not one we know; guessing two digits loses money.
    """
    found = _EXPONENTS.get(currency, 2 if currency in _CENTS else None)
    if found is None:
        raise AmountError(f"unknown currency {currency!r}: use its ISO 4217 code, such as EUR")
    return found


def parse_amount(text: str, currency: str) -> int:
    """Minor units of a plain decimal such as `120.5`; `120.500` in EUR is refused, not rounded.

    Raises: AmountError for anything else: signs, exponents, NaN, thousands separators.
    """
    digits = exponent(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise AmountError(f"{text!r} is not an amount: write digits and at most one point, such as 120.50")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > digits:
        raise AmountError(
            f"{text!r} has {len(fraction)} decimals, {currency} has {digits}: send the exact amount in minor units"
        )
    scale: int = 10**digits
    minor = int(whole) * scale + int(fraction.ljust(digits, "0") or "0")
    if minor > LARGEST:
        raise AmountError(f"{text!r} is larger than any loan: check the unit")
    return minor


def format_amount(minor: int, currency: str) -> str:
    """`12050`, EUR → `120.50`; without the currency's name."""
    digits = exponent(currency)
    sign = "-" if minor < 0 else ""
    if digits == 0:
        return f"{sign}{abs(minor)}"
    whole, fraction = divmod(abs(minor), 10**digits)
    return f"{sign}{whole}.{fraction:0{digits}d}"


def say(minor: int, currency: str) -> str:
    """`120.50 EUR`, as it is said in reasons and texts."""
    return f"{format_amount(minor, currency)} {currency}"


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Parts of `amount` in proportion to `weights`, by largest remainder: they sum to the whole."""
    total = sum(weights)
    if amount < 0 or total <= 0 or any(w < 0 for w in weights):
        raise AmountError("only a positive amount over positive weights can be split")
    parts = [amount * w // total for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts
