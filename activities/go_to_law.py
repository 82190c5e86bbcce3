"""The letter before claim, and the claim that a person has to approve."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class GoToLaw:
    """Nothing is filed without a person's word."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def go_to_law(self, ask: Ask) -> NextStep:
        """Send the letter, ask for approval, or file the claim."""
        return await self._working.work(ask)
