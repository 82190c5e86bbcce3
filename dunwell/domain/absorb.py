"""What a case makes of the messages it hears."""

import re
from calendar import monthrange
from datetime import date, datetime

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
_BAD_POINT = frozenset({"bounced", "invalid_number"})
_RESTRUCTURED_INTO = 6
# A message may come under any name, and that name may be anything.
_CODE = re.compile("[a-z_]{1,40}")


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
            _lifted(story, id, name, lifted)
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


def hold_id(case_id: str, message_id: str) -> str:
    """The id of a hold that a message placed: message ids are a case's own."""
    return f"{case_id}/{message_id}"


def hold_at_once(case_id: str, loan_id: str, id: str, said: InboundMessage, at: datetime) -> Hold | None:
    """What a person says that stops contact the moment it is known, before any case has taken it."""
    kind = _HOLDS_AT_ONCE.get(said.about)
    if kind is None:
        return None
    loan = loan_id if said.about == "dispute" else None
    return Hold(hold_id(case_id, id), kind, at, loan, said.channel if said.about == "wrong_number" else None)


def keep(story: Story, id: str, name: str, why: str) -> None:
    """A message that cannot be understood is kept, and a person is asked to look."""
    shown = name if _CODE.fullmatch(name) else "unnamed"
    story.tell(ev.MessageKept(id, shown, why))
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
    held = hold_at_once(story.state.case_id, story.state.loan_id, id, said, story.now)
    if held is not None:
        story.write(PlaceHold(held))
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
    held = hold_id(story.state.case_id, id)
    story.write(PlaceHold(Hold(held, said.hold, story.now, loan, said.channel, said.ends_on)))
    story.answer(id, True, f"held: {said.hold}")


def _lifted(story: Story, id: str, name: str, said: HoldLifted) -> None:
    """End the holds of that kind on this loan; without `loan_only` the person's own as well."""
    story.tell(ev.MessageHeard(id, name, said.hold))
    loan = story.state.loan_id
    scopes: tuple[str | None, ...] = (loan,) if said.loan_only else (None, loan)
    held = [h for h in story.facts.person.holds_on(loan, story.today) if h.kind == said.hold]
    found = [scope for scope in scopes if any(h.loan_id == scope for h in held)]
    for scope in found:
        story.write(LiftHold(said.hold, scope, story.now))
    story.answer(id, bool(found), f"{said.hold} lifted" if found else f"no {said.hold} hold is in force")


def _approval(story: Story, id: str, word: Approval) -> None:
    if story.state.approval != "asked":
        story.answer(id, False, "nothing waits for approval")
        return
    story.tell(ev.ApprovalGiven("legal", word.answer, word.by))
    if story.state.attention is not None and story.state.attention.code == "approval_overdue":
        story.tell(ev.AttentionCleared(word.by))
    story.answer(id, True, f"{word.answer} recorded")


def _decision(story: Story, id: str, said: Decision) -> None:
    if story.state.closed and said.what == "resume" and story.state.attention is not None:
        story.tell(ev.AttentionCleared(said.by))
        story.answer(id, True, "resume recorded")
        return
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
            return f"a settlement is less than the {say(there.outstanding, story.facts.money.currency)} owed"
    if said.what in ("settle", "restructure") and (said.due_on is None or said.due_on <= story.today):
        return "the first payment needs a date after today"
    if said.what == "restructure" and not there.outstanding:
        return "nothing is owed"
    if story.state.decided_ending is not None:
        return f"it was decided already: {story.state.decided_ending}"
    if said.what == "place" and story.state.placed:
        return "the case is placed already"
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
    """The same day of a later month, or that month's last one."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
