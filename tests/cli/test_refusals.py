"""What cannot be done is refused in one line that names the value and what to do."""

import asyncio
import shutil
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from dunwell.settings import CHECKOUT
from tests.cli.conftest import Starter, Town
from tests.cli.folder import day


@pytest.mark.parametrize(
    ("words", "names", "remedy"),
    [
        (("show", "K99"), "'K99'", "`list` shows them"),
        (("show", "K4"), "'K4' has no case", "`sweep` opens what is"),
        (("pay", "K99", "1.00"), "'K99'", "import it first"),
        (("pay", "K1", "NaN"), "'NaN'", "such as 120.50"),
        (("pay", "K1", "0.00"), "'0.00'", "correct the amount"),
        (("pay", "K3", "10.5"), "'10.5' has 1 decimals, JPY has 0", "send the exact amount"),
        (("pay", "K1", "1.00", "--on", "20261224"), "'20261224' is no date", "2025-03-12"),
        (("promise", "K1", "1.00", "soon"), "'soon' is no date", "2025-03-12"),
        (("hold", "K1", "opt_out", "--channel", "pigeon"), "'pigeon'", "use one of sms, email"),
        (("hold", "K1", "manual", "--until", str(day(-1))), str(day(-1)), "name today or a later day"),
        (("say", "K1", "shouting"), "about 'shouting'", "'question', 'dispute'"),
        (("verify", "--file", "nowhere.jsonl"), "nowhere.jsonl", "name a file that `export` wrote"),
    ],
)  # fmt: skip
async def test_a_wrong_value_is_named_with_its_remedy(
    town: Town, words: tuple[str, ...], names: str, remedy: str
) -> None:
    said = await town.starter(*words)

    assert said.status == 2
    assert names in said.line
    assert remedy in said.line


async def test_settings_that_lead_nowhere_are_said_in_one_line(town: Town, tmp_path: Path) -> None:
    # A checkout of its own, for another may have servers up that a command would find.
    alone = tmp_path / "checkout"
    for part in ("dunwell", "workflows", "activities", "rules", "strategies", "templates"):
        shutil.copytree(CHECKOUT / part, alone / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "starter.py", alone)
    nothing = Starter({}, checkout=alone)
    empty = await town.stack.postgres.fresh_database("never_migrated")

    unset, dead, odd, unmigrated = await asyncio.gather(
        nothing("list"),
        nothing("list", DUNWELL_DATABASE_URL="postgresql://nobody:hush@127.0.0.1:1/none"),
        nothing("list", DUNWELL_DATABASE_URL="mysql://nobody:hush@127.0.0.1/none"),
        nothing("list", DUNWELL_DATABASE_URL=empty),
    )

    assert [said.status for said in (unset, dead, odd, unmigrated)] == [2, 2, 2, 2]
    assert "set DUNWELL_DATABASE_URL and TEMPORAL_ADDRESS" in unset.line
    assert "the database does not answer" in dead.line
    assert "DUNWELL_DATABASE_URL does not read" in odd.line
    assert "run `starter.py migrate` first" in unmigrated.line
    assert "hush" not in dead.err + odd.err


async def test_a_server_that_is_away_and_a_queue_that_nobody_serves_are_said_at_once(town: Town) -> None:
    client = await Client.connect(town.stack.addresses.temporal_address)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace="idle", workflow_execution_retention_period=Duration(seconds=86_400))
    )

    away, unknown = await asyncio.gather(
        town.starter("sweep", TEMPORAL_ADDRESS="127.0.0.1:1"), town.starter("sweep", TEMPORAL_NAMESPACE="nowhere")
    )
    # A namespace is known to the whole server some moments after it was made.
    async with asyncio.timeout(30):
        while (
            "no worker"
            not in (idle := await town.starter("promise", "K1", "1.00", day(2), TEMPORAL_NAMESPACE="idle")).err
        ):
            await asyncio.sleep(0.5)

    assert (away.status, unknown.status, idle.status) == (2, 2, 2)
    assert "no Temporal server at 127.0.0.1:1" in away.line
    assert "check TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE" in unknown.line
    assert "start `python worker.py`" in idle.line
