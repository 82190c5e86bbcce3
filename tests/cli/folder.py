"""Portfolio folders whose loans are late today."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

TODAY = datetime.now(UTC).date()
# What must never be seen outside the database and the provider.
CANARIES = ("Quillon", "Marrowby", "447700900917", "q.marrowby", "Perpetua", "447700900918", "perpetua.holt")
_PEOPLE = (
    # In a zone that is UTC all year: today is the same day here and there.
    "A1,Quillon Marrowby,en,IS,Atlantic/Reykjavik,+447700900917,q.marrowby@example.com",
    "A2,Perpetua Holt,en,IS,Atlantic/Reykjavik,+447700900918,perpetua.holt@example.com",
)
HEADERS = {
    "customers": "customer_id,name,language,jurisdiction,time_zone,phone,email",
    "loans": "loan_id,customer_id,product,currency",
    "instalments": "loan_id,number,due_on,amount",
    "payments": "payment_id,loan_id,value_date,amount",
    "events": "event_id,loan_id,on,kind",
}


def day(offset: int) -> date:
    """So many days from today."""
    return TODAY + timedelta(days=offset)


def write_folder(folder: Path, rows: Mapping[str, Sequence[str]]) -> Path:
    """A portfolio folder with these rows under the headers it needs."""
    folder.mkdir()
    for file, header in HEADERS.items():
        (folder / f"{file}.csv").write_text("\n".join([header, *rows.get(file, ())]) + "\n", encoding="utf-8")
    (folder / "as_of.txt").write_text(f"{TODAY}\n")
    return folder


def write_portfolio(folder: Path) -> Path:
    """Late in several ways: forgotten, partly paid, disputed; and one that is not late."""
    return write_folder(
        folder,
        {
            "customers": _PEOPLE,
            "loans": ["K1,A1,loan,EUR", "K2,A1,loan,EUR", "K3,A2,loan,JPY", "K4,A2,loan,EUR"],
            "instalments": [
                f"K1,1,{day(-3)},100.00",
                f"K2,1,{day(-20)},80.00",
                f"K3,1,{day(-40)},5000",
                f"K4,1,{day(200)},60.00",
            ],
            "payments": [f"T1,K2,{day(-9)},30.00"],
            "events": [f"E1,K3,{day(-8)},dispute_opened"],
        },
    )


def write_bad_rows(folder: Path, prefix: str) -> Path:
    """One good loan and one good payment, and each kind of row that cannot be taken; ids begin with `prefix`."""
    loan = f"{prefix}1"
    return write_folder(
        folder,
        {
            "customers": [f"{prefix}A,Perpetua Holt,en,IS,Atlantic/Reykjavik,,perpetua.holt@example.com"],
            "loans": [f"{loan},{prefix}A,loan,EUR"],
            "instalments": [f"{loan},1,{day(-30)},100.00"],
            "payments": [
                f"{prefix}P1,{loan},{day(-2)},10.00",
                f"{prefix}P2,NOLOAN,{day(-2)},10.00",
                f"{prefix}P3,{loan},{day(-2)},ten",
                f"{prefix}P4,{loan},{day(-2)},NaN",
                f"{prefix}P5,{loan},{day(-2)},-10.00",
                f"{prefix}P6,{loan},{day(-2)},10.005",
                f"{prefix}P7,{loan},2026-02-30,10.00",
                f"{prefix}P1,{loan},{day(-2)},11.00",
            ],
        },
    )


# What rejected.csv says of them: line, column, value, and the beginning of the remedy.
BAD_ROWS = [
    ("3", "loan_id", "NOLOAN", "add it to loans.csv"),
    ("4", "amount", "ten", "write digits"),
    ("5", "amount", "NaN", "write digits"),
    ("6", "amount", "-10.00", "write digits"),
    ("7", "amount", "10.005", "send the exact amount"),
    ("8", "value_date", "2026-02-30", "write it as"),
    ("9", "payment_id", "P1", "give each its own id"),
]
