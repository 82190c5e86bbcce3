"""The daily overdue list, under a Temporal Schedule: lists what is late and opens cases. Closes nothing."""

from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.overdue import ListAsk, Overdue, SweepAsk

_PAGES_PER_RUN = 50
_MINUTE = timedelta(minutes=1)
_PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=1))


class Sweep(BaseModel):
    """A day's sweep; what it has done so far travels along when it goes on in a fresh run.

    `on` empty: the day on which it starts, UTC.
    """

    on: date | None = None
    after: str = ""
    looked_at: int = 0
    overdue: int = 0
    opened: int = 0


class SweepDone(BaseModel):
    """What a day's sweep found, and where its list stands."""

    on: date
    looked_at: int
    overdue: int
    opened: int
    file: str


@workflow.defn(name="Portfolio")
class Portfolio:
    """Pages by key; each page is one transaction, so it can stop and go on anywhere."""

    @workflow.run
    async def run(self, sweep: Sweep) -> SweepDone:
        """Look at every loan that may be late, then write the list."""
        on = sweep.on or workflow.now().astimezone(UTC).date()
        done = sweep.model_copy(update={"on": on})
        for _ in range(_PAGES_PER_RUN):
            found = await workflow.execute_activity_method(
                Overdue.sweep,
                SweepAsk(on=on, now=_instant(on), after=done.after),
                start_to_close_timeout=_MINUTE,
                retry_policy=_PATIENT,
                summary=f"overdue list of {on}: {done.looked_at} loans looked at so far",
            )
            done = done.model_copy(
                update={
                    "after": found.last or done.after,
                    "looked_at": done.looked_at + found.looked_at,
                    "overdue": done.overdue + found.overdue,
                    "opened": done.opened + found.opened,
                }
            )
            if found.last is None:
                break
        else:
            workflow.continue_as_new(done)
        written = await workflow.execute_activity_method(
            Overdue.write_list,
            ListAsk(on=on),
            start_to_close_timeout=5 * _MINUTE,
            retry_policy=_PATIENT,
            summary=f"overdue list of {on}: writes {done.overdue} loans",
        )
        return SweepDone(on=on, looked_at=done.looked_at, overdue=done.overdue, opened=done.opened, file=written.file)


def _instant(on: date) -> datetime:
    """Now, or the last minute of a day that is over: a late sweep tells of its own day."""
    now = workflow.now()
    return now if now.date() == on else datetime(on.year, on.month, on.day, 23, 59, tzinfo=UTC)
