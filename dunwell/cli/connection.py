"""Which database and which Temporal server a command talks to."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import typer
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from dunwell.catalogue import CatalogueError, load_book
from dunwell.domain.outlook import CASE_QUEUE
from dunwell.domain.strategy import Book
from dunwell.local.stack import RunningStack, Stack
from dunwell.settings import CHECKOUT
from dunwell.store.cases import find_case
from dunwell.store.database import connect

T = TypeVar("T")


class Refusal(typer.Exit):
    """A command that cannot be done; what is wrong and what to do was said."""


def refuse(message: str) -> Refusal:
    """Say what is wrong, and give the error to raise; exit status 2."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    return Refusal(2)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work. What a user can mend is said in one line, never as a trace."""
    try:
        return asyncio.run(work)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as e:
        raise refuse(f"the database is not that of this release ({e}): run `starter.py migrate` first") from e
    except asyncpg.InterfaceError as e:
        raise refuse(
            f"DUNWELL_DATABASE_URL does not read ({e}): write it as postgresql://user:password@host:5432/database"
        ) from e
    except (asyncpg.PostgresError, OSError) as e:
        if isinstance(e, OSError) and e.filename:
            raise refuse(f"{e.filename}: {e.strerror}: name a file or folder that can be used") from e
        raise refuse(
            f"the database does not answer ({type(e).__name__}: {e}): is it up, and is DUNWELL_DATABASE_URL right?"
        ) from e
    except RPCError as e:
        raise refuse(f"the Temporal server says: {e.message}: check TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE") from e
    except CatalogueError as e:
        raise refuse(str(e)) from e


@dataclass(slots=True)
class House:
    """What a command works with."""

    pool: asyncpg.Pool
    environment: dict[str, str]
    embedded: bool

    async def now(self, case_id: UUID | None = None) -> datetime:
        """The present. A kept demo lives at its own dates: there it is what the cases have last seen."""
        if not self.embedded:
            return datetime.now(UTC)
        last: datetime | None = await self.pool.fetchval(
            "select max(last_at) from collection_case where id = coalesce($1, id)", case_id
        )
        return last or datetime.now(UTC)

    async def temporal(self) -> Client:
        """A client of the same house's Temporal server."""
        return await temporal_client(self.environment)

    def book(self) -> Book:
        """Rules and strategies of this checkout."""
        return load_book(CHECKOUT)

    async def case(self, case_or_loan: str) -> UUID:
        """A case by its id or its loan's."""
        async with self.pool.acquire() as connection:
            found = await find_case(connection, case_or_loan)
            if found is None and await connection.fetchval("select 1 from loan where id = $1", case_or_loan):
                raise refuse(f"loan {case_or_loan!r} has no case: it was not late so far; `sweep` opens what is")
        if found is None:
            raise refuse(f"no case for {case_or_loan!r}: give a case id or a loan id; `list` shows them")
        return found


def database_url() -> str:
    """DUNWELL_DATABASE_URL, or the address of the embedded database that runs here."""
    return os.environ.get("DUNWELL_DATABASE_URL") or _running().database_url


async def temporal_client(environment: Mapping[str, str] | None = None) -> Client:
    """A client by the Temporal SDK's own settings; `environment` has the last word. Without any, the embedded server's."""
    if environment is None:
        named = "TEMPORAL_ADDRESS" in os.environ or "TEMPORAL_PROFILE" in os.environ
        environment = {} if named else _running().environment()
    config = ClientConfig.load_client_connect_config()
    if "TEMPORAL_ADDRESS" in environment:
        config["target_host"] = environment["TEMPORAL_ADDRESS"]
        config["namespace"] = environment["TEMPORAL_NAMESPACE"]
    config.setdefault("target_host", "127.0.0.1:7233")
    try:
        return await Client.connect(**config, data_converter=pydantic_data_converter)
    except RuntimeError as e:
        raise refuse(f"no Temporal server at {config['target_host']}: start it, or set TEMPORAL_ADDRESS") from e


async def require_worker(client: Client) -> None:
    """Refuse where nobody would do what is asked: it would be waited for in vain."""
    queue = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=CASE_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    told = await client.workflow_service.describe_task_queue(queue)
    if not told.pollers:
        raise refuse(f"no worker serves the task queue {CASE_QUEUE!r}: start `python worker.py`, then ask again")


def _running() -> RunningStack:
    running = Stack.find()
    if running is None:
        raise refuse(
            "nothing to talk to: set DUNWELL_DATABASE_URL and TEMPORAL_ADDRESS, "
            "or start the embedded servers in another terminal with `make demo KEEP=1`"
        )
    return running


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """The house named by DUNWELL_DATABASE_URL, or the embedded one that runs here."""
    running = None if os.environ.get("DUNWELL_DATABASE_URL") else _running()
    pool = await connect(running.database_url if running else database_url(), 4)
    try:
        yield House(pool, running.environment() if running else {}, embedded=running is not None)
    finally:
        await pool.close()
