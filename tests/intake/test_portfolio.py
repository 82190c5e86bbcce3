"""A portfolio folder is read: each row is taken, is a repetition, or is reported with place, value and remedy."""

import csv
from pathlib import Path

import pytest

from dunwell.intake.portfolio import PortfolioRefused, Rejected, read_portfolio, write_rejected

FILES = {
    "customers.csv": """customer_id,name,language,jurisdiction,time_zone,phone,email
C1,Invented One,en,GB,Europe/London,+447700900001,one@example.com
C2,Invented Two,ja,JP,Asia/Tokyo,,
C3,Invented Three,en,US-NY,,,
""",
    "loans.csv": """loan_id,customer_id,product,currency
L1,C1,consumer_loan,GBP
L2,C2,consumer_loan,JPY
""",
    "instalments.csv": """loan_id,number,due_on,amount
L1,2,2025-04-01,100.50
L1,1,2025-03-01,100.50
L2,1,2025-03-01,5000
""",
    "payments.csv": """payment_id,loan_id,value_date,amount
P1,L1,2025-03-05,100.5
P2,L2,2025-03-06,5000
""",
    "as_of.txt": "2025-12-31\n",
}


def folder(tmp_path: Path, **changes: str) -> Path:
    """The good files, with some replaced: `payments="..."` for payments.csv."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for stem, text in changes.items():
        (tmp_path / f"{stem}.csv").write_text(text)
    return tmp_path


def with_rows(file: str, *rows: str) -> str:
    return FILES[file] + "".join(f"{row}\n" for row in rows)


def test_a_good_folder_is_taken_whole(tmp_path: Path) -> None:
    portfolio, rejected = read_portfolio(folder(tmp_path))
    assert rejected == []
    assert [i.number for i in portfolio.loans["L1"].instalments] == [1, 2]
    assert portfolio.payments[0].amount == 10050
    assert portfolio.payments[1].amount == 5000
    assert portfolio.customers["C3"].time_zone is None
    assert [p.customer.customer_id for p in portfolio.people()] == ["C1", "C2"]


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("P9,L9,2025-03-05,1.00", "loan_id", "L9"),
        ("P9,L1,2025-03-05,ten", "amount", "ten"),
        ("P9,L1,2025-03-05,NaN", "amount", "NaN"),
        ("P9,L1,2025-03-05,-5.00", "amount", "-5.00"),
        ("P9,L1,2025-03-05,0.00", "amount", "0.00"),
        ("P9,L1,2025-03-05,1.005", "amount", "1.005"),
        ("P9,L2,2025-03-05,1.5", "amount", "1.5"),
        ("P9,L1,2025-03-05,1e3", "amount", "1e3"),
        ("P9,L1,2025-03-05,99999999999999999999", "amount", "99999999999999999999"),
        ("P9,L1,2025-02-30,1.00", "value_date", "2025-02-30"),
        ("P9,L1,20250305,1.00", "value_date", "20250305"),
        ("P9,L1,05.03.2025,1.00", "value_date", "05.03.2025"),
        ("P1,L1,2025-03-05,99.00", "payment_id", "P1"),
        (",L1,2025-03-05,1.00", "payment_id", ""),
        ("P9,L1,2025-03-05", "", "P9,L1,2025-03-05"),
        ("P9,L1,2025-03-05,1,00", "", "P9,L1,2025-03-05,1,00"),
    ],
)
def test_a_bad_payment_is_one_reported_row_and_nothing_else_is_lost(
    tmp_path: Path, row: str, column: str, value: str
) -> None:
    portfolio, rejected = read_portfolio(
        folder(tmp_path, payments=with_rows("payments.csv", row, "P3,L1,2025-03-07,1"))
    )
    assert [(r.file, r.line, r.column, r.value) for r in rejected] == [("payments.csv", 4, column, value)]
    assert rejected[0].problem
    assert rejected[0].remedy
    assert [p.payment_id for p in portfolio.payments] == ["P1", "P2", "P3"]


@pytest.mark.parametrize(
    ("file", "row", "column"),
    [
        ("customers", "C9,N,en,GB,Europe/Londinium,,", "time_zone"),
        ("customers", "C9,N,english!,GB,Europe/London,,", "language"),
        ("customers", "C9,N,en,United Kingdom,Europe/London,,", "jurisdiction"),
        ("customers", "C9,N,en,GB,Europe/London,07700 900123,", "phone"),
        ("customers", "C9,N,en,GB,Europe/London,,nobody", "email"),
        ("loans", "L9,C1,consumer_loan,XXX", "currency"),
        ("loans", "L9,C8,consumer_loan,GBP", "customer_id"),
        ("loans", "L1,C1,consumer_loan,EUR", "loan_id"),
        ("instalments", "L1,0,2025-05-01,1.00", "number"),
        ("instalments", "L1,2,2025-05-01,1.00", "number"),
    ],
)
def test_a_bad_row_of_another_file_is_reported_by_its_column(tmp_path: Path, file: str, row: str, column: str) -> None:
    _, rejected = read_portfolio(folder(tmp_path, **{file: with_rows(f"{file}.csv", row)}))
    assert [(r.file, r.column) for r in rejected] == [(f"{file}.csv", column)]


def test_the_same_row_again_is_a_repetition(tmp_path: Path) -> None:
    portfolio, rejected = read_portfolio(
        folder(tmp_path, payments=with_rows("payments.csv", "P1,L1,2025-03-05,100.50"))
    )
    assert rejected == []
    assert len(portfolio.payments) == 2


def test_a_bad_instalment_leaves_its_loan_at_work(tmp_path: Path) -> None:
    bad = FILES["instalments.csv"].replace("L1,2,2025-04-01,100.50", "L1,2,2025-04-31,100.50")
    portfolio, rejected = read_portfolio(folder(tmp_path, instalments=bad))
    assert [r.line for r in rejected] == [2]
    assert len(portfolio.loans["L1"].instalments) == 1
    assert len(portfolio.payments) == 2


def test_what_hangs_on_a_rejected_customer_is_reported_with_that_reason(tmp_path: Path) -> None:
    bad = FILES["customers.csv"].replace("Asia/Tokyo", "Asia/Edo")
    portfolio, rejected = read_portfolio(folder(tmp_path, customers=bad))
    assert [(r.file, r.line) for r in rejected] == [
        ("customers.csv", 3), ("loans.csv", 3), ("instalments.csv", 4), ("payments.csv", 3),
    ]  # fmt: skip
    assert rejected[1].problem == "this customer was rejected in line 3 of customers.csv"
    assert list(portfolio.loans) == ["L1"]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("payments.csv", b"payment_id,loan_id,amount\n", "has no column value_date"),
        ("payments.csv", b"payment_id,loan_id,value_date,amount,amount\n", "has the column amount more than once"),
        ("payments.csv", b"", "has no column payment_id"),
        ("customers.csv", FILES["customers.csv"].encode() + "C9,Zo\u00eb,en,GB,,,\n".encode("latin-1"), "is not UTF-8"),
        ("loans.csv", FILES["loans.csv"].encode("utf-16"), "is not UTF-8"),
        ("payments.csv", FILES["payments.csv"].encode() + b'P3,"L1,2025-03-05,1\n', "is no CSV"),
        ("as_of.txt", b"yesterday", "is no date"),
    ],
)
def test_a_file_that_is_not_what_it_has_to_be_is_refused(tmp_path: Path, file: str, content: bytes, says: str) -> None:
    (folder(tmp_path) / file).write_bytes(content)
    with pytest.raises(PortfolioRefused, match=says) as refused:
        read_portfolio(tmp_path)
    assert refused.value.file == file
    assert refused.value.remedy


@pytest.mark.parametrize("file", ["customers.csv", "loans.csv", "instalments.csv", "payments.csv", "as_of.txt"])
def test_a_missing_file_is_refused(tmp_path: Path, file: str) -> None:
    (folder(tmp_path) / file).unlink()
    with pytest.raises(PortfolioRefused, match="is missing"):
        read_portfolio(tmp_path)


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("people: {C1: {acts: [{at: 2025-03-12 10:30, loan: L9, do: pay, amount: '5'}]}}", "people.C1.acts[1].loan"),
        (
            "people: {C1: {acts: [{at: 2025-03-12 10:30, loan: L1, do: pay, amount: '5.005'}]}}",
            "people.C1.acts[1].amount",
        ),
        (
            "people: {C1: {acts: [{at: 2025-03-12 10:30, loan: L1, do: pay, amount: 5.5}]}}",
            "people.C1.acts[1].pay.amount",
        ),
        ("people: {C1: {acts: [{at: noon, loan: L1, do: approve}]}}", "people.C1.acts[1].at"),
        ("people: {C1: {acts: [{at: 2025-03-12 10:30, loan: L1, do: dance}]}}", "people.C1.acts[1]"),
        ("people: {C1: {reactions: [{when: full_moon, after: 3d, do: approve}]}}", "people.C1.reactions[1]"),
        ("people: {C1: {reactions: [{when: offer_made, after: soon, do: approve}]}}", "people.C1.reactions[1].after"),
        ("people: {C8: {acts: []}}", "people.C8"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_by_its_place(tmp_path: Path, script: str, place: str) -> None:
    (folder(tmp_path) / "script.yaml").write_text(script)
    with pytest.raises(PortfolioRefused) as refused:
        read_portfolio(tmp_path)
    assert refused.value.file == f"script.yaml, {place}"


def test_what_was_rejected_is_written_one_row_each(tmp_path: Path) -> None:
    rows = [Rejected("payments.csv", 4, "amount", "ten", "is no amount", "write digits")]
    write_rejected(tmp_path / "rejected.csv", rows)
    with (tmp_path / "rejected.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "column", "value", "problem", "remedy"],
            ["payments.csv", "4", "amount", "ten", "is no amount", "write digits"],
        ]
