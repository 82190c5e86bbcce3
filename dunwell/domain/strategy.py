"""Strategies as data: the shape of the files in `strategies/` and `rules/house.yaml`."""

from datetime import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dunwell.domain.codes import ArrearsReason, Channel, HoldKind, Stage, StepKind

Purpose = Literal[
    "payment_reminder_pre_due",
    "collection_demand",
    "first_contact",
    "hardship_offer",
    "statutory_notice",
    "court_filing",
    "placement_notice",
    "reply",
]
Condition = Literal[
    "first_time",
    "repeat",
    "recently_late",
    "unable",
    "refuses",
    "promises_broken",
    "offers_unanswered",
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Data(BaseModel):
    """What users edit: unknown keys are errors, values never change once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Terms(Data):
    """One option of an offer: equal instalments, or everything at a later date."""

    instalments: Annotated[int, Field(ge=1, le=24)] = 1
    every_days: Annotated[int, Field(ge=7, le=31)] = 30
    first_in_days: Annotated[int, Field(ge=1, le=60)]

    @property
    def deferral(self) -> bool:
        """One payment later on, rather than several."""
        return self.instalments == 1


class LadderStep(Data):
    """A rung: when it is due, what it does, by which channel."""

    id: str
    title: str
    stage: Stage
    kind: StepKind
    purpose: Purpose
    template: str
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    offset_days: int | None = Field(default=None, description="days from day 0, the oldest unpaid due date; signed")
    after_days: int | None = Field(default=None, description="days after the step before it was done", ge=0)
    when: tuple[Condition, ...] = ()
    offers: tuple[Terms, ...] = ()
    answer_days: int = Field(default=7, ge=1, description="how long an offer stays open")
    needs_approval: bool = False

    @model_validator(mode="after")
    def _one_clock(self) -> "LadderStep":
        if (self.offset_days is None) == (self.after_days is None):
            raise ValueError("give either offset_days or after_days")
        if self.kind == "negotiate" and not self.offers:
            raise ValueError("a negotiation step needs at least one offer")
        return self


class PromiseRules(Data):
    """When a promise counts as kept. Percent of the promised amount; days."""

    max_days_ahead: int = Field(default=31, ge=1)
    grace_days: int = Field(default=1, ge=0)
    threshold_pct: int = Field(default=100, ge=1, le=100)
    max_open: int = Field(default=1, ge=1)


class PlanRules(Data):
    """When a plan breaks."""

    grace_days: int = Field(default=3, ge=0)
    missed_to_break: int = Field(default=2, ge=1)


class Strategy(Data):
    """A treatment path. `then` names the path that takes over when its last rung is done."""

    name: str
    title: str
    tone: Literal["friendly", "formal"]
    then: str | None
    promises: PromiseRules = PromiseRules()
    plans: PlanRules = PlanRules()
    steps: Annotated[tuple[LadderStep, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _steps_stand(self) -> "Strategy":
        ids = [s.id for s in self.steps]
        if len(set(ids)) != len(ids):
            raise ValueError("step ids must differ within a path")
        if self.steps[0].offset_days is None:
            raise ValueError("the first step needs offset_days: there is none before it")
        return self

    def step(self, id: str) -> LadderStep | None:
        """The rung of that id, if this path has it."""
        return next((s for s in self.steps if s.id == id), None)


class SegmentRule(Data):
    """Which path a case takes; the first rule whose conditions all hold decides."""

    path: str
    when: tuple[Condition, ...] = ()
    why: str


class Segments(Data):
    """`strategies/segments.yaml`."""

    rules: Annotated[tuple[SegmentRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _last_takes_all(self) -> "Segments":
        if self.rules[-1].when:
            raise ValueError("the last rule must have no condition, so that every case has a path")
        return self


class Window(Data):
    """Hours of the person's own zone in which something may reach them; `to` is exclusive."""

    channels: tuple[Channel, ...]
    days: tuple[Weekday, ...]
    opens: time
    closes: time


class Cap(Data):
    """At most `max` attempts within the last `dates` local dates, today among them."""

    id: str
    dates: int = Field(ge=1)
    max: int = Field(ge=1)


class HoldRule(Data):
    """What a hold stops: everything, pressure by some channels, or only going to law."""

    stops: Literal["everything", "channels", "legal", "channel_named"]
    channels: tuple[Channel, ...] = ()
    says: str


class HouseRules(Data):
    """`rules/house.yaml`: what holds everywhere, whatever the law of the place adds."""

    id: str
    version: str
    windows: tuple[Window, ...]
    guard_minutes_before_close: int = Field(ge=0)
    caps: tuple[Cap, ...]
    capped_channels: tuple[Channel, ...]
    holds: dict[HoldKind, HoldRule]
    unable_reasons: tuple[ArrearsReason, ...]


class Book(Data):
    """All that users edit, loaded and checked; `hashes` pins each file's content."""

    house: HouseRules
    segments: Segments
    paths: dict[str, Strategy]
    hashes: dict[str, str]
