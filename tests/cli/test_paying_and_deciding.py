"""The commands of starter.py, run as a user runs them, against real servers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dunwell.domain.case import case_id_of
from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT
from dunwell.store.database import connect, migrate

TODAY = datetime.now(UTC).date()
NAMES = ("Ada Invented", "+447700900123", "ada@example.com")


class Starter:
    """Runs commands with the addresses of one stack; a result is (status, output)."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(("DUNWELL_", "TEMPORAL_"))}
        self._environment |= environment
        self.said = ""

    async def __call__(self, *words: str | Path) -> tuple[int, str]:
        command = [sys.executable, str(CHECKOUT / "starter.py"), *map(str, words)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=self._environment
        )
        out, _ = await process.communicate()
        self.said += out.decode()
        assert "Traceback" not in out.decode(), out.decode()
        assert process.returncode is not None
        return process.returncode, out.decode()


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with Stack(tmp_path_factory.mktemp("starter") / "stack") as stack:
        await migrate(stack.addresses.database_url)
        await stack.start_provider()
        await stack.start_worker(env={"DUNWELL_LISTS": str(tmp_path_factory.getbasetemp() / "lists")})
        yield stack


@pytest.fixture(scope="module")
def starter(stack: Stack) -> Starter:
    return Starter(stack.addresses.environment())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three late loans of two people, and every kind of bad row."""
    at = tmp_path_factory.mktemp("portfolio")

    def ago(days: int) -> date:
        return TODAY - timedelta(days=days)

    files = {
        "customers.csv": [
            "customer_id,name,language,jurisdiction,time_zone,phone,email",
            f"C1,{NAMES[0]},en,GB,Europe/London,{NAMES[1]},{NAMES[2]}",
            "C2,Bob Invented,en,GB,Europe/London,+447700900124,bob@example.com",
        ],
        "loans.csv": ["loan_id,customer_id,product,currency", "L1,C1,loan,GBP", "L2,C1,loan,GBP", "L3,C2,loan,GBP"],
        "instalments.csv": [
            "loan_id,number,due_on,amount",
            f"L1,1,{ago(12)},100.00",
            f"L2,1,{ago(3)},50.00",
            f"L3,1,{ago(40)},75.00",
            f"L9,1,{ago(3)},75.00",
            f"L3,2,{ago(10)},ten",
        ],
        "payments.csv": [
            "payment_id,loan_id,value_date,amount",
            f"P1,L3,{ago(2)},25.00",
            f"P1,L3,{ago(2)},25.00",
            f"P1,L3,{ago(2)},26.00",
            f"P2,L9,{ago(2)},25.00",
            f"P3,L3,{ago(2)},NaN",
            f"P4,L3,{ago(2)},-5.00",
            f"P5,L3,{ago(2)},5.123",
            "P6,L3,2026-02-30,5.00",
        ],
        "as_of.txt": [str(TODAY)],
    }
    for name, lines in files.items():
        (at / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return at


async def test_an_import_takes_what_is_good_names_what_is_not_and_twice_changes_nothing(
    starter: Starter, folder: Path, tmp_path: Path
) -> None:
    status, said = await starter("import", folder, "--out", tmp_path)
    again = await starter("import", folder, "--out", tmp_path)

    assert status == 1
    assert "2 people and 3 loans new; payments: 1 posted" in said
    assert "0 people and 0 loans new; payments: 0 posted, 1 known already" in again[1]
    rejected = (tmp_path / "rejected.csv").read_text().splitlines()
    assert len(rejected) == 1 + 8
    for value in ("L9", "ten", "P1", "NaN", "-5.00", "5.123", "2026-02-30"):
        assert sum(value in row for row in rejected) >= 1, value


async def test_a_missing_column_refuses_the_folder_before_anything_is_written(starter: Starter, tmp_path: Path) -> None:
    for name in ("loans", "instalments", "payments"):
        (tmp_path / f"{name}.csv").write_text("")
    (tmp_path / "as_of.txt").write_text("2026-01-01\n")
    (tmp_path / "customers.csv").write_text("customer_id,name\nC1,x\n")

    status, said = await starter("import", tmp_path, "--out", tmp_path / "out")

    assert status == 2
    assert "customers.csv" in said
    assert not (tmp_path / "out").exists()


async def test_the_sweep_opens_each_late_loan_once_and_the_cases_read_as_stories(
    starter: Starter, stack: Stack
) -> None:
    first = await starter("sweep")
    await _until_worked(stack, 3)
    second = await starter("sweep")

    assert "3 overdue, 3 cases opened" in first[1]
    assert "3 overdue, 0 cases opened" in second[1]
    by_loan, by_case = await starter("show", "L1"), await starter("show", str(case_id_of("L1")))
    assert by_loan == by_case
    assert "late since" in by_loan[1]
    assert "12 days past due" in by_loan[1]
    assert json.loads((await starter("list", "--json"))[1])[0]["loan_id"] in {"L1", "L2", "L3"}
    assert (await starter("late"))[0] == 0


async def test_payments_are_posted_once_and_what_clashes_goes_to_review(starter: Starter) -> None:
    paid = await starter("pay", "L2", "50.00", "--source", "bank", "--id", "T1")
    again = await starter("pay", "L2", "50.00", "--source", "bank", "--id", "T1")
    other = await starter("pay", "L2", "51.00", "--source", "bank", "--id", "T1")
    twin = await starter("pay", "L2", "50.00", "--source", "psp", "--id", "X1")

    assert [paid[0], again[0], other[0], twin[0]] == [0, 0, 1, 1]
    assert (paid[1].split(":")[0], again[1].split(":")[0]) == ("posted", "known")
    assert other[1].startswith("review")
    assert twin[1].startswith("review")
    assert "cured" in await _shown(starter, "L2", "closed: cured")
    assert (await starter("reverse", "L2", "T1", "--source", "bank"))[0] == 0
    assert "late since" in await _shown(starter, "L2", "past due of 50.00 GBP owed")


async def test_promises_holds_and_decisions_are_answered_by_the_case(starter: Starter) -> None:
    soon = str(TODAY + timedelta(days=5))
    kept = await starter("promise", "L1", "100.00", soon)
    too_far = await starter("promise", "L1", "100.00", str(TODAY + timedelta(days=400)))
    nothing_asked = await starter("approve", "L1", "--by", "ann")
    held = await starter("hold", "L1", "vulnerable")
    disputed = await starter("say", "L3", "dispute", "--text", "I never borrowed this")

    assert kept[0] == 0
    assert "promised: 100.00 GBP" in kept[1]
    assert (too_far[0], nothing_asked[0]) == (1, 1)
    assert "days ahead" in too_far[1]
    assert held[1].startswith("held")
    assert disputed[0] == 0
    assert "held: dispute" in await _shown(starter, "L3", "held: dispute")
    assert "held: dispute" not in await _shown(starter, "L1", "held: vulnerable")
    assert (await starter("lift", "L3", "dispute", "--loan-only"))[1].startswith("lifted")
    settled = await starter("decide", "L3", "settle", "--by", "ann", "--amount", "30.00", "--due", soon)
    assert settled == (0, "accepted: settle recorded\n")
    assert "settlement agreed: 30.00 GBP" in await _shown(starter, "L3", "settlement agreed")


async def test_journals_verify_also_without_a_database_and_a_changed_byte_is_found(
    starter: Starter, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    alone = Starter({})

    assert (await starter("verify"))[0] == 0
    assert (await starter("export", file))[0] == 0
    assert (await alone("verify", "--file", file))[0] == 0
    file.write_text(file.read_text().replace("late", "LATE", 1).replace('past_due\\":10000', 'past_due\\":10001', 1))
    broken = await alone("verify", "--file", file)
    assert broken[0] == 1
    assert "do not match their hash" in broken[1]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("show", "L77"), "L77"),
        (("pay", "L77", "1.00"), "L77"),
        (("pay", "L1", "1.234"), "1.234"),
        (("pay", "L1", "1.00", "--on", "yesterday"), "yesterday"),
        (("hold", "L1", "sleepy"), "sleepy"),
        (("decide", "L1", "shout", "--by", "ann"), "what"),
    ],
)
async def test_what_cannot_be_is_refused_in_one_line_that_names_it(
    starter: Starter, words: tuple[str, ...], names: str
) -> None:
    status, said = await starter(*words)

    assert status == 2
    assert names in said


async def test_nothing_personal_is_printed_or_logged(starter: Starter, stack: Stack) -> None:
    logged = "".join(f.read_text(errors="replace") for f in stack.logs.glob("worker*.log"))

    assert [n for n in (*NAMES, "I never borrowed this") if n in starter.said + logged] == []


async def _until_worked(stack: Stack, cases: int) -> None:
    pool = await connect(stack.addresses.database_url, 2)
    async with asyncio.timeout(30):
        while await pool.fetchval("select count(*) from collection_case where sequence > 0") < cases:
            await asyncio.sleep(0.1)
    await pool.close()


async def _shown(starter: Starter, loan: str, wanted: str) -> str:
    """What `show` says once the case has taken what it was told."""
    said = ""
    async with asyncio.timeout(30):
        while wanted not in (said := (await starter("show", loan))[1]):
            await asyncio.sleep(0.2)
    return said
