"""Looking at the facts, and taking what arrived."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class Assess:
    """Steps that stay in the house: one transaction."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def assess(self, ask: Ask) -> NextStep:
        """Look at money, person and case, and plan the next step."""
        return await self._working.work(ask)

    @activity.defn
    async def absorb(self, ask: Ask) -> NextStep:
        """Take the messages that arrived, and plan the next step."""
        return await self._working.work(ask)
