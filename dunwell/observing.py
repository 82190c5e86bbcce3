"""Logs and metrics. Neither holds anything personal."""

import asyncio
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import asyncpg
import orjson
import structlog
from temporalio import activity, workflow
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from dunwell.domain.codes import STAGES

log = structlog.get_logger()

# What may stand in a log line; anything else is masked, for it may be personal.
_ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger", "exception", "case_id", "run_id", "loan_id", "kind", "stage", "outcome",
        "channel", "code", "error", "tries", "status", "queues", "health_port", "graceful_seconds", "count",
        "seconds", "workflow_id", "activity", "task_queue", "attempt", "names", "version",
    }
)  # fmt: skip
# Parts of other people's messages that repeat what was in a field or a row.
_VALUES = re.compile(r"input_value=.*?(?=, input_type=)|(?<=\nDETAIL:  )[^\n]*|(?<=\nCONTEXT:  )[^\n]*", re.DOTALL)
_CASE = "case-"
_SAMPLED_EVERY_SECONDS = 15.0
_STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _masked(_logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in line.items():
        if key.startswith("_"):
            continue  # the formatter's own, gone before the line is written
        if key not in _ALLOWED:
            line[key] = "***"
        elif isinstance(value, str):
            line[key] = _VALUES.sub("***", value)
    return line


def _whose(_logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The case and the run that a line of the Temporal SDK is about."""
    record = line.get("_record")
    told = getattr(record, "temporal_activity", None) or getattr(record, "temporal_workflow", None) or {}
    if workflow_id := told.get("workflow_id"):
        line["workflow_id"], line["run_id"] = workflow_id, told.get("workflow_run_id") or told.get("run_id")
        line["attempt"] = told.get("attempt")
        if workflow_id.startswith(_CASE):
            line["case_id"] = workflow_id.removeprefix(_CASE)
    if kind := told.get("activity_type"):
        line["activity"] = kind
    return line


def configure_logs(level: str) -> None:
    """JSON lines on standard output, ours and the Temporal SDK's alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, _masked, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _whose, _masked],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in ("httpx", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Case and run stand in fields of their own; the message need not repeat them.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False


def telemetry(metrics_address: str | None) -> TelemetryConfig:
    """The SDK's core logs as all others do; its metrics and ours on one page, durations in seconds."""
    core = LogForwardingConfig(logging.getLogger("temporalio"), append_log_fields_to_message=False)
    metrics = None
    if metrics_address:
        metrics = PrometheusConfig(
            metrics_address,
            durations_as_seconds=True,
            histogram_bucket_overrides={"dunwell_step_seconds": _STEP_SECONDS},
        )
    logs = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=core)
    return TelemetryConfig(logging=logs, metrics=metrics)


class Meter:
    """Our own metrics, on the same Prometheus page as the SDK's. Gauges tell of the whole portfolio: never add them up."""

    def __init__(self, runtime: Runtime) -> None:
        meter = runtime.metric_meter
        self._steps = meter.create_counter("dunwell_steps_total", "steps worked, by kind and outcome")
        self._seconds = meter.create_histogram_float("dunwell_step_seconds", "time of a step, by kind", "s")
        self._contacts = meter.create_counter("dunwell_contacts_total", "contacts, by channel and outcome")
        self._cases = meter.create_gauge("dunwell_cases", "cases, by stage")
        self._attention = meter.create_gauge("dunwell_attention", "cases that need a person")
        self._backlog = meter.create_gauge("dunwell_outbox", "wake-ups not yet seen by their case")
        self._late = meter.create_gauge("dunwell_late", "cases whose next step is an hour late")

    def step(self, kind: str, outcome: str, seconds: float) -> None:
        """One step: done or failed. Counted, timed, and told in a log line with the case and run that are bound."""
        self._steps.add(1, {"kind": kind, "outcome": outcome})
        self._seconds.record(seconds, {"kind": kind})
        log.info("step", kind=kind, outcome=outcome, seconds=round(seconds, 4))

    def contact(self, channel: str, outcome: str) -> None:
        """One contact: sent, failed, unknown or abandoned."""
        self._contacts.add(1, {"channel": channel, "outcome": outcome})

    async def sample(self, pool: asyncpg.Pool) -> None:
        """Keep the gauges of the whole portfolio current, until cancelled."""
        while True:
            try:
                await self._sample(pool)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as e:
                log.warning("metrics_wait_for_database", error=type(e).__name__)
            await asyncio.sleep(_SAMPLED_EVERY_SECONDS)

    async def _sample(self, pool: asyncpg.Pool) -> None:
        # A stage that the last case has left is told as 0, not as it was.
        cases: dict[str, int] = dict.fromkeys(STAGES, 0)
        for row in await pool.fetch("select stage, count(*) as cases from collection_case group by stage"):
            cases[row["stage"]] = row["cases"]
        for stage, count in cases.items():
            self._cases.set(count, {"stage": stage})
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
