"""One stack for the whole suite: PostgreSQL, Temporal, the sandbox provider; cases are worked on databases of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dunwell.local.stack import Stack
from dunwell.store.database import migrate
from tests.step.lender import Lender


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with Stack(Path(tmp_path_factory.mktemp("stack"))) as running:
        await running.start_provider()
        yield running


@pytest.fixture(scope="session")
async def quiet_lender(stack: Stack) -> AsyncIterator[Lender]:
    """A database that no worker serves: steps are taken one by one."""
    dsn = await stack.postgres.fresh_database("quiet")
    await migrate(dsn)
    provider = stack.addresses.provider_url
    assert provider is not None
    lender = await Lender.open(dsn, provider)
    yield lender
    await lender.close()


@pytest.fixture
def lender(quiet_lender: Lender) -> Lender:
    """The lender, whose provider behaves."""
    quiet_lender.provider("faults")
    quiet_lender.provider("modes")
    return quiet_lender
