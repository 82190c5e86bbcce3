"""A worker: serves task queues, delivers wake-ups, answers health checks, and stops gracefully.

Several may run side by side. Settings by environment: see docs/settings.md.
"""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
import uvloop
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)

from activities.composition import activities_of
from activities.overdue import Overdue
from activities.wording import Wording
from activities.working import Working
from dunwell.catalogue import CatalogueError, load_book, load_texts
from dunwell.channels.http_provider import HttpChannel
from dunwell.domain.outlook import CASE_QUEUE
from dunwell.health import Health
from dunwell.intake.relay import Relay, began_at, real_time
from dunwell.observing import Meter, configure_logs, telemetry
from dunwell.settings import CHANNEL_QUEUES, Settings, SettingsError, load, unknown_variables
from dunwell.store.database import connect, missing_migrations
from dunwell.store.steps import Steps
from workflows.case import Case
from workflows.portfolio import Portfolio

log = structlog.get_logger()


class CannotStart(RuntimeError):
    """Something this worker needs is away, or not as it must be; the message says what, and what to do."""


async def temporal_client(runtime: Runtime | None = None) -> Client:
    """A client by the Temporal SDK's own environment variables, with the converter that cases need."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    return await Client.connect(**config, data_converter=pydantic_data_converter, runtime=runtime)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`, then let running steps end within the grace period.

    Raises: CannotStart or SettingsError, before anything is served.
    """
    book, texts = load_book(settings.catalogue), load_texts(settings.catalogue)
    runtime = _runtime(settings)
    async with AsyncExitStack() as closing:
        pool = await _database(settings)
        closing.push_async_callback(pool.close)
        client = await _temporal(runtime)
        health = await closing.enter_async_context(Health(settings, pool, client))
        meter = Meter(runtime)
        wording = Wording(texts, settings.lender, settings.reply_to)
        channels = {c: channel_of(settings, c) for c in CHANNEL_QUEUES}
        for channel in channels.values():
            closing.push_async_callback(channel.aclose)
        working = Working(Steps(pool, book, wording.render, settings.signal_sources), channels, meter)
        overdue = Overdue(pool, book, settings.lists)
        workers = [_worker(client, settings, q, working, overdue) for q in settings.queues]
        pollers = [asyncio.create_task(w.run(), name=w.task_queue) for w in workers]
        house: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait(), name="stop")]
        if settings.relay and CASE_QUEUE in settings.queues:
            relay = Relay(pool, client, began_at if settings.virtual_time else real_time)
            house.append(asyncio.create_task(relay.run(), name="relay"))
            house.append(asyncio.create_task(meter.sample(pool), name="gauges"))
        health.phase = "serving"
        log.info("serving", queues=list(settings.queues), health_port=health.port, version=settings.build_id)
        try:
            done, _ = await asyncio.wait([*pollers, *house], return_when=asyncio.FIRST_COMPLETED)
        finally:
            health.phase = "draining"
            log.info("stopping", graceful_seconds=settings.graceful_seconds)
            for task in house:
                task.cancel()
            # All queues at once: the grace period is one, not one for each.
            await asyncio.gather(*house, *(w.shutdown() for w in workers), return_exceptions=True)
            await asyncio.gather(*pollers, return_exceptions=True)
        for task in done:
            task.result()


def _runtime(settings: Settings) -> Runtime:
    try:
        return Runtime(telemetry=telemetry(settings.metrics_address))
    except (RuntimeError, ValueError) as e:
        raise SettingsError(
            f"DUNWELL_METRICS_ADDRESS={settings.metrics_address}: {e}; give host:port that is free"
        ) from e


async def _database(settings: Settings) -> asyncpg.Pool:
    try:
        pool = await connect(settings.database_url.get_secret_value(), settings.database_pool)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as e:
        raise CannotStart(f"the database of DUNWELL_DATABASE_URL does not let in: {_said(e)}") from e
    missing = await missing_migrations(pool)
    if missing:
        await pool.close()
        raise CannotStart(f"the database lacks {', '.join(missing)}; run `python starter.py migrate` first")
    return pool


async def _temporal(runtime: Runtime) -> Client:
    try:
        return await temporal_client(runtime)
    except (RuntimeError, ValueError, OSError) as e:
        raise CannotStart(f"the Temporal server of TEMPORAL_ADDRESS does not answer: {_said(e)}") from e


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def channel_of(settings: Settings, channel: str) -> HttpChannel:
    """The provider's channel of that name."""
    token = settings.provider_token.get_secret_value() if settings.provider_token else None
    return HttpChannel(
        settings.provider_url,
        channel,
        token,
        honours_keys=settings.provider_honours_keys,
        can_look_up=settings.provider_looks_up,
        keeps_keys_for=timedelta(hours=settings.provider_keeps_keys_hours),
    )


def _worker(client: Client, settings: Settings, queue: str, working: Working, overdue: Overdue) -> Worker:
    cases = queue == CASE_QUEUE
    version = None
    if settings.deployment:
        version = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(settings.deployment, settings.build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
        )
    return Worker(
        client,
        task_queue=queue,
        workflows=[Case, Portfolio] if cases else [],
        activities=activities_of(queue, working, overdue),
        # The workflows hold no state outside themselves; the sandbox would double the cost of a cold replay.
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=settings.slots,
        max_concurrent_local_activities=settings.slots,
        max_concurrent_workflow_tasks=settings.slots,
        max_cached_workflows=settings.cached_cases,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_seconds),
        deployment_config=version,
    )


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = load()
    configure_logs(settings.log_level)
    if unknown := unknown_variables():
        log.warning("variables_that_are_no_setting", names=unknown)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signalled, stop.set)
    try:
        await serve(settings, stop)
    except (CannotStart, CatalogueError) as e:
        log.critical("cannot_start", error=str(e))
        sys.exit(1)


if __name__ == "__main__":
    logging.captureWarnings(capture=True)
    uvloop.run(main()) if sys.platform != "win32" else asyncio.run(main())
