"""Reminders: before the due date, and the first ones after it."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class Remind:
    """Tells the right amount, at a lawful hour."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def remind(self, ask: Ask) -> NextStep:
        """Send the reminder that is right today, or plan what is."""
        return await self._working.work(ask)
