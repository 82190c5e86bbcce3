"""One stack for the whole suite: PostgreSQL, Temporal, the sandbox provider, a worker.

`lender` has a database that no worker serves, for steps taken one by one; `engine` has the one that the worker serves.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkipper

from dunwell.local.stack import Stack
from dunwell.store.database import migrate
from tests.step.engine import Engine
from tests.step.lender import Lender


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with Stack(Path(tmp_path_factory.mktemp("stack"))) as running:
        await running.start_provider()
        yield running


@pytest.fixture(scope="session")
async def quiet_lender(stack: Stack) -> AsyncIterator[Lender]:
    lender = await _lender(stack, await stack.postgres.fresh_database("quiet"))
    yield lender
    await lender.close()


@pytest.fixture
def lender(quiet_lender: Lender) -> Lender:
    """The lender, whose provider behaves."""
    quiet_lender.provider("faults")
    quiet_lender.provider("modes")
    return quiet_lender


@pytest.fixture(scope="session")
async def running_engine(stack: Stack) -> AsyncIterator[Engine]:
    lender = await _lender(stack, stack.addresses.database_url)
    client = await Client.connect(stack.addresses.temporal_address, data_converter=pydantic_data_converter)
    yield Engine(stack, lender, client, TimeSkipper(client))
    await lender.close()


@pytest.fixture
async def engine(running_engine: Engine) -> Engine:
    """The engine with its worker, whatever an earlier test killed; the provider behaves."""
    running_engine.lender.provider("faults")
    running_engine.lender.provider("modes")
    await running_engine.serve()
    return running_engine


async def _lender(stack: Stack, dsn: str) -> Lender:
    provider = stack.addresses.provider_url
    assert provider is not None
    await migrate(dsn)
    return await Lender.open(dsn, provider)
