"""The contract of a step, pure at both ends: begin it, conclude it.

The engine, the demo and the simulation all work cases by these two functions.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from dunwell.domain import events as ev
from dunwell.domain.absorb import absorb, keep
from dunwell.domain.agreements import follow_plan, judge_promises, lapse_offer, make_offer, offer_options
from dunwell.domain.case import CaseState, Next
from dunwell.domain.codes import LEAVES_THE_HOUSE, Channel, Ending, Stage, StepKind
from dunwell.domain.decide import PLACEMENT, decide, facts_to_approve
from dunwell.domain.facts import Facts, LosePoint, Write
from dunwell.domain.gate import Request, Verdict, closes_at, judge
from dunwell.domain.ledger import episodes
from dunwell.domain.messages import Answer, Undecodable, decode
from dunwell.domain.opening import reminded, reminder_days
from dunwell.domain.reasons import analyse, segment
from dunwell.domain.story import Story
from dunwell.domain.strategy import LadderStep, Purpose

APPROVAL_DAYS = 14
# What the domain raises when facts or rules do not fit together: trying again would end the same.
DOMAIN_ERRORS = (ValueError, LookupError, TypeError, ArithmeticError, AssertionError)
# What a provider says of an address that reaches nobody; any other refusal is not the address's fault.
DEAD_POINT = frozenset({"invalid_address", "invalid_number", "unknown_recipient", "bounced"})
Outcome = Literal["sent", "failed", "unknown", "abandoned"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message as it is kept: its name and raw JSON. A `problem` bars it from being obeyed."""

    id: str
    name: str
    raw: bytes
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """One contact about to be made. Amount in minor units; expires when its window may close."""

    number: int
    step: str
    channel: Channel
    purpose: Purpose
    template: str
    tone: str
    language: str
    amount: int
    currency: str
    dpd: int
    due_on: date
    options: tuple[ev.Option, ...]
    expires_at: datetime


@dataclass(slots=True)
class Worked:
    """What one end of a step gives: events for the journal, writes, answers, perhaps an intent."""

    events: list[ev.Event]
    writes: list[Write]
    answers: list[Answer]
    intent: Intent | None = None
    facts: Facts | None = None


def begin(
    state: CaseState,
    facts: Facts,
    now: datetime,
    kind: StepKind,
    heard: Sequence[Said] = (),
    *,
    careful: bool = False,
) -> Worked:
    """Take what was heard, look at the facts, and either intend a contact or plan the next step.

    The step that came due is a proposal: it is done only if today's facts still ask for it.
    `careful`: each message is tried apart first, and kept for a person if it cannot be taken.
    """
    story, asked = Story(state, facts, now), state.next
    for said in heard:
        _hear(story, _tried(story, said) if careful else said)
    catch_up(story)
    proposal = decide(story)
    if kind in LEAVES_THE_HOUSE and _is_what_came_due(proposal, asked, story):
        intent = _leave_the_house(story, proposal)
        if intent is not None:
            return Worked(story.told, story.writes, story.answers, intent, story.facts)
        proposal = decide(story)
    _plan(story, proposal)
    return Worked(story.told, story.writes, story.answers, None, story.facts)


def conclude(
    state: CaseState,
    facts: Facts,
    now: datetime,
    outcome: Outcome,
    code: str,
) -> Worked:
    """Record what became of the intended contact, and plan the next step."""
    story = Story(state, facts, now)
    intended = state.intended
    if intended is None:
        raise ValueError(f"case {state.case_id} intends no contact that could be concluded")
    story.tell(
        ev.ContactMade(
            intended.number,
            intended.step,
            intended.anchor,
            intended.channel,
            intended.purpose,
            outcome,
            code,
        )
    )
    step = _step(story, intended.step)
    if outcome == "failed" and code in DEAD_POINT:
        story.tell(ev.PointFailed(intended.channel, code))
        story.write(LosePoint(intended.channel))
    elif outcome == "failed":
        # Not the person's address but something between us and the provider: a person must look.
        why = f"contact {intended.number} by {intended.channel} was refused: {code}"
        story.tell(ev.AttentionRaised("not_delivered", why))
    elif outcome != "abandoned" and step is not None and step.kind == "negotiate":
        make_offer(story, intended.options, step.answer_days)
    catch_up(story)
    _plan(story, decide(story))
    return Worked(story.told, story.writes, story.answers, None, story.facts)


def regate(state: CaseState, facts: Facts, now: datetime) -> Verdict:
    """A retry found an intent that was not sent: may it still be, on today's facts?

    Only if a case without that intent would decide on the very same contact for the very same amount.
    """
    intended = state.intended
    if intended is None:
        raise ValueError(f"case {state.case_id} intends no contact")
    trial = Story(deepcopy(state), facts, now)
    trial.state.intended = None
    catch_up(trial)
    proposal = decide(trial)
    again = (proposal.step, proposal.channel, trial.state.anchor) == (
        intended.step, intended.channel, intended.anchor,
    )  # fmt: skip
    if not again or proposal.due > trial.minute or _amount(trial, intended.purpose) != intended.amount:
        return Verdict("deny", "facts_changed", f"today's facts ask for something else: {proposal.reason}", ())
    request = Request(state.loan_id, intended.channel, _purpose(intended.purpose))
    return judge(request, facts.person, facts.book.house, now)


def correct(state: CaseState, facts: Facts, now: datetime, told: ev.ContactIntended) -> Worked:
    """An attempt that was given up did reach the person after all: the journal says so, and it counts."""
    story = Story(state, facts, now)
    story.tell(ev.ContactMade(told.number, told.step, told.anchor, told.channel, told.purpose, "sent", "learned_late"))
    catch_up(story)
    _plan(story, decide(story))
    return Worked(story.told, story.writes, story.answers, None, story.facts)


def attend(state: CaseState, facts: Facts, now: datetime, code: str, why: str) -> Worked:
    """Something could not be handled: a person must look."""
    story = Story(state, facts, now)
    if state.attention is None or state.attention.code != code:
        story.tell(ev.AttentionRaised(code, why))
    _plan(story, decide(story))
    return Worked(story.told, story.writes, story.answers, None, story.facts)


def catch_up(story: Story) -> None:
    """Tell what time, money and holds have changed since the case last looked."""
    _holds(story)
    _money(story)
    judge_promises(story)
    follow_plan(story)
    lapse_offer(story)
    _episode(story)
    if not story.state.closed:
        _path(story)


def _is_what_came_due(proposal: Next, asked: Next | None, story: Story) -> bool:
    """The same rung by the same channel, and its minute has come."""
    return (
        asked is not None
        and (proposal.kind, proposal.step, proposal.channel) == (asked.kind, asked.step, asked.channel)
        and proposal.due <= story.minute
    )


def _tried(story: Story, said: Said) -> Said:
    """The message as it is, or with what went wrong when it was taken in a trial."""
    try:
        _hear(Story(deepcopy(story.state), story.facts, story.now), said)
    except DOMAIN_ERRORS as e:
        return replace(said, problem=f"{said.name} could not be taken: {type(e).__name__}: {e}")
    return said


def _hear(story: Story, said: Said) -> None:
    if said.problem is not None:
        keep(story, said.id, said.name, said.problem)
        return
    try:
        message = decode(said.name, said.raw)
    except Undecodable as e:
        keep(story, said.id, said.name, str(e))
        return
    absorb(story, said.id, said.name, message)


def _leave_the_house(story: Story, proposal: Next) -> Intent | None:
    """Ask the gate at the moment of sending; an intent counts against the caps from now on."""
    step = _step(story, proposal.step or "")
    channel = proposal.channel
    if step is None or channel is None or story.state.anchor is None:
        return None
    if proposal.code == "approval_needed":
        story.tell(ev.ApprovalAsked(step.id, facts_to_approve(story), story.today + timedelta(days=APPROVAL_DAYS)))
        return None
    rules, there = story.facts.book.house, story.position
    verdict = judge(Request(story.state.loan_id, channel, step.purpose), story.facts.person, rules, story.now)
    if verdict.answer != "allow":
        story.tell(
            ev.ContactWithheld(
                step.id, channel, verdict.answer, verdict.code, verdict.reason,
                verdict.rules, verdict.until,
            )
        )  # fmt: skip
        return None
    if step.stage != story.state.stage:
        story.tell(ev.StageEntered(step.stage, f"{step.title}: {there.dpd} days past due"))
    pre_due = step.purpose == "payment_reminder_pre_due"
    number = story.state.contacts_made + 1
    amount = _amount(story, step.purpose)
    options = offer_options(story, step)
    story.tell(
        ev.ContactIntended(
            number, step.id, story.state.anchor, channel, step.purpose, step.template, amount,
            story.facts.money.currency, verdict.rules, story.facts.book.hashes["house"], options,
        )
    )  # fmt: skip
    path = story.facts.book.paths.get(story.state.path or "")
    return Intent(
        number, step.id, channel, step.purpose, step.template, path.tone if path else "formal",
        story.facts.person.language, amount, story.facts.money.currency, there.dpd,
        (there.next_due_on if pre_due else None) or story.state.anchor, options,
        closes_at(channel, story.facts.person, rules, story.now),
    )  # fmt: skip


def _amount(story: Story, purpose: str) -> int:
    """What a contact speaks of: what falls due next, or what is past due."""
    there = story.position
    return there.next_due_amount if purpose == "payment_reminder_pre_due" else there.past_due


def _plan(story: Story, proposal: Next) -> None:
    if story.state.closed:
        return
    there = story.position
    worst = max(there.dpd, _worst(story))
    story.tell(
        ev.Planned(
            proposal.kind, proposal.step, proposal.channel, proposal.due, proposal.code,
            proposal.reason, there.dpd, worst, there.outstanding, there.past_due, there.credit,
        )
    )  # fmt: skip


def _worst(story: Story) -> int:
    opened = story.state.opened_on
    if opened is None:
        return 0
    runs = episodes(story.facts.money, story.today, since=opened)
    return max((e.worst_dpd for e in runs), default=0)


def _holds(story: Story) -> None:
    """Holds live with the person; the case notes when it first sees one, and when it is gone."""
    now_held = {h.id: h for h in story.facts.person.holds_on(story.state.loan_id, story.today)}
    for id, hold in now_held.items():
        if id not in story.state.holds:
            story.tell(ev.HoldSeen(id, hold.kind, hold.ends_on))
    for id, kind in list(story.state.holds.items()):
        if id not in now_held:
            story.tell(ev.HoldEnded(id, kind))


def _money(story: Story) -> None:
    there = story.position
    paid = story.facts.money.paid(story.today)
    known = story.state.money
    if known is None or (known[0], known[2], known[3]) != (there.outstanding, there.credit, paid):
        story.tell(ev.MoneyChanged(there.outstanding, there.past_due, there.credit, paid))


def _episode(story: Story) -> None:
    """Open, move on or close the episode as the money tells."""
    state, there = story.state, story.position
    anchor = there.oldest_unpaid_due_on
    if state.opened_on is None or state.closed:
        if there.dpd > 0 and anchor is not None:
            runs = episodes(story.facts.money, story.today)
            reason = analyse(state, story.facts, there)
            story.tell(ev.EpisodeOpened(state.episode + 1, runs[-1].opened_on, anchor, there.dpd, reason))
        elif _reminds_early(story):
            if state.closed:
                story.tell(ev.StageEntered("pre_due", "an instalment falls due soon"))
            if anchor is not None and anchor != state.anchor:
                story.tell(ev.AnchorMoved(anchor, 0))
        elif not state.closed:
            story.tell(ev.EpisodeClosed(state.episode, state.decided_ending or "cured", None, story.today, 0))
        return
    settling = state.running_plan is not None and state.running_plan.settles > 0
    if state.decided_ending is not None or (there.dpd == 0 and not (settling and there.outstanding)):
        _close(story)
    elif anchor is not None and anchor != state.anchor:
        story.tell(ev.AnchorMoved(anchor, there.dpd))
        if state.stage in ("contact", "negotiation", "pre_legal"):
            story.tell(ev.StageEntered("reminder", "the oldest unpaid instalment is a younger one"))


def _reminds_early(story: Story) -> bool:
    """Is the next instalment unpaid and so near that the path reminds before it?

    A case that was closed is not opened again for a reminder that was given already.
    """
    due = story.position.next_due_on
    if due is None or (story.state.closed and reminded(story.state, story.facts, due)):
        return False
    days = reminder_days(story.state, story.facts)
    return days > 0 and (due - story.today).days <= days


def _close(story: Story) -> None:
    state = story.state
    runs = episodes(story.facts.money, story.today)
    ended_on, worst = story.today, state.worst_dpd
    # None of them when the money came on the very day the episode began: no day ended with it.
    if runs and runs[-1].ended_on is not None and state.opened_on and runs[-1].ended_on > state.opened_on:
        ended_on, worst = runs[-1].ended_on, runs[-1].worst_dpd
    for promise in state.open_promises:
        story.tell(ev.PromiseJudged(promise.number, "cancelled", promise.received))
    if state.running_plan is not None:
        story.tell(ev.PlanEnded(state.running_plan.number, "superseded", "nothing is past due any more"))
    story.tell(ev.EpisodeClosed(state.episode, _ending(state), state.opened_on, ended_on, worst))


def _ending(state: CaseState) -> Ending:
    if state.decided_ending is not None:
        return state.decided_ending
    if state.plans and state.plans[-1].settles and state.plans[-1].verdict == "kept":
        return "settled"
    return "paid_through_law" if state.filed else "cured"


def _path(story: Story) -> None:
    """Analyse the reason, choose the path, and leave a finished plan's stage."""
    state, there = story.state, story.position
    if state.opened_on is not None and not state.reason_confirmed:
        reason = analyse(state, story.facts, there)
        if reason != state.reason:
            story.tell(ev.ReasonAnalysed(reason, confirmed=False))
    rule = segment(state, story.facts)
    if state.segment != rule.path or state.path not in story.facts.book.paths:
        story.tell(ev.PathChosen(rule.path, story.facts.book.hashes[rule.path], rule.why, True))
    stage = _stage_of(state)
    if stage is not None and stage != state.stage:
        story.tell(ev.StageEntered(stage, "what was agreed has ended" if state.stage == "plan" else "by the facts"))


def _stage_of(state: CaseState) -> Stage | None:
    """Stages that a plan, a placement or a filed claim prescribe; None leaves the rung's own."""
    if state.placed:
        return "placed"
    if state.running_plan is not None:
        return "plan"
    if state.filed:
        return "legal"
    return "contact" if state.stage in ("plan", "placed") else None


def _step(story: Story, id: str) -> LadderStep | None:
    if id == PLACEMENT.id:
        return PLACEMENT
    found = (p.step(id) for p in story.facts.book.paths.values())
    return next((s for s in found if s is not None), None)


def _purpose(value: str) -> Purpose:
    return value  # type: ignore[return-value]
