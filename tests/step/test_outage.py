"""PostgreSQL goes away while cases are worked: nothing is lost, and histories stay small however long it takes.

DUNWELL_TEST_OUTAGE_SECONDS, given to pytest itself, makes it longer than ten seconds.
"""

import asyncio
import os
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.step.engine import Engine, until

OUTAGE_SECONDS = float(os.environ.get("DUNWELL_TEST_OUTAGE_SECONDS", "10"))
AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)


@pytest.mark.timeout(90 + 3 * OUTAGE_SECONDS)
async def test_steps_that_come_due_without_a_database_are_taken_when_it_is_back(engine: Engine) -> None:
    spoken_to = await engine.open("outage-heard", AT, date(2025, 1, 10))
    to_contact = await engine.open("outage-due", AT - timedelta(hours=4), date(2025, 1, 10))
    before = await engine.contacted(spoken_to)
    due = (await engine.planned(to_contact))["next_due"]
    events_before = [len(await engine.history(case)) for case in (spoken_to, to_contact)]

    await engine.stack.postgres.crash()
    await engine.run_of(spoken_to).signal("look_again", {})
    await engine.move_to(to_contact, due)

    async def both_failed() -> bool:
        described = [await engine.run_of(case).describe() for case in (spoken_to, to_contact)]
        return all(d.raw_description.pending_activities for d in described)

    await until("both steps wait as activities of their own", both_failed)
    await asyncio.sleep(OUTAGE_SECONDS)
    await engine.stack.postgres.start()

    patience = 30 + OUTAGE_SECONDS
    await engine.contacted(to_contact, within=patience)
    after = await engine.planned(spoken_to, beyond=before["sequence"] - 1, within=patience)

    async def heard() -> bool:
        return [m["taken_at"] is not None for m in await engine.lender.messages(spoken_to)] == [True]

    await until("the signal is heard", heard, patience)
    assert len(engine.lender.received("outage-due")) == 1
    [made] = await engine.lender.journal(to_contact, "contact_made")
    assert timedelta(0) <= made["at"] - due < timedelta(seconds=2 * OUTAGE_SECONDS + 20)
    assert after["stage"] == before["stage"]

    # The step in the house failed once as a local activity, then waited as one regular activity.
    markers, scheduled = await engine.counted(spoken_to, "MARKER_RECORDED", "ACTIVITY_TASK_SCHEDULED")
    assert (markers, scheduled) == (2, 2)
    events_after = [len(await engine.history(case)) for case in (spoken_to, to_contact)]
    added = [after - before for before, after in zip(events_before, events_after, strict=True)]
    # Timer cancelled, signal, task, marker, activity, task, timer; and timer fired, task, activity, task, timer.
    assert added[0] <= 14
    assert added[1] <= 13
