"""The next step of a case: which, when and why. Severity first; facts decide, never a memory."""

from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256

from dunwell.domain import events as ev
from dunwell.domain.agreements import next_plan_day
from dunwell.domain.case import Next
from dunwell.domain.codes import Channel, StepKind
from dunwell.domain.gate import Request, Verdict, judge
from dunwell.domain.ladder import Rung, anchor_of, channel_of, rung
from dunwell.domain.messages import plain
from dunwell.domain.money import say
from dunwell.domain.story import Story
from dunwell.domain.strategy import LadderStep

# In-house looks are taken early in the person's day, before any contact of that day.
_LOOK_AT = time(6, 30)
_LOOK_SPREAD_MINUTES = 60
# Contacts are spread over the first hours of the window, by a hash of the case.
_CONTACT_SPREAD_MINUTES = 180
_LOOK_AGAIN_DAYS = 30
_ATTENTION_LOOK_DAYS = 60

PLACEMENT = LadderStep(
    id="placement",
    title="placement with an agency",
    stage="placed",
    kind="place",
    purpose="placement_notice",
    template="placement_notice",
    channels=("agency",),
    offset_days=1,
)


def decide(story: Story) -> Next:
    """What comes next on today's facts. Tells what the choice itself changes."""
    found = (
        _closed(story)
        or _attention(story)
        or _stopped(story)
        or _agreement(story)
        or _placement(story)
        or _ladder(story)
    )
    return _not_past_due_date(story, _not_past_money(story, found))


def _closed(story: Story) -> Next | None:
    if story.state.closed:
        return Next("assess", story.minute, "closed", f"closed: {plain(story.state.ending)}")
    return None


def _attention(story: Story) -> Next | None:
    needed = story.state.attention
    if needed is None:
        return None
    found = _look(story, _ATTENTION_LOOK_DAYS, needed.code, f"a person must look: {needed.why}", "attention")
    # What was agreed is judged on its day all the same.
    agreed = _agreement(story)
    if agreed is not None and agreed.due < found.due:
        found.due = agreed.due
    return found


def _stopped(story: Story) -> Next | None:
    """A hold that stops everything; others are weighed by the gate, contact by contact."""
    house, person = story.facts.book.house, story.facts.person
    for hold in person.holds_on(story.state.loan_id, story.today):
        rule = house.holds.get(hold.kind)
        if rule is None or rule.stops == "everything":
            says = rule.says if rule else "no rule says what may be done"
            reason = f"held ({plain(hold.kind)}): {says}"
            if hold.ends_on is not None and hold.ends_on < date.max:
                return _look_on(story, hold.ends_on + timedelta(days=1), f"hold_{hold.kind}", reason)
            return _look(story, _LOOK_AGAIN_DAYS, f"hold_{hold.kind}", reason)
    return None


def _agreement(story: Story) -> Next | None:
    """What was agreed comes before pressure: a plan, a promise, an offer still open."""
    state, currency = story.state, story.facts.money.currency
    plan_day = next_plan_day(story)
    if plan_day is not None:
        return _look_on(story, plan_day, "plan_running", "the plan is followed: its next instalment is judged", "plan")
    if state.open_promises:
        first = min(state.open_promises, key=lambda p: p.verdict_on)
        return _look_on(
            story,
            first.verdict_on + timedelta(days=1),
            "promise_open",
            f"{say(first.amount, currency)} promised by {first.due_on}: nothing is sent meanwhile",
        )
    offer = state.offer
    if offer is not None and offer.answer is None and story.today <= offer.until:
        return _look_on(
            story,
            offer.until + timedelta(days=1),
            "offer_open",
            f"an offer is open for an answer until {offer.until}",
        )
    return None


def _placement(story: Story) -> Next | None:
    if story.state.placed:
        return _look(story, _LOOK_AGAIN_DAYS, "placed", "an agency works the case")
    if story.state.to_place:
        return _contact(story, Rung(PLACEMENT, story.today))
    if story.state.filed:
        return _look(story, _LOOK_AGAIN_DAYS, "at_court", "the claim is filed: waits for the court")
    return None


def _ladder(story: Story) -> Next:
    right = rung(story)
    if right is None:
        return _ladder_done(story)
    if right.step.needs_approval and right.on <= story.today and not _approved(story):
        return _approval(story, right)
    return _contact(story, right)


def _ladder_done(story: Story) -> Next:
    """The path has nothing left: another takes over, or a person decides."""
    path = story.facts.book.paths[story.state.path or ""]
    if story.position.dpd == 0:
        # Reminded before the due date; the day after it shows whether anything is late.
        due = story.state.anchor or story.today
        return _look_on(
            story, max(due, story.today) + timedelta(days=1), "waits_for_due", f"due on {due}: nothing is late yet"
        )
    if path.then is not None:
        why = f"the {path.title} has nothing left"
        story.tell(ev.PathChosen(path.then, story.facts.book.hashes[path.then], why))
        return _ladder(story)
    story.tell(ev.AttentionRaised("ladder_done", f"every step of the {path.title} is done"))
    return decide(story)


def facts_to_approve(story: Story) -> str:
    """What an approval is bound to: if it changes, a person is asked again. 16 hex digits."""
    there = story.position
    seen = f"{story.state.anchor}/{there.past_due}/{there.outstanding}"
    return sha256(seen.encode()).hexdigest()[:16]


def _approved(story: Story) -> bool:
    return story.state.approval == "approve" and story.state.approval_facts == facts_to_approve(story)


def _approval(story: Story, right: Rung) -> Next:
    """A step that needs a person's word: asked once; a timeout goes up, never to yes."""
    state = story.state
    if state.approval == "asked" and state.approval_until is not None:
        if story.today > state.approval_until:
            story.tell(ev.AttentionRaised("approval_overdue", f"nobody answered on: {right.step.title}"))
            return decide(story)
        return _look_on(
            story,
            state.approval_until + timedelta(days=1),
            "approval_open",
            f"{right.step.title}: waits for a person's approval",
        )
    if state.approval == "refuse" and state.anchor is not None:
        story.tell(ev.StepSkipped(right.step.id, state.anchor, "a person refused it"))
        return _ladder(story)
    return Next(
        right.step.kind,
        story.minute,
        "approval_needed",
        f"{right.step.title}: asks a person for approval",
        right.step.id,
        right.step.channels[0],
    )


def _contact(story: Story, right: Rung) -> Next:
    """A contact at the first lawful minute on or after its date."""
    step = right.step
    channel = channel_of(story, step)
    if channel is None and step.purpose == "payment_reminder_pre_due":
        story.tell(ev.StepSkipped(step.id, anchor_of(story), "no usable point for a reminder that is only a courtesy"))
        return _ladder(story)
    if channel is None:
        story.tell(ev.AttentionRaised("unreachable", f"no usable point for: {step.title}"))
        return decide(story)
    due, code, late = _lawful(story, channel, step, right.on)
    if due is None:
        if code.startswith("hold_"):
            return _look(story, _LOOK_AGAIN_DAYS, code, f"{step.title} withheld: {late}")
        story.tell(ev.AttentionRaised(code, f"{step.title} withheld: {late}"))
        return decide(story)
    return Next(step.kind, due, code, _why(story, step, late), step.id, channel)


def _lawful(story: Story, channel: Channel, step: LadderStep, on: date) -> tuple[datetime | None, str, str]:
    """When the contact may be made: the instant, a code, and what it waits for in words.

    A contact whose hour has come goes out now; one that must wait gets a minute of its own.
    """
    zone = story.facts.person.zone or UTC
    start = max(story.minute, datetime.combine(on, time(), zone).astimezone(UTC))
    if story.state.not_before is not None:
        start = max(start, story.state.not_before.replace(second=0, microsecond=0))
    request = Request(story.state.loan_id, channel, step.purpose)
    person, house = story.facts.person, story.facts.book.house
    verdict = judge(request, person, house, start)
    if verdict.answer == "allow":
        # What goes to a court or an agency keeps no hours: it goes out with the early looks.
        if start.astimezone(zone).date() > story.today:
            start = look_at(story, on)
        return start, "due", ""
    if verdict.answer != "defer" or verdict.until is None:
        _withhold(story, step, channel, verdict)
        return None, verdict.code, verdict.reason
    later = verdict.until + _spread(story, f"{channel}/{on}", _CONTACT_SPREAD_MINUTES)
    at = later if judge(request, person, house, later).answer == "allow" else verdict.until
    waited = "" if at.astimezone(zone).date() <= max(on, story.today) else verdict.reason
    if waited and on <= story.today:
        _withhold(story, step, channel, verdict)
    return at, verdict.code if waited else "due", waited


def _withhold(story: Story, step: LadderStep, channel: Channel, verdict: Verdict) -> None:
    """A contact that was right today was not made: why, and until when. Told once for each answer."""
    found = ev.ContactWithheld(
        step.id, channel, verdict.answer, verdict.code, verdict.reason, verdict.rules, verdict.until
    )
    if found != story.state.withheld:
        story.tell(found)


def _why(story: Story, step: LadderStep, late: str) -> str:
    path = story.facts.book.paths.get(story.state.path or "")
    words = f"{step.title}, {path.title}" if path else step.title
    return f"{words} ({late})" if late else words


def _look(story: Story, days: int, code: str, why: str, kind: StepKind = "assess") -> Next:
    return _look_on(story, story.today + timedelta(days=days), code, why, kind)


def _look_on(story: Story, day: date, code: str, why: str, kind: StepKind = "assess") -> Next:
    return Next(kind, look_at(story, day), code, why)


def look_at(story: Story, day: date) -> datetime:
    """The case's own early minute of a business date."""
    zone = story.facts.person.zone or UTC
    local = datetime.combine(day, _LOOK_AT, zone)
    return local.astimezone(UTC) + _spread(story, "look", _LOOK_SPREAD_MINUTES)


def _spread(story: Story, salt: str, minutes: int) -> timedelta:
    digest = sha256(f"{story.state.case_id}/{salt}".encode()).digest()
    return timedelta(minutes=int.from_bytes(digest[:4]) % minutes)


def _not_past_money(story: Story, found: Next) -> Next:
    """Money that is on its way with a later value date changes the facts on that day."""
    if story.state.closed:
        return found
    coming = [c.value_date for c in story.facts.money.credits if c.value_date > story.today]
    if coming and (at := look_at(story, min(coming))) < found.due:
        return Next("assess", at, "money_coming", "a payment counts from that day on")
    return found


def _not_past_due_date(story: Story, found: Next) -> Next:
    """A case that nothing is late in yet looks on the first day on which something would be."""
    due = story.position.oldest_unpaid_due_on
    if story.state.closed or story.position.dpd > 0 or due is None:
        return found
    at = look_at(story, max(due, story.today) + timedelta(days=1))
    return Next("assess", at, "waits_for_due", f"due on {due}: nothing is late yet") if at < found.due else found
