"""The one function through which everything passes that reaches a person."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunwell.catalogue import load_book
from dunwell.domain.codes import HOLDS, Channel
from dunwell.domain.gate import Request, judge
from dunwell.domain.person import Contact, Hold, Person
from dunwell.domain.strategy import HouseRules

RULES: HouseRules = load_book(Path(__file__).parents[2]).house
ZONES = ["Europe/London", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "Australia/Lord_Howe", "UTC"]
CHANNELS: list[Channel] = ["sms", "email", "voice", "letter"]
BEGIN = datetime(2025, 3, 1, tzinfo=UTC)

minutes = st.integers(0, 60 * 24 * 365).map(lambda n: BEGIN + timedelta(minutes=n))


def person(zone: str | None, *contacts: Contact, holds: tuple[Hold, ...] = ()) -> Person:
    return Person("C1", zone, "en", "GB", frozenset(CHANNELS), holds, contacts)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Person, Request, datetime]:
    now = draw(minutes)
    before = draw(st.lists(st.tuples(st.integers(0, 12 * 24 * 60), st.sampled_from(CHANNELS)), max_size=8))
    made = sorted(
        (Contact(now - timedelta(minutes=ago), by, "collection_demand", "L2", "sent") for ago, by in before),
        key=lambda c: c.at,
    )
    request = Request("L1", draw(st.sampled_from(CHANNELS)), "collection_demand")
    return person(draw(st.sampled_from(ZONES)), *made), request, now


@given(asked())
def test_a_deferral_names_the_first_minute_at_which_it_may_be_made(given: tuple[Person, Request, datetime]) -> None:
    who, request, now = given
    verdict = judge(request, who, RULES, now)
    if verdict.answer != "defer":
        return
    assert verdict.until is not None
    assert verdict.until > now
    assert judge(request, who, RULES, verdict.until).answer == "allow"
    assert judge(request, who, RULES, verdict.until - timedelta(minutes=1)).answer == "defer"


@given(asked())
def test_what_is_allowed_lies_within_hours_and_caps(given: tuple[Person, Request, datetime]) -> None:
    who, request, now = given
    if judge(request, who, RULES, now).answer != "allow":
        return
    zone = ZoneInfo(who.time_zone or "")
    local = now.astimezone(zone)
    assert local.strftime("%a") != "Sun"
    assert 8 <= local.hour < 19
    if request.channel != "letter":
        assert local.hour >= 9
    days_ago = [(local.date() - c.at.astimezone(zone).date()).days for c in who.contacts]
    assert sum(ago < 1 for ago in days_ago) < 1
    assert sum(ago < 7 for ago in days_ago) < 3


@given(minutes, st.sampled_from(CHANNELS))
def test_nobody_is_contacted_whose_hours_are_not_known(now: datetime, channel: Channel) -> None:
    verdict = judge(Request("L1", channel, "collection_demand"), person(None), RULES, now)
    assert (verdict.answer, verdict.code) == ("deny", "zone_unknown")


@pytest.mark.parametrize("kind", HOLDS)
def test_every_hold_stops_what_it_says_and_no_more(kind: str) -> None:
    rule = RULES.holds[kind]  # type: ignore[index]
    noon = datetime(2025, 3, 5, 12, tzinfo=UTC)
    held = person("UTC", holds=(Hold("H1", kind, noon, channel="sms"),))  # type: ignore[arg-type]
    everywhere: list[Channel] = [*CHANNELS, "legal"]
    stopped = {
        c for c in everywhere if judge(Request("L1", c, "collection_demand"), held, RULES, noon).answer == "deny"
    }
    expected: dict[str, set[str]] = {
        "everything": set(everywhere),
        "channels": set(rule.channels),
        "legal": {"legal"},
        "channel_named": {"sms"},
    }
    assert stopped == expected[rule.stops]


def test_a_hold_on_one_loan_leaves_the_others_alone() -> None:
    noon = datetime(2025, 3, 5, 12, tzinfo=UTC)
    held = person("UTC", holds=(Hold("H1", "dispute", noon, loan_id="L1"),))
    assert judge(Request("L1", "email", "collection_demand"), held, RULES, noon).answer == "deny"
    assert judge(Request("L2", "email", "collection_demand"), held, RULES, noon).answer == "allow"


def test_an_hour_that_daylight_saving_skips_is_no_opening() -> None:
    who = person("America/New_York")
    saturday_night = datetime(2025, 3, 9, 1, tzinfo=UTC)
    verdict = judge(Request("L1", "voice", "collection_demand"), who, RULES, saturday_night)
    assert verdict.until == datetime(2025, 3, 10, 13, tzinfo=UTC)
