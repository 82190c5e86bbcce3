"""Health: /livez says that the process turns, /readyz that it reaches what it needs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from temporalio.client import Client

from dunwell.settings import Settings

_PATIENCE = 2.0


class _Server(uvicorn.Server):
    """Signals are the worker's own affair."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Health:
    """Served while the block lasts. `draining` makes /readyz fail, so that no more work is sent here."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, client: Client) -> None:
        self._pool, self._client = pool, client
        self.draining = False
        self.port = settings.health_port
        app = Starlette(routes=[Route("/livez", self._live), Route("/readyz", self._ready)])
        config = uvicorn.Config(
            app, host=settings.health_host, port=self.port, log_config=None, access_log=False, lifespan="off"
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self.port:
            self._task = asyncio.create_task(self._server.serve())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._server.should_exit = True
            await self._task

    async def _live(self, _: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> JSONResponse:
        """503 and the names of the parts that do not answer."""
        missing = ["draining"] if self.draining else []
        missing += [name for name, there in (await self._parts()).items() if not there]
        return JSONResponse({"ready": not missing, "missing": missing}, status_code=503 if missing else 200)

    async def _parts(self) -> dict[str, bool]:
        return {"database": await self._database(), "temporal": await self._temporal()}

    async def _database(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return await self._pool.fetchval("select true", timeout=_PATIENCE) is True
        return False

    async def _temporal(self) -> bool:
        with suppress(RuntimeError, TimeoutError):
            return await self._client.service_client.check_health(timeout=timedelta(seconds=_PATIENCE))
        return False
