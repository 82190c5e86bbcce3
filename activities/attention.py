"""Cases that need a person."""

from temporalio import activity

from activities.working import Working, case_clock
from dunwell.domain.messages import Ask, NextStep


class Attend:
    """Nothing fails a case: what cannot be handled waits here for a person."""

    def __init__(self, working: Working) -> None:
        self._working = working

    @activity.defn
    async def look_at_attention(self, ask: Ask) -> NextStep:
        """Still waiting for a person: look at the facts again."""
        return await self._working.work(ask)

    @activity.defn
    async def need_attention(self, ask: Ask) -> NextStep:
        """Put the case before a person; needs no more than its row."""
        run_id = activity.info().workflow_run_id
        return await self._working.steps.attend(ask, "step_failed", ask.why, case_clock(ask), run_id)
