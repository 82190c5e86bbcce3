"""A folder worked through the real engine and in memory comes to the same."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Starter
from tests.cli.folder import BAD_ROWS, write_bad_rows


def to_the_minute(file: Path) -> str:
    """The engine's clock runs on while a message is sent: seconds differ."""
    return re.sub(r"T(\d\d:\d\d):\d\d", r"T\1", file.read_text(encoding="utf-8"))


@pytest.mark.timeout(180)
async def test_replay_and_simulate_take_the_good_rows_report_the_bad_ones_and_agree(tmp_path: Path) -> None:
    folder, starter = write_bad_rows(tmp_path / "bad", "R"), Starter({})

    replayed = await starter("replay", folder, "--out", tmp_path / "replayed")
    simulated = await starter("simulate", folder, "--out", tmp_path / "simulated")

    assert (replayed.status, simulated.status) == (1, 1), replayed
    for name in ("rejected.csv", "episodes.csv", "balances.csv", "contacts.csv"):
        ours, theirs = (tmp_path / where / name for where in ("replayed", "simulated"))
        assert to_the_minute(ours) == to_the_minute(theirs), name
    rejected = (tmp_path / "replayed" / "rejected.csv").read_text(encoding="utf-8").splitlines()
    assert len(rejected) == 1 + len(BAD_ROWS)
    balances = (tmp_path / "replayed" / "balances.csv").read_text(encoding="utf-8")
    assert "R1" in balances
    assert "90.00" in balances
