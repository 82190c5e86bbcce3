"""One installation in real time: PostgreSQL migrated by the command, Temporal, the provider and a worker."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dunwell.local.stack import Stack
from dunwell.settings import CHECKOUT
from dunwell.store.database import connect
from tests.cli.folder import write_portfolio


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line that a refused command says."""
        assert self.out == ""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


@dataclass
class Starter:
    """Runs `starter.py` as a user does, in a process of its own, and keeps all that was said."""

    settings: dict[str, str]
    checkout: Path = CHECKOUT
    said: list[str] = field(default_factory=list)

    async def __call__(self, *words: object, **settings: str) -> Said:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("DUNWELL_", "TEMPORAL_"))}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(self.checkout / "starter.py"), *map(str, words),
            env={**clean, "NO_COLOR": "1", **self.settings, **settings},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        told = Said(process.returncode or 0, out.decode(), err.decode())
        self.said += [told.out, told.err]
        assert "Traceback" not in told.err, told.err
        return told


@dataclass
class Town:
    """The installation with a small portfolio imported and its cases opened."""

    stack: Stack
    starter: Starter
    lists: Path
    migrated: tuple[Said, Said]
    swept: Said


@pytest.fixture(scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    folder = tmp_path_factory.mktemp("cli")
    async with Stack(folder / "stack") as stack:
        starter = Starter(stack.addresses.environment())
        migrated = (await starter("migrate"), await starter("migrate"))
        await stack.start_provider()
        await stack.start_worker(env={"DUNWELL_LISTS": str(folder / "lists"), "DUNWELL_LOG_LEVEL": "DEBUG"})
        imported = await starter("import", write_portfolio(folder / "portfolio"), "--out", folder / "out")
        assert imported.status == 0, imported
        swept = await starter("sweep")
        pool = await connect(stack.addresses.database_url, 1)
        async with asyncio.timeout(30):
            while await pool.fetchval("select exists (select 1 from collection_case where journal_length = 0)"):
                await asyncio.sleep(0.1)
        await pool.close()
        yield Town(stack, starter, folder / "lists", migrated, swept)
