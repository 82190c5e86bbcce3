"""What several suites share: one PostgreSQL and one Temporal server for each run of pytest, started when first asked for."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dunwell.local.postgres import EmbeddedPostgres
from dunwell.local.temporal_server import TemporalServer


@pytest.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """The server, for those who need several databases or its process."""
    async with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
async def postgres(postgres_server: EmbeddedPostgres) -> str:
    """The DSN of an empty database that this run has for itself."""
    return await postgres_server.fresh_database(f"run_{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    """A server that can skip time; `temporal.address` and `temporal.namespace` lead a client there."""
    async with TemporalServer(Path(tmp_path_factory.mktemp("temporal")) / "server.log") as server:
        yield server
