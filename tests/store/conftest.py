"""A lender with a real PostgreSQL and nobody outside: what leaves the house is concluded by the tests themselves."""

from collections.abc import AsyncIterator

import pytest

from dunwell.store.database import migrate
from tests.step.lender import Lender

# Nothing listens there: a test that sends something fails.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
async def lender(postgres: str) -> AsyncIterator[Lender]:
    await migrate(postgres)
    lender = await Lender.open(postgres, NOWHERE)
    yield lender
    await lender.close()
