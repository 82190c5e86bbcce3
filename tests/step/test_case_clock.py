"""The time of a case within an activity: its offset, when the step was asked for, how long it waited, what has passed since."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.working import case_clock
from dunwell.domain.messages import Ask

ASKED_AT = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
SCHEDULED = datetime(2026, 1, 1, tzinfo=UTC)


def reads(waited: timedelta, offset: timedelta) -> datetime:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=SCHEDULED, started_time=SCHEDULED + waited)
    ask = Ask(case_id="K1", sequence=1, kind="assess", asked_at=ASKED_AT, offset=offset.total_seconds())
    return environment.run(case_clock, ask)()


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(days=-1_977, hours=5)])
@pytest.mark.parametrize("waited", [timedelta(0), timedelta(seconds=40), timedelta(hours=9)])
def test_now_is_when_it_was_asked_for_and_how_long_it_waited_on_the_cases_own_calendar(
    waited: timedelta, offset: timedelta
) -> None:
    passed = reads(waited, offset) - (ASKED_AT + offset + waited)
    assert timedelta(0) <= passed < timedelta(seconds=1)


def test_a_start_that_seems_to_lie_before_its_schedule_is_no_wait() -> None:
    assert reads(timedelta(seconds=-3), timedelta(0)) >= ASKED_AT
