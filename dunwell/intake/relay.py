"""The relay: delivers wake-ups to cases, again and again until the case has seen them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

import asyncpg
import structlog
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from dunwell.domain.messages import CaseRun, Note
from dunwell.domain.outlook import CASE_QUEUE
from dunwell.store.outbox import CHANNEL, WakeUp, claim

log = structlog.get_logger()

_BATCH = 200
_SWEEP_SECONDS = 1.0
# A case normally has seen a wake-up within a second; until then it is not told twice.
_AGAIN_AFTER_SECONDS = 15
_AT_ONCE = 32

STAGE = SearchAttributeKey.for_keyword("CaseStage")
CURRENCY = SearchAttributeKey.for_keyword("Currency")
JURISDICTION = SearchAttributeKey.for_keyword("Jurisdiction")
OLDEST = SearchAttributeKey.for_datetime("OldestUnpaidDueOn")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")

Offset = Callable[[WakeUp], float]


def workflow_id(case_id: object) -> str:
    """The id of a case's workflow: opaque."""
    return f"case-{case_id}"


def real_time(_: WakeUp) -> float:
    """In production the case's time is the server's."""
    return 0.0


def began_at(wake: WakeUp) -> float:
    """In the demo and a replay a run begins at the date of what woke it. Seconds."""
    return (wake.at - datetime.now(UTC)).total_seconds()


class Relay:
    """Any number may run side by side: each wake-up is claimed by one of them at a time."""

    def __init__(self, pool: asyncpg.Pool, client: Client, offset: Offset = real_time) -> None:
        self._pool, self._client, self._offset = pool, client, offset
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled. Wakes on a commit's notice, and sweeps once a second."""
        while True:
            try:
                async with self._pool.acquire() as listening:
                    await listening.add_listener(CHANNEL, self._heard)
                    try:
                        await self._deliver_while_connected(listening)
                    finally:
                        if not listening.is_closed():
                            await listening.remove_listener(CHANNEL, self._heard)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as e:
                log.warning("relay_waits_for_database", error=type(e).__name__)
                await asyncio.sleep(_SWEEP_SECONDS)

    async def _deliver_while_connected(self, listening: asyncpg.pool.PoolConnectionProxy) -> None:
        """A wake-up that comes while others are under way does not wait for them."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while not listening.is_closed():
                async with self._pool.acquire() as connection:
                    batch = await claim(connection, _BATCH, _AGAIN_AFTER_SECONDS)
                for wake in batch:
                    if len(under_way) >= _AT_ONCE:
                        under_way = await _some_done(under_way)
                    under_way.add(asyncio.create_task(self._signal(wake)))
                if len(batch) < _BATCH:
                    await self._wait()
                    under_way = {t for t in under_way if not _is_done(t)}
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _signal(self, wake: WakeUp) -> None:
        """Signal with start: the case hears it whether it runs, has ended, or never ran."""
        try:
            await self._client.start_workflow(
                "Case",
                CaseRun(case_id=str(wake.case_id), offset=self._offset(wake)),
                id=workflow_id(wake.case_id),
                task_queue=CASE_QUEUE,
                start_signal=wake.name,
                start_signal_args=[Note(name=wake.name, id=wake.message_id)],
                static_summary="collection case",
                search_attributes=_attributes(wake),
            )
        except RPCError as e:
            # It stays in the outbox and comes up again; one that cannot be delivered stops only itself.
            log.warning("wake_up_not_delivered", case_id=str(wake.case_id), tries=wake.tries, status=e.status.name)

    def _heard(self, *_: object) -> None:
        self._due.set()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._due.wait(), _SWEEP_SECONDS)
        except TimeoutError:
            return
        finally:
            self._due.clear()


async def _some_done(under_way: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """What is left when at least one delivery has ended; one that failed fails here."""
    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    return {t for t in under_way if not _is_done(t)}


def _is_done(task: asyncio.Task[None]) -> bool:
    if task.done():
        task.result()
        return True
    return False


def _attributes(wake: WakeUp) -> TypedSearchAttributes:
    """What is known when a run starts costs no event of its own then."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(STAGE, wake.stage),
        SearchAttributePair(CURRENCY, wake.currency),
        SearchAttributePair(JURISDICTION, wake.jurisdiction),
        SearchAttributePair(NEEDS_ATTENTION, value=False),
    ]
    if wake.oldest_due_on is not None:
        pairs.append(SearchAttributePair(OLDEST, datetime.combine(wake.oldest_due_on, time(), UTC)))
    return TypedSearchAttributes(pairs)
