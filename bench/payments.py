"""How soon a payment is known: 20 a second while cases wait, beside a bare signal-to-activity round trip."""

import asyncio
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.cases import pay_by_signal
from bench.ground import Ground, quiet
from bench.portfolio import OWED
from dunwell.domain.ledger import Credit
from dunwell.intake import events

PAYMENTS_PER_SECOND = 20  # half through the intake, half signalled straight to the workflow
BARE_PER_SECOND = 5
_WARM_UP = 0.1  # the first tenth is not counted
_STARTED = "select count(*) from collection_case where snapshot is not null"
_COMMITTED = """
    select k.loan_id as name, extract(epoch from pg_xact_commit_timestamp(m.xmin))::float8 as posted,
           extract(epoch from pg_xact_commit_timestamp(j.xmin))::float8 as decided
    from money_event m join collection_case k on k.loan_id = m.loan_id
    join journal j on j.case_id = k.id and j.kind = 'episode_closed' where k.loan_id = any($1)
"""


@dataclass(slots=True)
class Latency:
    """Milliseconds of one way, from the first call."""

    name: str
    ms: list[float] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """Milliseconds within which that part, 0 to 1, was done."""
        ranked = sorted(self.ms)
        return ranked[min(len(ranked) - 1, int(part * len(ranked)))]


@dataclass(slots=True)
class Payments:
    """All ways, measured in one stretch of time."""

    waiting: int
    seconds: float = 0.0
    paid: Latency = field(default_factory=lambda: Latency("payment taken in: call to case decided"))
    accepted: Latency = field(default_factory=lambda: Latency("  of it: call to ledger committed"))
    signalled: Latency = field(default_factory=lambda: Latency("payment signal to ledger commit"))
    bare: Latency = field(default_factory=lambda: Latency("bare signal to activity"))


async def payments(ground: Ground, waiting: int, seconds: int) -> Payments:
    """Pay for `seconds` while at least `waiting` cases wait."""
    each = seconds * PAYMENTS_PER_SECOND // 2
    bare = ground.names(seconds * BARE_PER_SECOND)
    await ground.start_bare(bare, [])
    paid, signalled = await _waiting_cases(ground, waiting, each)
    plan = [("paid", n) for n in paid] + [("signalled", n) for n in signalled] + [("bare", n) for n in bare]
    random.Random(1).shuffle(plan)
    marks, began, called = ground.marks.count(), time.time(), dict[str, float]()
    await _open_loop([_call(ground, way, name, called) for way, name in plan], seconds)
    found = Payments(waiting, time.time() - began)
    await ground.until("bare signals heard", marks + len(bare))
    await ground.until("payments decided", len(paid) + len(signalled), _decided_since(began))
    counted = {name for _, name in plan[int(len(plan) * _WARM_UP) :]}
    for row in await ground.pool.fetch(_COMMITTED, [n for n in counted if n not in bare]):
        name = row["name"]
        if name in signalled:
            found.signalled.ms.append(1000 * (row["posted"] - called[name]))
        else:
            found.accepted.ms.append(1000 * (row["posted"] - called[name]))
            found.paid.ms.append(1000 * (row["decided"] - called[name]))
    found.bare.ms = [1000 * (at - called[n]) for n, at in ground.marks.read(marks) if n in counted]
    return found


async def _waiting_cases(ground: Ground, waiting: int, each: int) -> tuple[list[str], list[str]]:
    """Cases that wait for weeks: `each` for either way to pay, and as many as wait all the while."""
    names = ground.names(waiting + 2 * each)
    there = await ground.pool.fetchval(_STARTED)
    await ground.bring_in(names, waiting=True)
    await ground.open_cases(names)
    await ground.until("cases waiting", there + len(names), _STARTED)
    await quiet(ground)
    return names[:each], names[each : 2 * each]


async def _call(ground: Ground, way: str, name: str, called: dict[str, float]) -> None:
    now = datetime.now(UTC)
    called[name] = now.timestamp()
    if way == "bare":
        await ground.bare(name).signal("pay", name)
    elif way == "signalled":
        await pay_by_signal(ground, name)
    else:
        await events.pay(ground.pool, name, Credit("gateway", f"paid-{name}", now.date(), OWED), "GBP", now)


async def _open_loop(calls: list[Awaitable[None]], seconds: int) -> None:
    """Evenly spread over the time, whether or not the earlier ones have ended."""
    began, running = time.monotonic(), []
    for n, call in enumerate(calls):
        await asyncio.sleep(max(0.0, began + n * seconds / len(calls) - time.monotonic()))
        running.append(asyncio.ensure_future(call))
    await asyncio.gather(*running)


def _decided_since(began: float) -> str:
    return f"select count(*) from journal where kind = 'episode_closed' and at >= to_timestamp({began})"  # noqa: S608
