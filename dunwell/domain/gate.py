"""The contact gate: the one function through which all that reaches a person passes.

It fails closed: an unknown zone, a missing rule or no usable point is no contact.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from dunwell.domain.codes import Channel, GateAnswer
from dunwell.domain.person import Contact, Person
from dunwell.domain.strategy import HouseRules, Purpose, Window

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# States of an attempt that surely reached nobody; every other one counts in the caps.
_NOT_COUNTED = frozenset({"abandoned", "failed", "expired"})
# These reach a court or an agency, not the person: holds bind them, hours and caps do not.
_NOT_TO_THE_PERSON: frozenset[Channel] = frozenset({"legal", "agency"})
_EXEMPT_FROM_CAPS: frozenset[Purpose] = frozenset({"reply"})
_LOOK_AHEAD_DAYS = 40


@dataclass(frozen=True, slots=True)
class Request:
    """One contact that somebody wants to make."""

    loan_id: str
    channel: Channel
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer; `until` (UTC, whole minute) only for a deferral."""

    answer: GateAnswer
    code: str
    reason: str
    rules: tuple[str, ...]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    rule: str
    code: str
    reason: str
    until: datetime | None


def judge(request: Request, person: Person, rules: HouseRules, now: datetime) -> Verdict:
    """May this contact be made at `now`? If time alone forbids it, from when on."""
    now = now.astimezone(UTC).replace(second=0, microsecond=0)
    first = _failures(request, person, rules, now)
    if not first:
        return Verdict("allow", "allowed", "within hours and caps, nothing stops it", (rules.id,))
    shown = first[0]
    ids = tuple(f.rule for f in first)
    lasting = next((f for f in first if f.until is None), None)
    if lasting is not None:
        return Verdict("deny", lasting.code, lasting.reason, ids)
    until = _first_allowed(request, person, rules, first, now)
    if until is None:
        return Verdict("deny", "never_open", "no hour in sight at which it may be made", ids)
    return Verdict("defer", shown.code, shown.reason, ids, until)


def closes_at(channel: Channel, person: Person, rules: HouseRules, at: datetime) -> datetime:
    """When a contact allowed at `at` may not be made any more: its window's end, less the guard.

    What goes to a court or an agency keeps no hours and expires after a day.
    """
    zone = person.zone
    guard = timedelta(minutes=rules.guard_minutes_before_close)
    local = at.astimezone(zone or UTC)
    ends = [
        _instant(datetime.combine(local.date(), w.closes) - guard, zone or UTC)
        for w in rules.windows
        if channel in w.channels and _open(w, local, guard)
    ]
    return max(ends) if ends else at + timedelta(days=1)


def _first_allowed(
    request: Request,
    person: Person,
    rules: HouseRules,
    failures: list[_Failure],
    now: datetime,
) -> datetime | None:
    """Each failing rule names its own earliest instant; the latest of them is asked again."""
    at = now
    while failures:
        ends = [f.until for f in failures if f.until is not None]
        if len(ends) < len(failures) or max(ends) > now + timedelta(days=_LOOK_AHEAD_DAYS):
            return None
        at = max(ends)
        failures = _failures(request, person, rules, at)
    return at


def _failures(request: Request, person: Person, rules: HouseRules, at: datetime) -> list[_Failure]:
    """Every rule that speaks against the contact, in the order in which reasons are shown."""
    found = _holds(request, person, rules, at)
    if request.channel in _NOT_TO_THE_PERSON:
        return found
    if request.channel not in person.usable:
        found.append(_Failure("house.point", "no_point", f"no usable {request.channel} point", None))
    zone = person.zone
    if zone is None:
        found.append(_Failure("house.zone", "zone_unknown", "the person's time zone is not known", None))
        return found
    found += _window(request.channel, rules, zone, at)
    if request.channel in rules.capped_channels and request.purpose not in _EXEMPT_FROM_CAPS:
        found += _caps(person.contacts, rules, zone, at)
    return found


def _holds(request: Request, person: Person, rules: HouseRules, at: datetime) -> list[_Failure]:
    found = []
    for hold in person.holds_on(request.loan_id, person.today(at)):
        rule = rules.holds.get(hold.kind)
        stops = (
            rule is None
            or rule.stops == "everything"
            or (rule.stops == "channels" and request.channel in rule.channels)
            or (rule.stops == "legal" and request.channel == "legal")
            or (rule.stops == "channel_named" and hold.channel in (None, request.channel))
        )
        if stops:
            says = rule.says if rule else "a hold that no rule describes"
            found.append(_Failure(f"house.hold.{hold.kind}", f"hold_{hold.kind}", says, None))
    return found


def _window(channel: Channel, rules: HouseRules, zone: tzinfo, at: datetime) -> list[_Failure]:
    windows = [w for w in rules.windows if channel in w.channels]
    if not windows:
        return [_Failure("house.window", "no_window", f"no rule opens {channel}", None)]
    guard = timedelta(minutes=rules.guard_minutes_before_close)
    local = at.astimezone(zone)
    if any(_open(w, local, guard) for w in windows):
        return []
    return [
        _Failure(
            "house.window",
            "outside_hours",
            f"outside the hours for {channel} where the person lives",
            _next_opening(windows, zone, at, guard),
        )
    ]


def _open(window: Window, local: datetime, guard: timedelta) -> bool:
    closes = datetime.combine(local.date(), window.closes) - guard
    return (
        _WEEKDAYS[local.weekday()] in window.days
        and window.opens <= local.time()
        and local.replace(tzinfo=None) < closes
    )


def _next_opening(windows: list[Window], zone: tzinfo, at: datetime, guard: timedelta) -> datetime | None:
    start = at.astimezone(zone).date()
    for ahead in range(9):
        day = start + timedelta(days=ahead)
        openings = [
            opens
            for w in windows
            if (opens := _instant(datetime.combine(day, w.opens), zone)) > at
            and _open(w, opens.astimezone(zone), guard)
        ]
        if openings:
            return min(openings)
    return None


def _instant(local: datetime, zone: tzinfo) -> datetime:
    """UTC of a wall-clock time; one that daylight saving skips becomes the next that exists."""
    return local.replace(tzinfo=zone).astimezone(UTC)


def _caps(contacts: tuple[Contact, ...], rules: HouseRules, zone: tzinfo, at: datetime) -> list[_Failure]:
    today = at.astimezone(zone).date()
    earliest = at - timedelta(days=max((cap.dates for cap in rules.caps), default=0) + 1)
    dates = sorted(
        c.at.astimezone(zone).date()
        for c in contacts
        if c.at > earliest
        and c.state not in _NOT_COUNTED
        and c.channel in rules.capped_channels
        and c.purpose not in _EXEMPT_FROM_CAPS
    )
    found = []
    for cap in rules.caps:
        inside = [d for d in dates if d > today - timedelta(days=cap.dates)]
        if len(inside) >= cap.max:
            # Free again when the oldest of the last `max` attempts has left the span.
            free_on = inside[-cap.max] + timedelta(days=cap.dates)
            found.append(
                _Failure(
                    f"house.cap.{cap.id}",
                    f"cap_{cap.id}",
                    f"{len(inside)} contacts within {cap.dates} days, at most {cap.max} allowed",
                    _instant(datetime.combine(free_on, time()), zone),
                )
            )
    return found
