"""Plans: each instalment followed, kept or missed."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class FollowPlan:
    """Judges a plan by its own rule."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def follow_plan(self, ask: Ask) -> NextStep:
        """Judge what fell due, and plan the next look."""
        return await self._working.work(ask)
