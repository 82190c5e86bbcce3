"""Health: /livez says that the process turns, /readyz that it works and reaches what it needs."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Literal, Self

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from temporalio.client import Client

from dunwell.settings import Settings, SettingsError

_PATIENCE = 2.0


class _Server(uvicorn.Server):
    """Signals are the worker's own affair."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Health:
    """Served while the block lasts. /readyz answers 503 unless the phase is `serving`, so that a rollout waits or goes on.

    Raises SettingsError when the port cannot be had.
    """

    def __init__(self, settings: Settings, pool: asyncpg.Pool, client: Client) -> None:
        self._pool, self._client = pool, client
        self.phase: Literal["starting", "serving", "draining"] = "starting"
        self.port = settings.health_port
        self._host = settings.health_host
        app = Starlette(routes=[Route("/livez", self._live), Route("/readyz", self._ready)])
        # A probe that is being answered at the end is let go after a second: it must not hold up the stop.
        self._server = _Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self.port:
            try:
                door = socket.create_server((self._host, self.port), family=_family(self._host))
            except OSError as e:
                raise SettingsError(
                    f"DUNWELL_HEALTH_HOST={self._host} DUNWELL_HEALTH_PORT={self.port}: {e.strerror}; choose another"
                ) from e
            self._task = asyncio.create_task(self._server.serve([door]), name="health")
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
        """503 and the names of what is missing."""
        database, temporal = await asyncio.gather(self._database(), self._temporal())
        missing: list[str] = [self.phase] if self.phase != "serving" else []
        missing += [name for name, there in (("database", database), ("temporal", temporal)) if not there]
        return JSONResponse({"ready": not missing, "missing": missing}, status_code=503 if missing else 200)

    async def _database(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                return await self._pool.fetchval("select true") is True
        return False

    async def _temporal(self) -> bool:
        with suppress(RuntimeError, TimeoutError):
            return await self._client.service_client.check_health(timeout=timedelta(seconds=_PATIENCE))
        return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
