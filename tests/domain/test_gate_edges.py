"""The gate at its edges: the last minute of an hour, the last contact of a cap, the last day of a hold."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from dunwell.domain.codes import IntentState
from dunwell.domain.gate import Request, Verdict, closes_at, judge
from dunwell.domain.person import Contact, Hold, Person
from tests.domain.loan_case import BOOK, PERSON

RULES = BOOK.house
WEDNESDAY = datetime(2025, 3, 5, tzinfo=UTC)


def asked(at: datetime, who: Person = PERSON) -> Verdict:
    return judge(Request("L1", "email", "collection_demand"), who, RULES, at)


def contacted(*instants: datetime, zone: str = "UTC", state: IntentState = "sent") -> Person:
    made = tuple(Contact(at, "sms", "collection_demand", "L2", state) for at in instants)
    return Person("C1", zone, "en", "GB", PERSON.usable, contacts=made)


def test_hours_begin_with_their_first_minute_and_end_a_guard_before_their_last() -> None:
    allowed = [
        at
        for hour, minute in [(8, 59), (9, 0), (18, 54), (18, 55), (18, 59), (19, 0)]
        if asked(at := WEDNESDAY.replace(hour=hour, minute=minute)).answer == "allow"
    ]
    assert allowed == [WEDNESDAY.replace(hour=9), WEDNESDAY.replace(hour=18, minute=54)]
    assert closes_at("email", PERSON, RULES, WEDNESDAY.replace(hour=12)) == WEDNESDAY.replace(hour=18, minute=55)


def test_the_second_contact_of_a_day_waits_for_the_next_and_the_fourth_of_a_week_for_the_eighth_day() -> None:
    noon = WEDNESDAY.replace(hour=12)
    second = asked(noon, contacted(WEDNESDAY.replace(hour=9)))
    assert (second.answer, second.code, second.until) == ("defer", "cap_day", WEDNESDAY.replace(day=6, hour=9))
    fourth = asked(noon, contacted(*(WEDNESDAY.replace(day=day, hour=10) for day in (1, 3, 4))))
    assert (fourth.answer, fourth.code) == ("defer", "cap_week")
    assert asked(noon, contacted(*(WEDNESDAY.replace(day=day, hour=10) for day in (3, 4)))).answer == "allow"


def test_a_day_is_the_persons_own_and_not_that_of_utc() -> None:
    auckland = ZoneInfo("Pacific/Auckland")
    morning, afternoon = (datetime(2025, 3, 5, hour, tzinfo=auckland).astimezone(UTC) for hour in (10, 15))
    assert morning.date() < afternoon.date()
    assert asked(afternoon, contacted(morning, zone="Pacific/Auckland")).code == "cap_day"


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("planned", "defer"), ("sent", "defer"), ("delivered", "defer"), ("unknown", "defer"),
        ("failed", "allow"), ("abandoned", "allow"), ("expired", "allow"),
    ],
)  # fmt: skip
def test_every_attempt_counts_that_may_have_reached_somebody(state: IntentState, answer: str) -> None:
    assert asked(WEDNESDAY.replace(hour=12), contacted(WEDNESDAY.replace(hour=9), state=state)).answer == answer


def test_a_hold_is_in_force_on_its_last_day_and_until_it_is_lifted() -> None:
    hold = Hold("H1", "complaint", WEDNESDAY, ends_on=date(2025, 3, 6))
    held = Person("C1", "UTC", "en", "GB", PERSON.usable, (hold,))
    answers = [asked(datetime(2025, 3, day, 12, tzinfo=UTC), held).code for day in (5, 6, 7)]
    assert answers == ["hold_complaint", "hold_complaint", "allowed"]
    noon = WEDNESDAY.replace(hour=12)
    assert asked(noon, held.lifted("complaint", None, noon)).answer == "allow"
