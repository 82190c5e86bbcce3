"""The year of the sample portfolio, once through the real engine and once in memory."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from dunwell.catalogue import load_book
from dunwell.domain.case import fold
from dunwell.domain.events import decode
from dunwell.intake.portfolio import read_portfolio
from dunwell.local.driver import Drive, driving
from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT
from dunwell.simulation.run import live
from dunwell.store.journal import verify
from dunwell.store.reading import read_state

BEGINS = date(2025, 1, 1)
Line = tuple[str, str, dict[str, Any]]


@pytest.mark.timeout(420)
async def test_the_engine_writes_the_same_journals_as_the_simulation_to_the_minute(tmp_path: Path) -> None:
    portfolio, rejected = read_portfolio(CHECKOUT / "sample")
    assert not rejected
    book = load_book(CHECKOUT)
    expected: dict[str, list[Line]] = {}
    for person in portfolio.people():
        world = live(person, book, BEGINS, portfolio.as_of)
        for loan, journal in world.journals.items():
            expected[loan] = [(_minute(at), e.kind, e.body()) for at, e in journal]

    async with Stack(tmp_path / "stack") as stack, driving(stack, book) as drive:
        await drive.bring_in(portfolio)
        await drive.work(portfolio, lambda _: None, BEGINS)
        written = await _journals(drive)
        await _every_case_is_the_fold_of_its_journal_and_its_chain_holds(drive)

    assert written.keys() == expected.keys()
    for loan in sorted(expected):
        _same(loan, written[loan], expected[loan])


def _same(loan: str, written: Sequence[Line], expected: Sequence[Line]) -> None:
    """Says where two journals part, which a comparison of the whole would bury."""
    for n, (ours, theirs) in enumerate(zip(written, expected, strict=False), 1):
        assert ours == theirs, f"loan {loan}, entry {n}"
    assert len(written) == len(expected), f"loan {loan}"


async def _journals(drive: Drive) -> dict[str, list[Line]]:
    rows = await drive.pool.fetch(
        """select k.loan_id, j.at, j.kind, j.bytes from journal j join collection_case k on k.id = j.case_id
           order by j.case_id, j.number"""
    )
    found: dict[str, list[Line]] = {}
    for r in rows:
        found.setdefault(r["loan_id"], []).append((_minute(r["at"]), r["kind"], json.loads(r["bytes"])["body"]))
    return found


async def _every_case_is_the_fold_of_its_journal_and_its_chain_holds(drive: Drive) -> None:
    for row in await drive.pool.fetch("select * from collection_case"):
        entries = await drive.pool.fetch("select * from journal where case_id = $1 order by number", row["id"])
        told = [(e["at"], decode(e["kind"], json.loads(e["bytes"])["body"])) for e in entries]
        snapshot = read_state(row["id"], row["loan_id"], row["person_id"], row)
        assert fold(str(row["id"]), row["loan_id"], row["person_id"], told) == snapshot
        assert verify(str(row["id"]), [(e["number"], e["bytes"], e["hash"]) for e in entries]) is None


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
