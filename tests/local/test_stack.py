"""A stack can be found by the commands while it runs, and only then."""

from pathlib import Path

import asyncpg
import psutil
import pytest
from temporalio.client import Client

from dunwell.local.processes import ChildCrashed
from dunwell.local.stack import Stack, StackUnusable
from dunwell.local.temporal_server import TemporalServer, TemporalUnusable


async def test_a_running_stack_is_found_by_its_folder_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        found = Stack.find(tmp_path)
        assert found is not None
        connection = await asyncpg.connect(found.environment()["DUNWELL_DATABASE_URL"])
        await connection.close()
        await Client.connect(found.environment()["TEMPORAL_ADDRESS"])
        assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0
        with pytest.raises(StackUnusable, match=f"process {found.pid} runs a stack"):
            await Stack(tmp_path).__aenter__()
        pids = found.server_pids

    assert Stack.find(tmp_path) is None
    assert not any(map(psutil.pid_exists, pids))
    assert not (stack.folder / "postgres").exists()


async def test_a_server_that_dies_is_the_failure_of_the_stack(tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed, match=r"postgres .* SIGKILL"):
        async with Stack(tmp_path) as stack:
            psutil.Process(stack.postgres.pid).kill()
            assert stack.temporal is not None
            assert stack.temporal.child is not None
            await stack.watch(stack.temporal.child.ended())


async def test_a_given_temporal_server_is_used_and_one_that_does_not_answer_is_named(
    tmp_path: Path, temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.address)
    async with Stack(tmp_path) as stack:
        assert stack.temporal is None
        assert stack.addresses.temporal_address == temporal.address

    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises(TemporalUnusable, match=r"TEMPORAL_ADDRESS=127.0.0.1:1 does not answer"):
        await Stack(tmp_path).__aenter__()
