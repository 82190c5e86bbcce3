"""One overdue loan, from the first sign of trouble to its end.

The workflow decides when; what and why stand in `dunwell/domain`. A timer only means "look again".
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.assess import Assess
    from activities.attention import Attend
    from activities.contact import Contact
    from activities.follow_plan import FollowPlan
    from activities.go_to_law import GoToLaw
    from activities.negotiate import Negotiate
    from activities.place import Place
    from activities.remind import Remind
    from dunwell.domain.codes import StepKind
    from dunwell.domain.messages import (
        Answer,
        Approval,
        Ask,
        Attributes,
        CaseRun,
        Decision,
        NextStep,
        Note,
        PromiseToPay,
    )

_ONCE = RetryPolicy(maximum_attempts=1)
_PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=5), non_retryable_error_types=["DomainError", "NoSuchCase"])
_SHORT, _LONG = timedelta(seconds=5), timedelta(seconds=30)
# Keeps a cold replay cheap: 0.2 ms for each event.
_EVENTS_PER_RUN = 180
# The server refuses inputs of 2 MB; a note may be 100,000 characters of whatever was signalled.
_NOTE_CHARACTERS, _INBOX_CHARACTERS = 100_000, 200_000
_UPDATE = "update/"

_STAGE = SearchAttributeKey.for_keyword("CaseStage")
_OLDEST = SearchAttributeKey.for_datetime("OldestUnpaidDueOn")
_CURRENCY = SearchAttributeKey.for_keyword("Currency")
_JURISDICTION = SearchAttributeKey.for_keyword("Jurisdiction")
_SEGMENT = SearchAttributeKey.for_keyword("Segment")
_HOLD = SearchAttributeKey.for_keyword_list("Hold")
_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")


@workflow.defn(name="Case")
class Case:
    """Waits until the next step is due or something arrives, performs it, gets the next one back."""

    @workflow.init
    def __init__(self, start: CaseRun) -> None:
        self.case_id = start.case_id
        self.offset = timedelta(seconds=start.offset)
        self.inbox = list(start.inbox)
        self.next: NextStep | None = None
        self.answers: dict[str, Answer] = {}
        self.taken = 0

    @workflow.run
    async def run(self, _start: CaseRun) -> str:
        """Every run begins with a look at the facts, and ends only with nothing left in its inbox."""
        await self.perform(self.ask("assess"))
        while True:
            await self.wait()
            if self.is_long() and self.can_be_carried() and workflow.all_handlers_finished():
                workflow.continue_as_new(
                    CaseRun(case_id=self.case_id, offset=self.offset.total_seconds(), inbox=self.inbox)
                )
            if self.next is None or self.inbox:
                await self.perform(self.ask("absorb"))
            elif self.next.closed:
                await self.answers_are_delivered()
                if not self.inbox:
                    return self.next.reason
            elif self.is_long():
                await self.answers_are_delivered()
            else:
                await self.perform(self.ask(self.next.kind))

    async def answers_are_delivered(self) -> None:
        """Until every update has its answer, or something new arrives."""
        await workflow.wait_condition(lambda: bool(self.inbox) or workflow.all_handlers_finished())

    def can_be_carried(self) -> bool:
        """Whether a new run can take the whole inbox along; a closed case needs none."""
        ended = self.next is not None and self.next.closed and not self.inbox
        return not ended and _fitting(self.inbox) == len(self.inbox)

    async def wait(self) -> None:
        """Until the next step is due, or something arrives."""
        if self.inbox or self.next is None or self.next.closed or self.is_long():
            return
        left = self.next.due - (workflow.now() + self.offset)
        if left <= timedelta(0):
            return
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: bool(self.inbox), timeout=left, timeout_summary=self.next.reason)

    def ask(self, kind: StepKind) -> Ask:
        """The input of a step, with what was heard since the last one, as far as one input can hold it."""
        fit = _fitting(self.inbox)
        heard, self.inbox = self.inbox[:fit], self.inbox[fit:]
        return Ask(
            case_id=self.case_id,
            sequence=self.next.sequence if self.next else None,
            kind=kind,
            asked_at=workflow.now(),
            offset=self.offset.total_seconds(),
            heard=heard,
        )

    async def perform(self, ask: Ask) -> None:
        """The ladder of a case. Whatever a step cannot handle puts the case before a person."""
        try:
            match ask.kind:
                case "remind":
                    found = await self.outside(Remind.remind, ask)
                case "contact":
                    found = await self.outside(Contact.make_contact, ask)
                case "negotiate":
                    found = await self.outside(Negotiate.make_offer, ask)
                case "legal":
                    found = await self.outside(GoToLaw.go_to_law, ask)
                case "place":
                    found = await self.outside(Place.place_with_agency, ask)
                case "plan":
                    found = await self.inside(FollowPlan.follow_plan, ask)
                case "attention":
                    found = await self.inside(Attend.look_at_attention, ask)
                case "absorb":
                    found = await self.inside(Assess.absorb, ask)
                case _:
                    found = await self.inside(Assess.assess, ask)
        except FailureError as failure:
            found = await workflow.execute_activity_method(
                Attend.need_attention,
                ask.model_copy(update={"why": _why(failure)}),
                start_to_close_timeout=_LONG,
                summary="something could not be handled: asks for a person",
            )
            self.answers.update({n.id: _undecided(n) for n in ask.heard if n.id.startswith(_UPDATE)})
        self.show(found)

    async def inside(self, activity: Callable[[Any, Ask], Awaitable[NextStep]], ask: Ask) -> NextStep:
        """A step that stays in the house: local, tried once; after a failure as any other step."""
        try:
            return await workflow.execute_local_activity_method(
                activity, ask, start_to_close_timeout=_SHORT, retry_policy=_ONCE, summary=self.summary(ask)
            )
        except FailureError as failure:
            if isinstance(failure, ApplicationError) and failure.non_retryable:
                raise
            return await workflow.execute_activity_method(
                activity, ask, start_to_close_timeout=_LONG, retry_policy=_PATIENT, summary=self.summary(ask)
            )

    async def outside(self, activity: Callable[[Any, Ask], Awaitable[NextStep]], ask: Ask) -> NextStep:
        """A step that leaves the house, on its channel's queue."""
        return await workflow.execute_activity_method(
            activity,
            ask,
            task_queue=self.next.queue if self.next else None,
            start_to_close_timeout=_LONG,
            retry_policy=_PATIENT,
            summary=self.summary(ask),
        )

    def summary(self, ask: Ask) -> str:
        """One line for whoever reads the history."""
        if self.next is None:
            return "looks at the facts"
        if ask.heard:
            return "hears: " + ", ".join(n.name.replace("_", " ") for n in ask.heard)[:150]
        return self.next.reason.partition(": ")[2][:200] or self.next.reason

    def show(self, found: NextStep) -> None:
        """Take over the next step, and what the case shows of itself."""
        self.next = found
        self.answers.update({a.id: a for a in found.answers})
        workflow.set_current_details(found.details)
        if found.attributes is not None:
            workflow.upsert_search_attributes(_updates(found.attributes))

    def is_long(self) -> bool:
        """Time for a fresh history."""
        info = workflow.info()
        return info.get_current_history_length() >= _EVENTS_PER_RUN or info.is_continue_as_new_suggested()

    @workflow.signal(dynamic=True)
    def hear(self, name: str, args: Sequence[RawValue]) -> None:
        """Any signal, known or not: nothing that was said to a case disappears."""
        self.taken += 1
        own_id = f"{workflow.info().run_id}/{self.taken}"
        note = _note(name, own_id, args)
        # The relay repeats a wake-up until it was seen; once in the inbox is enough.
        if all(n.id != note.id for n in self.inbox):
            self.inbox.append(note)

    @workflow.update
    async def promise(self, said: PromiseToPay) -> Answer:
        """A promise to pay; the answer says whether it is accepted, and why not."""
        return await self.answered("promise", said.model_dump_json())

    @workflow.update
    async def decide(self, said: Decision) -> Answer:
        """An operator's decision over the case."""
        return await self.answered("decision", said.model_dump_json())

    @workflow.update
    async def approve(self, said: Approval) -> Answer:
        """A person's word on a step that waits for approval."""
        return await self.answered("approval", said.model_dump_json())

    async def answered(self, name: str, raw: str) -> Answer:
        """Put it into the inbox and wait for the loop's answer."""
        info = workflow.current_update_info()
        note = Note(name=name, id=f"{_UPDATE}{info.id}" if info else name, raw=raw)
        self.inbox.append(note)
        await workflow.wait_condition(lambda: note.id in self.answers)
        return self.answers.pop(note.id)


def _note(name: str, own_id: str, args: Sequence[RawValue]) -> Note:
    """A wake-up of ours carries an id alone; anything else is kept as it came."""
    raw = b"".join(a.payload.data for a in args)
    if len(args) == 1:
        try:
            note = Note.model_validate_json(raw)
            if note.name == name:
                return note
        except ValueError:
            pass
    return Note(name=name, id=own_id, raw=raw.decode("utf-8", "backslashreplace")[:_NOTE_CHARACTERS])


def _fitting(inbox: Sequence[Note]) -> int:
    """How many of the first notes fit into one input; at least one."""
    sizes = accumulate(len(n.raw or "") for n in inbox)
    return max(sum(size <= _INBOX_CHARACTERS for size in sizes), min(len(inbox), 1))


def _undecided(note: Note) -> Answer:
    return Answer(id=note.id, accepted=False, says="kept, not decided yet: a person must look at the case first")


def _why(failure: FailureError) -> str:
    cause = failure.cause if isinstance(failure.cause, ApplicationError) else failure
    return f"{getattr(cause, 'type', None) or type(cause).__name__}: {cause}"[:300]


def _updates(a: Attributes) -> list[SearchAttributeUpdate[Any]]:
    oldest = datetime.combine(a.oldest_unpaid_due_on, time(), UTC) if a.oldest_unpaid_due_on else None
    return [
        _STAGE.value_set(a.stage),
        _CURRENCY.value_set(a.currency),
        _JURISDICTION.value_set(a.jurisdiction),
        _SEGMENT.value_set(a.segment),
        _HOLD.value_set(a.holds),
        _ATTENTION.value_set(a.needs_attention),
        _OLDEST.value_set(oldest) if oldest else _OLDEST.value_unset(),
    ]
