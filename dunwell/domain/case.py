"""The state of one case: nothing but the fold of its journal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

from dunwell.domain import events as ev
from dunwell.domain.codes import Channel, Ending, Stage, StepKind

# Raised whenever an older release could misread the snapshot; it then refuses, and a newer
# worker takes the case.
SNAPSHOT_VERSION = 1
_CASES = UUID("6f1b0c8e-6a3d-5d3e-9b1e-7f0f6f1d2c11")


def case_id_of(loan_id: str) -> UUID:
    """The id of a loan's case: always the same, and tells nothing of the loan."""
    return uuid5(_CASES, loan_id)


@dataclass(slots=True)
class Done:
    """A rung that was done, or skipped, for an anchor."""

    step: str
    anchor: date
    on: datetime
    skipped: bool = False


@dataclass(slots=True)
class Promise:
    """A promise to pay; `needed` minor units make it kept, judged after `verdict_on`.

    `known`: the payments that were known when it was made; only others keep it.
    """

    number: int
    amount: int
    due_on: date
    verdict_on: date
    needed: int
    known: tuple[str, ...]
    made_at: datetime
    verdict: str = "open"
    received: int = 0


@dataclass(slots=True)
class Offer:
    """What was offered, and until when an answer counts."""

    number: int
    options: tuple[ev.Option, ...]
    until: date
    answer: str | None = None


@dataclass(slots=True)
class Plan:
    """Dated payments agreed on; `settles` > 0 when paying them settles for that discount."""

    number: int
    dues: tuple[ev.Due, ...]
    deferral: bool
    settles: int
    known: tuple[str, ...]
    grace_days: int
    missed_to_break: int
    verdict: str = "running"
    judged: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Made:
    """A contact that was tried: its number within the case, its channel, what came of it."""

    number: int
    channel: Channel
    state: str


@dataclass(slots=True)
class Next:
    """The next step: which, when, why. `step` is the rung's id where it is one."""

    kind: StepKind
    due: datetime
    code: str
    reason: str
    step: str | None = None
    channel: Channel | None = None


@dataclass(slots=True)
class Attention:
    """Why a person must look at the case."""

    code: str
    why: str
    since: datetime


@dataclass(slots=True)
class CaseState:
    """All a case remembers. Amounts in minor units of the loan's currency."""

    case_id: str
    loan_id: str
    person_id: str
    sequence: int = 0
    last_at: datetime | None = None
    episode: int = 0
    opened_on: date | None = None
    anchor: date | None = None
    worst_dpd: int = 0
    stage: Stage = "pre_due"
    ending: Ending | None = None
    path: str | None = None
    segment: str | None = None
    reason: str = "unknown"
    reason_confirmed: bool = False
    done: list[Done] = field(default_factory=list)
    contacts: list[Made] = field(default_factory=list)
    unanswered: int = 0
    intended: ev.ContactIntended | None = None
    withheld: ev.ContactWithheld | None = None
    promises: list[Promise] = field(default_factory=list)
    offer: Offer | None = None
    offers_unanswered: int = 0
    plans: list[Plan] = field(default_factory=list)
    approval: str | None = None
    approval_until: date | None = None
    approval_facts: str | None = None
    not_before: datetime | None = None
    filed: bool = False
    to_place: bool = False
    placed: bool = False
    decided_ending: Ending | None = None
    refuses: bool = False
    attention: Attention | None = None
    holds: dict[str, str] = field(default_factory=dict)
    money: tuple[int, int, int, int] | None = None
    next: Next | None = None

    @property
    def closed(self) -> bool:
        """True when nothing more will be done unless the case is opened again."""
        return self.stage == "closed"

    @property
    def contacts_made(self) -> int:
        """Contacts tried so far; the next one has the number after it."""
        return self.contacts[-1].number if self.contacts else 0

    @property
    def open_promises(self) -> list[Promise]:
        """Promises that wait for their verdict."""
        return [p for p in self.promises if p.verdict == "open"]

    @property
    def running_plan(self) -> Plan | None:
        """The plan that is being followed, if there is one."""
        return next((p for p in self.plans if p.verdict == "running"), None)

    def did(self, step: str) -> Done | None:
        """When a rung was last done for the present anchor."""
        return next((d for d in reversed(self.done) if d.step == step and d.anchor == self.anchor), None)


def apply(state: CaseState, event: ev.Event, at: datetime) -> None:
    """Change the state by one event. The order of the journal is the order of truth."""
    state.last_at = at
    match event:
        case ev.EpisodeOpened():
            _open_episode(state, event)
        case ev.ReasonAnalysed():
            state.reason, state.reason_confirmed = event.reason, event.confirmed
        case ev.PathChosen():
            state.path = event.path
            if event.by_segment:
                state.segment = event.path
        case ev.AnchorMoved():
            state.anchor = event.anchor
            state.approval = state.approval_until = state.approval_facts = None
        case ev.StageEntered():
            if state.closed:
                _begin_anew(state)
            state.stage = event.stage
        case ev.StepSkipped():
            state.done.append(Done(event.step, event.anchor, at, skipped=True))
        case ev.ContactIntended():
            state.intended = event
        case ev.ContactWithheld():
            state.withheld = event
        case ev.ContactMade():
            _contact_made(state, event, at)
        case ev.ContactAnswered():
            state.unanswered = 0 if event.result in _REACHED else state.unanswered
        case ev.PromiseMade():
            state.promises.append(
                Promise(
                    event.number, event.amount, event.due_on, event.verdict_on,
                    event.needed, event.known, at,
                )
            )  # fmt: skip
        case ev.PromiseJudged():
            for promise in state.promises:
                if promise.number == event.number:
                    promise.verdict, promise.received = event.verdict, event.received
        case ev.OfferMade():
            state.offer = Offer(event.number, event.options, event.until)
        case ev.OfferAnswered():
            if state.offer is not None and state.offer.number == event.number:
                state.offer.answer = event.answer
            state.offers_unanswered += event.answer == "none"
        case ev.PlanStarted():
            state.plans.append(
                Plan(
                    event.number, event.dues, event.deferral, event.settles, event.known,
                    event.grace_days, event.missed_to_break,
                )
            )  # fmt: skip
            state.stage = "plan"
        case ev.PlanInstalmentJudged():
            for plan in state.plans:
                if plan.number == event.number:
                    plan.judged[event.index] = event.verdict
        case ev.PlanEnded():
            for plan in state.plans:
                if plan.number == event.number:
                    plan.verdict = event.verdict
        case ev.ApprovalAsked():
            state.approval, state.approval_until = "asked", event.until
            state.approval_facts = event.facts_hash
        case ev.ApprovalGiven():
            state.approval = event.answer
        case ev.HoldSeen():
            state.holds[event.hold] = event.hold_kind
        case ev.HoldEnded():
            state.holds.pop(event.hold, None)
        case ev.MoneyChanged():
            state.money = (event.outstanding, event.past_due, event.credit, event.paid)
        case ev.DecisionTaken():
            _decision(state, event)
        case ev.MessageHeard():
            state.refuses = event.about == "refuses" or (state.refuses and event.about not in _WILLING)
        case ev.AttentionRaised():
            state.attention = Attention(event.code, event.why, at)
        case ev.AttentionCleared():
            state.attention = None
        case ev.EpisodeClosed():
            state.stage, state.ending, state.next = "closed", event.ending, None
            state.sequence += 1
            state.offer = None
            state.worst_dpd = max(state.worst_dpd, event.worst_dpd)
            if state.attention is not None and state.attention.code != "message_not_understood":
                state.attention = None  # what it was raised for is over; a message still waits for a reader
        case ev.Planned():
            state.sequence += 1
            state.worst_dpd = max(state.worst_dpd, event.worst_dpd)
            state.next = Next(event.step_kind, event.due, event.code, event.why, event.step, event.channel)
        case _:
            pass


# How long a contact waits before it is tried again once its channel was down.
_CHANNEL_DOWN_WAIT = timedelta(minutes=30)
_REACHED = frozenset({"answered_right_party", "replied"})
_WILLING = frozenset({"promise", "plan_answer", "cannot_pay", "lost_job", "illness", "question"})
_CLOSING: dict[str, Ending] = {
    "write_off": "written_off",
    "sell": "sold",
    "hand_over": "handed_over",
    "withdraw": "withdrawn",
    "restructure": "restructured",
}


def fold(case_id: str, loan_id: str, person_id: str, journal: Iterable[tuple[datetime, ev.Event]]) -> CaseState:
    """The state that a journal tells, from its first entry on."""
    state = CaseState(case_id, loan_id, person_id)
    for at, event in journal:
        apply(state, event, at)
    return state


def _open_episode(state: CaseState, event: ev.EpisodeOpened) -> None:
    """A new episode begins clean; what was promised and agreed before stays on record."""
    state.episode, state.opened_on = event.number, event.opened_on
    state.anchor, state.worst_dpd = event.anchor, event.dpd
    state.stage = "reminder"
    state.ending = state.decided_ending = None
    state.reason, state.reason_confirmed = event.reason, False
    state.unanswered = state.offers_unanswered = 0
    state.offer = state.approval = state.approval_until = state.approval_facts = None
    state.path = state.segment = state.not_before = None
    state.filed = state.placed = state.to_place = state.refuses = False
    state.done = [d for d in state.done if d.anchor == event.anchor]


def _begin_anew(state: CaseState) -> None:
    """A closed case looks ahead to the next due date: no episode is open, the path is chosen again."""
    state.opened_on = state.ending = state.decided_ending = state.path = state.segment = None
    state.approval = state.approval_until = state.approval_facts = None
    state.filed = state.placed = state.to_place = state.refuses = False
    state.worst_dpd = 0


def _contact_made(state: CaseState, event: ev.ContactMade, at: datetime) -> None:
    if state.intended is not None and state.intended.number == event.number:
        state.intended = None
    if event.state == "abandoned":
        state.not_before = at + _CHANNEL_DOWN_WAIT if event.code == "channel_down" else None
        return
    state.not_before = None
    state.contacts.append(Made(event.number, event.channel, event.state))
    if event.state == "failed":
        return
    state.unanswered += 1
    state.done.append(Done(event.step, event.anchor, at))
    if event.purpose == "court_filing":
        state.filed = True
    if event.purpose == "placement_notice":
        state.placed, state.to_place = True, False


def _decision(state: CaseState, event: ev.DecisionTaken) -> None:
    if event.what in _CLOSING:
        state.decided_ending = _CLOSING[event.what]
    elif event.what == "recall":
        state.placed = False
    elif event.what == "place":
        state.to_place = True
        state.approval = state.approval_until = state.approval_facts = (
            None  # the question is asked anew if the case comes back
        )
