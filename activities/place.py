"""Placement with an agency."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class Place:
    """Gives the case to an agency, told by an operator."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def place_with_agency(self, ask: Ask) -> NextStep:
        """Send the placement to the agency."""
        return await self._working.work(ask)
