"""Negotiation: two or three ways to pay."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class Negotiate:
    """Offers instalments or a later date; takes yes, no or nothing."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def make_offer(self, ask: Ask) -> NextStep:
        """Send the offer that is right today."""
        return await self._working.work(ask)
