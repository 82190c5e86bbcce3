"""What a case makes of the messages it hears."""

from datetime import date

from dunwell.domain import events as ev
from dunwell.domain.agreements import start_plan, take_plan_answer, take_promise
from dunwell.domain.codes import HoldKind
from dunwell.domain.facts import (
    LiftHold,
    LosePoint,
    PlaceHold,
    PostCredit,
    Reschedule,
    ReverseCredit,
)
from dunwell.domain.ledger import Credit, CreditKind, Instalment
from dunwell.domain.messages import (
    Approval,
    ContactHeard,
    Decision,
    HoldLifted,
    HoldPlaced,
    InboundMessage,
    LookAgain,
    Message,
    PaymentReceived,
    PaymentReversed,
    PlanAnswer,
    PromiseToPay,
)
from dunwell.domain.money import say, split
from dunwell.domain.person import Hold
from dunwell.domain.story import Story

# What a person says may stop contact at once; a person of ours decides later.
_HOLDS_AT_ONCE: dict[str, HoldKind] = {
    "dispute": "dispute",
    "complaint": "complaint",
    "stop": "cease_request",
    "wrong_number": "wrong_party",
    "illness": "hospital",
}
_REASONS = {
    "dispute": "disputed",
    "illness": "illness",
    "lost_job": "lost_income",
    "cannot_pay": "too_much_debt",
    "refuses": "refuses",
}
_RELIEF: dict[str, CreditKind] = {
    "write_off": "write_off",
    "sell": "sale",
    "hand_over": "hand_over",
    "withdraw": "withdrawal",
}
_BAD_POINT = frozenset({"bounced", "invalid_number", "answered_third_party"})
_RESTRUCTURED_INTO = 6


def absorb(story: Story, id: str, name: str, message: Message) -> None:
    """Take one message. Each kind ends in events, perhaps writes, and an answer."""
    match message:
        case PaymentReceived() as paid:
            _payment(story, id, paid)
        case PaymentReversed() as back:
            story.tell(ev.MessageHeard(id, name, "reversal"))
            story.write(ReverseCredit(back.source, back.payment_id, back.reversal_id, back.on))
            story.answer(id, True, "reversed")
        case InboundMessage() as said:
            _inbound(story, id, name, said)
        case ContactHeard() as heard:
            _contact_result(story, id, heard)
        case HoldPlaced() as hold:
            _hold(story, id, name, hold)
        case HoldLifted() as lifted:
            story.tell(ev.MessageHeard(id, name, lifted.hold))
            loan = story.state.loan_id if lifted.loan_only else None
            story.write(LiftHold(lifted.hold, loan, story.now))
            story.answer(id, True, f"{lifted.hold} lifted")
        case PromiseToPay() as promise:
            story.tell(ev.MessageHeard(id, name, "promise"))
            take_promise(story, id, promise)
        case PlanAnswer() as answer:
            story.tell(ev.MessageHeard(id, name, "plan_answer"))
            take_plan_answer(story, id, answer)
        case Approval() as word:
            _approval(story, id, word)
        case Decision() as decision:
            _decision(story, id, decision)
        case LookAgain():
            story.answer(id, True, "looked again")


def keep(story: Story, id: str, name: str, why: str) -> None:
    """A message that cannot be understood is kept, and a person is asked to look."""
    story.tell(ev.MessageKept(id, name, why))
    story.tell(ev.AttentionRaised("message_not_understood", why))
    story.answer(id, False, why)


def _payment(story: Story, id: str, paid: PaymentReceived) -> None:
    currency = story.facts.money.currency
    if paid.currency != currency:
        keep(story, id, "payment_received", f"a payment in {paid.currency} on a loan in {currency}")
        return
    story.tell(ev.MessageHeard(id, "payment_received", "payment"))
    story.write(PostCredit(Credit(paid.source, paid.payment_id, paid.value_date, paid.amount)))
    story.answer(id, True, f"posted: {say(paid.amount, currency)} of {paid.value_date}")


def _inbound(story: Story, id: str, name: str, said: InboundMessage) -> None:
    story.tell(ev.MessageHeard(id, name, said.about))
    reason = _REASONS.get(said.about)
    if reason is not None:
        story.tell(ev.ReasonAnalysed(reason, confirmed=True))
    kind = _HOLDS_AT_ONCE.get(said.about)
    if kind is not None:
        loan = story.state.loan_id if said.about == "dispute" else None
        channel = said.channel if said.about == "wrong_number" else None
        story.write(PlaceHold(Hold(id, kind, story.now, loan, channel)))
    story.answer(id, True, f"heard: {said.about}")


def _contact_result(story: Story, id: str, heard: ContactHeard) -> None:
    if heard.contact > story.state.contacts_made:
        keep(story, id, "contact_result", f"the case has made no contact number {heard.contact}")
        return
    story.tell(ev.ContactAnswered(heard.contact, heard.result, heard.reason))
    if heard.reason:
        story.tell(ev.ReasonAnalysed(heard.reason, confirmed=True))
    made = next((d for d in story.state.contacts if d.number == heard.contact), None)
    if made is not None and heard.result in _BAD_POINT:
        story.tell(ev.PointFailed(made.channel, heard.result))
        story.write(LosePoint(made.channel))
    story.answer(id, True, f"recorded: {heard.result}")


def _hold(story: Story, id: str, name: str, said: HoldPlaced) -> None:
    story.tell(ev.MessageHeard(id, name, said.hold))
    loan = story.state.loan_id if said.loan_only else None
    story.write(PlaceHold(Hold(id, said.hold, story.now, loan, said.channel, said.ends_on)))
    story.answer(id, True, f"held: {said.hold}")


def _approval(story: Story, id: str, word: Approval) -> None:
    if story.state.approval != "asked":
        story.answer(id, False, "nothing waits for approval")
        return
    story.tell(ev.ApprovalGiven("legal", word.answer, word.by))
    if story.state.attention is not None and story.state.attention.code == "approval_overdue":
        story.tell(ev.AttentionCleared(word.by))
    story.answer(id, True, f"{word.answer} recorded")


def _decision(story: Story, id: str, said: Decision) -> None:
    if story.state.closed:
        story.answer(id, False, f"the case is closed: {story.state.ending}")
        return
    refusal = _decision_refusal(story, said)
    if refusal:
        story.answer(id, False, refusal)
        return
    story.tell(ev.DecisionTaken(said.what, said.by, said.amount, said.due_on))
    if story.state.attention is not None:
        story.tell(ev.AttentionCleared(said.by))
    there = story.position
    relief = _RELIEF.get(said.what)
    if relief is not None and there.outstanding:
        credit = Credit(
            "dunwell", f"{story.state.case_id}/{said.what}/{story.state.episode}",
            story.today, there.outstanding, relief,
        )  # fmt: skip
        story.write(PostCredit(credit))
    if said.what == "settle" and said.amount is not None and said.due_on is not None:
        dues = (ev.Due(said.due_on, said.amount),)
        start_plan(story, dues, deferral=False, settles=there.outstanding - said.amount)
    if said.what == "restructure" and said.due_on is not None:
        story.write(Reschedule(story.today, _new_instalments(story, said)))
    story.answer(id, True, f"{said.what} recorded")


def _decision_refusal(story: Story, said: Decision) -> str | None:
    there = story.position
    if said.what == "settle":
        if said.amount is None or said.due_on is None:
            return "a settlement needs an amount and a date"
        if not 0 < said.amount < there.outstanding:
            return f"a settlement is less than the {there.outstanding} minor units owed"
    if said.what in ("settle", "restructure") and (said.due_on is None or said.due_on <= story.today):
        return "the first payment needs a date after today"
    if said.what == "restructure" and not there.outstanding:
        return "nothing is owed"
    if said.what == "recall" and not story.state.placed:
        return "the case is not placed"
    return None


def _new_instalments(story: Story, said: Decision) -> tuple[Instalment, ...]:
    """What is unpaid, in six monthly instalments from the agreed date on."""
    first = said.due_on or story.today
    schedule = story.facts.money.schedule(story.today)
    last = max(i.number for i in schedule.instalments)
    there = story.position
    parts = split(there.outstanding, [1] * min(_RESTRUCTURED_INTO, there.outstanding))
    return tuple(Instalment(last + k + 1, _months_after(first, k), part) for k, part in enumerate(parts))


def _months_after(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return day.replace(year=day.year + years, month=month + 1, day=min(day.day, 28))
