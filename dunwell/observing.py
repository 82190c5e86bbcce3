"""Logs and metrics. Neither holds anything personal."""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

import asyncpg
import orjson
import structlog
from temporalio.runtime import Runtime

# What may stand in a log line; anything else is masked, for it may be personal.
_ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger", "exception", "case_id", "run_id", "loan_id", "kind", "stage",
        "channel", "code", "error", "tries", "status", "queues", "health_port", "graceful_seconds", "count",
        "seconds", "workflow_id", "task_queue", "attempt", "temporal",
    }
)  # fmt: skip
_SAMPLED_EVERY_SECONDS = 15.0


def _masked(_logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in line:
        if key not in _ALLOWED:
            line[key] = "***"
    return line


def configure_logs(level: str) -> None:
    """JSON lines on standard output, ours and the Temporal SDK's alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _masked,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)


class Meter:
    """Our own metrics, on the same Prometheus page as the SDK's."""

    def __init__(self, runtime: Runtime) -> None:
        meter = runtime.metric_meter
        self._steps = meter.create_counter("dunwell_steps", "steps done, by kind and outcome")
        self._seconds = meter.create_histogram_float("dunwell_step_seconds", "time of a step", "s")
        self._contacts = meter.create_counter("dunwell_contacts", "contacts, by channel and outcome")
        self._cases = meter.create_gauge("dunwell_cases", "cases, by stage")
        self._attention = meter.create_gauge("dunwell_attention", "cases that need a person")
        self._backlog = meter.create_gauge("dunwell_outbox", "wake-ups not yet seen by their case")
        self._late = meter.create_gauge("dunwell_late", "cases whose next step is an hour late")

    def step(self, kind: str, outcome: str, seconds: float) -> None:
        """One step: done, failed or refused."""
        self._steps.add(1, {"kind": kind, "outcome": outcome})
        self._seconds.record(seconds, {"kind": kind})

    def contact(self, channel: str, outcome: str) -> None:
        """One contact: sent, failed, unknown or abandoned."""
        self._contacts.add(1, {"channel": channel, "outcome": outcome})

    async def sample(self, pool: asyncpg.Pool) -> None:
        """Keep the gauges of the whole portfolio current, until cancelled."""
        while True:
            try:
                for row in await pool.fetch("select stage, count(*) as cases from collection_case group by stage"):
                    self._cases.set(row["cases"], {"stage": row["stage"]})
                counts = await pool.fetchrow(
                    """select (select count(*) from collection_case where attention is not null) as attention,
                              (select count(*) from outbox) as backlog,
                              (select count(*) from collection_case
                               where stage <> 'closed' and next_due < now() - interval '1 hour') as late"""
                )
                if counts is not None:
                    self._attention.set(counts["attention"])
                    self._backlog.set(counts["backlog"])
                    self._late.set(counts["late"])
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as e:
                structlog.get_logger().warning("metrics_wait_for_database", error=type(e).__name__)
            await asyncio.sleep(_SAMPLED_EVERY_SECONDS)
