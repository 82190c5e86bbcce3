"""Waits until cases have done all that is due: one query for everybody who waits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

_EVERY_SECONDS = 0.02
# Beyond the retry of a step whose worker was killed (30 s), with room to spare.
_PATIENCE_SECONDS = 180

# Not settled: a wake-up its case has not seen, a step that is due, or a contact under way.
_RESTLESS = """
select w.n from unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[]) as w(n, person, now, cases)
where exists (
    select 1 from collection_case k where k.person_id = w.person
    and (w.cases is null or k.id::text = any(string_to_array(w.cases, ',')))
    and ((k.stage <> 'closed' and k.snapshot is not null and k.next_due <= w.now)
         or exists (select 1 from intent i where i.case_id = k.id and i.state = 'planned')
         or exists (select 1 from outbox o where o.case_id = k.id)))
"""


class NotSettled(RuntimeError):
    """Cases did not do what was due; the message names the person and the instant."""


@dataclass(slots=True)
class _Waiting:
    person: str
    now: datetime
    cases: str | None
    settled: asyncio.Future[None]


class Settling:
    """Shared by all lives. Run `watch` beside them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: dict[int, _Waiting] = {}
        self._next = 0

    async def wait(self, person: str, now: datetime, cases: Sequence[UUID] | None = None) -> None:
        """Until nothing is due at `now` for the person's cases. Raises: NotSettled."""
        self._next += 1
        mine = self._next
        there = _Waiting(person, now, ",".join(map(str, cases)) if cases is not None else None, asyncio.Future())
        self._waiting[mine] = there
        try:
            await asyncio.wait_for(there.settled, _PATIENCE_SECONDS)
        except TimeoutError:
            raise NotSettled(
                f"the cases of person {person} did not settle at {now:%Y-%m-%d %H:%M} within "
                f"{_PATIENCE_SECONDS} s: see the worker's log"
            ) from None
        finally:
            self._waiting.pop(mine, None)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            if self._waiting:
                asked = dict(self._waiting)
                rows = await self._pool.fetch(
                    _RESTLESS,
                    list(asked),
                    [w.person for w in asked.values()],
                    [w.now for w in asked.values()],
                    [w.cases for w in asked.values()],
                )
                restless = {r["n"] for r in rows}
                for n, there in asked.items():
                    if n not in restless and not there.settled.done():
                        there.settled.set_result(None)
            await asyncio.sleep(_EVERY_SECONDS)
