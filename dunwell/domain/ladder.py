"""Which rung of the treatment path is right now, or next."""

from dataclasses import dataclass
from datetime import date, timedelta

from dunwell.domain import events as ev
from dunwell.domain.codes import Channel
from dunwell.domain.reasons import holds
from dunwell.domain.story import Story
from dunwell.domain.strategy import LadderStep, Strategy


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the path and the local date from which it is right."""

    step: LadderStep
    on: date


def rung(story: Story) -> Rung | None:
    """The one right rung: the most severe that is ripe, else the next to ripen.

    None when the path has nothing left. Rungs that a late look passes over are told as skipped:
    a backlog is never fired.
    """
    path = story.facts.book.paths[story.state.path or ""]
    ahead = _ahead(story, path)
    ripe = [r for r in ahead if r.on <= story.today]
    if ripe:
        right = ripe[-1]
        for passed in ripe[:-1]:
            story.tell(
                ev.StepSkipped(
                    passed.step.id,
                    anchor_of(story),
                    f"{right.step.title} is the right step at {story.position.dpd} days past due",
                )
            )
        return right
    return min(ahead, key=lambda r: r.on, default=None)


def _ahead(story: Story, path: Strategy) -> list[Rung]:
    """The path's undone rungs whose date is known, in its order."""
    anchor, state = anchor_of(story), story.state
    late = story.position.dpd > 0
    found: list[Rung] = []
    before_on: date | None = None
    for step in path.steps:
        done = state.did(step.id)
        if done is not None:
            before_on = story.facts.today(done.on)
            found.clear()  # what stands before a done rung is behind the case
            continue
        if not all(holds(c, state, story.facts) for c in step.when):
            continue
        if step.offset_days is not None:
            on = anchor + timedelta(days=step.offset_days)
            # Before day 0 only what reminds early; after it nothing that was meant to.
            if (step.offset_days < 0) == late:
                continue
        elif before_on is not None:
            on = before_on + timedelta(days=step.after_days or 0)
        else:
            continue
        found.append(Rung(step, on))
        before_on = None
    return found


def anchor_of(story: Story) -> date:
    """Day 0: the due date of the oldest unpaid instalment. Raises: ValueError where nothing is unpaid."""
    anchor = story.state.anchor
    if anchor is None:
        raise ValueError(f"case {story.state.case_id} has no unpaid instalment to work")
    return anchor


def channel_of(story: Story, step: LadderStep) -> Channel | None:
    """The first channel of the step that can reach the person; None when none can."""
    person, house = story.facts.person, story.facts.book.house
    barred: set[Channel] = set()
    for hold in person.holds_on(story.state.loan_id, story.today):
        rule = house.holds.get(hold.kind)
        if rule is None:
            continue
        if rule.stops == "channels":
            barred |= set(rule.channels)
        elif rule.stops == "channel_named":
            barred |= {hold.channel} if hold.channel else set(person.usable)
    for channel in step.channels:
        if channel in ("legal", "agency") or (channel in person.usable and channel not in barred):
            return channel
    return None
