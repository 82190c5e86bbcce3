"""First contact: asks for the reason."""

from temporalio import activity

from activities.working import Working
from dunwell.domain.messages import Ask, NextStep


class Contact:
    """Asks why, listens, records the answer."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def make_contact(self, ask: Ask) -> NextStep:
        """Call or write to ask for the reason."""
        return await self._working.work(ask)
