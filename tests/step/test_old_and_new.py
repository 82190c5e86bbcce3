"""Old and new workers side by side: what a newer release wrote is refused, never misread, and another worker takes it."""

import json
from datetime import UTC, date, datetime

import pytest
from temporalio.exceptions import ApplicationError

from dunwell.domain import events as ev
from dunwell.domain.case import SNAPSHOT_VERSION, case_id_of
from tests.step.engine import Engine, until
from tests.step.lender import Lender

AT = datetime(2025, 1, 14, 10, 0, tzinfo=UTC)


async def refuse_then_take(lender: Lender, loan: str) -> None:
    """The old worker's attempts are all refused and leave no trace; a worker that can read takes the very same step."""
    case = case_id_of(loan)
    before = await lender.row(case)
    for kind in ("assess", "absorb", "remind"):
        with pytest.raises(ApplicationError) as refused:
            await lender.work(case, kind, AT, sequence=before["sequence"])
        assert (refused.value.type, refused.value.non_retryable) == ("NewerSnapshot", False)
    assert await lender.row(case) == before
    assert await lender.intents(case) == []


async def test_a_newer_snapshot_is_refused_and_left_for_another_worker(lender: Lender) -> None:
    [loan] = await lender.lend("newer", date(2025, 1, 10))
    coming, case = await lender.come_due(loan, AT), case_id_of(loan)
    await lender.pool.execute(
        "update collection_case set snapshot_version = $2 where id = $1", case, SNAPSHOT_VERSION + 1
    )
    await refuse_then_take(lender, loan)

    await lender.pool.execute("update collection_case set snapshot_version = $2 where id = $1", case, SNAPSHOT_VERSION)
    await lender.work(case, "remind", AT, sequence=coming.sequence)
    assert len(lender.received("newer")) == 1


async def test_the_server_offers_a_refused_step_again_until_a_worker_can_take_it(engine: Engine) -> None:
    case = await engine.open("newer-served", AT, date(2025, 1, 10))
    await engine.contacted(case)
    bump = "update collection_case set snapshot_version = snapshot_version + $2 where id = $1"
    await engine.lender.pool.execute(bump, case, 1)
    await engine.run_of(case).signal("look_again", {})

    async def refused() -> bool:
        pending = (await engine.run_of(case).describe()).raw_description.pending_activities
        return [p.last_failure.application_failure_info.type for p in pending] == ["NewerSnapshot"]

    await until("the step is refused", refused)
    assert await engine.lender.messages(case) == []
    await engine.lender.pool.execute(bump, case, -1)

    async def taken() -> bool:
        return [m["taken_at"] is not None for m in await engine.lender.messages(case)] == [True]

    await until("another worker has taken it", taken)
    assert (await engine.lender.row(case))["attention"] is None


async def test_a_step_of_unknown_kind_is_refused_and_left_for_another_worker(lender: Lender) -> None:
    [loan] = await lender.lend("unknown-kind", date(2025, 1, 10))
    coming, case = await lender.come_due(loan, AT), case_id_of(loan)
    known = (await lender.row(case))["snapshot"]
    unknown = json.loads(known)
    unknown["next"]["kind"] = "visit"
    await lender.pool.execute("update collection_case set snapshot = $2 where id = $1", case, json.dumps(unknown))
    await refuse_then_take(lender, loan)

    await lender.pool.execute("update collection_case set snapshot = $2 where id = $1", case, known)
    await lender.work(case, "remind", AT, sequence=coming.sequence)
    assert len(lender.received("unknown-kind")) == 1


def test_an_event_of_unknown_kind_or_shape_is_refused() -> None:
    with pytest.raises(ev.UnknownEvent, match="visit_made"):
        ev.decode("visit_made", {})
    with pytest.raises(ev.UnknownEvent, match="stage_entered"):
        ev.decode("stage_entered", {"stage": "visit", "why": "a stage that only a newer release knows"})
