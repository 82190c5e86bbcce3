"""How every stage works a step: transaction A, the effect, transaction B."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Protocol

import asyncpg
import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from dunwell.channels.protocol import Channel, ChannelDown, Dispatch, OutcomeUnknown, Receipt
from dunwell.domain.messages import Ask, NextStep
from dunwell.domain.step import DOMAIN_ERRORS, Outcome
from dunwell.store.reading import NewerSnapshot, NoSuchCase
from dunwell.store.steps import Clock, Steps, ToSend

log = structlog.get_logger()

# A channel that is down for a moment is tried again after these seconds; then the case goes on and comes back later.
_PAUSES_WHILE_DOWN = (1.0, 3.0)
# A call may take 10 s, the pauses 4 s, an attempt 30 s: one that begins to send later could overlap with the next.
_TOO_LATE_SECONDS = 14.0


def case_clock(ask: Ask) -> Clock:
    """The case's time within this activity.

    Its offset, plus workflow time when the step was scheduled, plus how long it waited for a
    worker, plus what has passed since. The two stamps are virtual in regular activities and real
    in local ones under time skipping; their difference is right for both.
    """
    info = activity.info()
    waited = max(info.started_time - info.scheduled_time, timedelta(0))
    start = ask.asked_at.astimezone(UTC) + timedelta(seconds=ask.offset) + waited
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)


class Meter(Protocol):
    """Counts steps and contacts."""

    def step(self, kind: str, outcome: str, seconds: float) -> None:
        """One step of a case."""

    def contact(self, channel: str, outcome: str) -> None:
        """One contact with the outside."""


@dataclass(slots=True)
class Working:
    """What every stage needs: the two transactions and the channels."""

    steps: Steps
    channels: Mapping[str, Channel]
    meter: Meter

    async def work(self, ask: Ask) -> NextStep:
        """One step. Raises: DomainError, not to be retried, when the case cannot be worked."""
        clock = case_clock(ask)
        info = activity.info()
        structlog.contextvars.bind_contextvars(case_id=ask.case_id, run_id=info.workflow_run_id)
        began, outcome = time.monotonic(), "failed"
        try:
            found = await self._work(ask, clock, info.workflow_run_id or "", began)
        except NewerSnapshot as e:
            raise ApplicationError(str(e), type="NewerSnapshot", next_retry_delay=timedelta(seconds=10)) from e
        except NoSuchCase as e:
            raise ApplicationError(str(e), type="NoSuchCase", non_retryable=True) from e
        except (*DOMAIN_ERRORS, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as e:
            log.exception("step_not_understood", kind=ask.kind)
            raise ApplicationError(f"{type(e).__name__}: {e}", type="DomainError", non_retryable=True) from e
        else:
            outcome = "done"
            return found
        finally:
            self.meter.step(ask.kind, outcome, time.monotonic() - began)
            structlog.contextvars.unbind_contextvars("case_id", "run_id")

    async def _work(self, ask: Ask, clock: Clock, run_id: str, entered: float) -> NextStep:
        begun = await self.steps.begin(ask, clock, run_id)
        if isinstance(begun, NextStep):
            return begun
        channel = self.channels[begun.channel]
        if begun.found:
            settled = await self._settle_found(ask, begun, channel, clock, run_id, entered)
            # What was heard along with the retry is taken now, by a step of its own.
            anew = ask.model_copy(update={"kind": "absorb", "sequence": None})
            again = await self.steps.begin(anew, clock, run_id)
            return again if isinstance(again, NextStep) else settled
        return await self._send(ask, begun, channel, clock, run_id, entered)

    async def _settle_found(
        self, ask: Ask, sending: ToSend, channel: Channel, clock: Clock, run_id: str, entered: float
    ) -> NextStep:
        """An earlier attempt left an intent: look it up; ask the gate again before sending it."""
        key = str(sending.key)
        if channel.can_look_up:
            try:
                receipt = await channel.look_up(key)
            except OutcomeUnknown:
                return await self._unknown(ask, sending, clock, run_id)
            if receipt is not None:
                return await self._conclude(ask, sending, receipt, clock, run_id)
        elif not channel.honours_keys:
            return await self._unknown(ask, sending, clock, run_id)
        if clock() - sending.made_at > channel.keeps_keys_for:
            return await self._unknown(ask, sending, clock, run_id)
        refused = await self.steps.may_send(ask, sending, clock)
        if refused is not None:
            # Where a look-up was possible it surely has not left; else it may have, and counts.
            outcome: Outcome = "abandoned" if channel.can_look_up else "unknown"
            return await self.steps.conclude(ask, sending, outcome, refused, None, clock, run_id)
        return await self._send(ask, sending, channel, clock, run_id, entered)

    async def _send(
        self, ask: Ask, sending: ToSend, channel: Channel, clock: Clock, run_id: str, entered: float
    ) -> NextStep:
        if clock() >= sending.expires_at and not sending.found:
            return await self.steps.conclude(ask, sending, "abandoned", "expired", None, clock, run_id)
        if time.monotonic() - entered > _TOO_LATE_SECONDS:
            raise ApplicationError("this attempt is too slow to send within its time", type="TooSlow")
        dispatch = Dispatch(
            key=str(sending.key), channel=sending.channel, to=sending.text.to, text=sending.text.text,
            subject=sending.text.subject, language=sending.language, purpose=sending.purpose,
            expires_at=sending.expires_at,
        )  # fmt: skip
        try:
            receipt = await _patiently(channel, dispatch)
        except ChannelDown as e:
            if sending.found and not channel.can_look_up:
                # This attempt did not get through, but the one before it may have.
                raise ApplicationError(f"{sending.channel} is down", type="ChannelDown") from e
            # Surely not taken: the reservation is returned, the case listens meanwhile and comes back to it.
            return await self.steps.conclude(ask, sending, "abandoned", "channel_down", None, clock, run_id)
        except OutcomeUnknown as e:
            if channel.can_look_up or channel.honours_keys:
                raise ApplicationError(f"{sending.channel} did not answer", type="OutcomeUnknown") from e
            return await self._unknown(ask, sending, clock, run_id)
        return await self._conclude(ask, sending, receipt, clock, run_id)

    async def _conclude(self, ask: Ask, sending: ToSend, receipt: Receipt, clock: Clock, run_id: str) -> NextStep:
        self.meter.contact(sending.channel, receipt.state)
        return await self.steps.conclude(ask, sending, receipt.state, receipt.code, receipt.provider_id, clock, run_id)

    async def _unknown(self, ask: Ask, sending: ToSend, clock: Clock, run_id: str) -> NextStep:
        """Nobody can say whether it left: counted as made, never sent again by itself."""
        self.meter.contact(sending.channel, "unknown")
        return await self.steps.conclude(ask, sending, "unknown", "no_answer", None, clock, run_id)


async def _patiently(channel: Channel, dispatch: Dispatch) -> Receipt:
    """Send over a channel that may be down for a moment. Raises: ChannelDown when it stays so."""
    for pause in _PAUSES_WHILE_DOWN:
        try:
            return await channel.send(dispatch)
        except ChannelDown:
            log.warning("channel_down", channel=dispatch.channel, seconds=pause)
            await asyncio.sleep(pause)
    return await channel.send(dispatch)
