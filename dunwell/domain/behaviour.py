"""What people do in a simulation: scripted, so that a year can be lived again and again."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from dunwell.domain import events as ev
from dunwell.domain.case import CaseState
from dunwell.domain.codes import ArrearsReason, Channel, ContactResult, HoldKind
from dunwell.domain.ledger import LoanMoney, position
from dunwell.domain.messages import (
    Approval,
    ContactHeard,
    Decision,
    HoldLifted,
    HoldPlaced,
    InboundMessage,
    Message,
    PaymentReceived,
    PaymentReversed,
    PlanAnswer,
    PromiseToPay,
    to_json,
)
from dunwell.domain.money import AmountError, parse_amount
from dunwell.domain.strategy import Data

# The system that gave payments their ids, in a portfolio as in a script.
SOURCE = "core_banking"
WORDS = ("past_due", "half_past_due", "outstanding", "half_outstanding", "promised", "plan_due")
_AFTER = re.compile(r"([0-9]{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TRIGGER = {"act": {"at", "loan"}, "reaction": {"when", "where", "nth", "after", "loan"}}


T = TypeVar("T")


class ScriptError(ValueError):
    """Something in a script cannot be played: `place` in the file, what is wrong, what would do."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(f"{place}: {problem}: {remedy}")
        self.place, self.problem, self.remedy = place, problem, remedy


def _text(value: object) -> object:
    """YAML reads 5000 as a number, which is exact; 120.50 as a float, which is not money."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _yes_or_no(value: object) -> object:
    """YAML reads an unquoted yes as true."""
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


Amount = Annotated[str, BeforeValidator(_text), Field(pattern=r"^([a-z_]+|[0-9]+(\.[0-9]+)?)$")]


class Pay(Data):
    """Pay today: an amount in the loan's currency, or one of `WORDS`."""

    do: Literal["pay"]
    amount: Amount


class Reverse(Data):
    """The bank takes a payment back: the last one, or the one of that id."""

    do: Literal["reverse"]
    payment: str = "last"


class Say(Data):
    do: Literal["say"]
    about: str
    channel: Channel | None = None

    @model_validator(mode="after")
    def _known(self) -> "Say":
        InboundMessage.model_validate({"about": self.about})
        return self


class Stop(Data):
    """A hold is placed, for good or for `ends_in_days`."""

    do: Literal["hold"]
    hold: HoldKind
    loan_only: bool = False
    channel: Channel | None = None
    ends_on: date | None = None
    ends_in_days: Annotated[int, Field(ge=0)] | None = None


class Lift(Data):
    do: Literal["lift"]
    hold: HoldKind
    loan_only: bool = False


class Promise(Data):
    do: Literal["promise"]
    amount: Amount
    due_on: date | None = None
    due_in_days: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _dated(self) -> "Promise":
        if (self.due_on is None) == (self.due_in_days is None):
            raise ValueError("give either due_on or due_in_days")
        return self


class AnswerOffer(Data):
    do: Literal["answer"]
    answer: Annotated[Literal["yes", "no"], BeforeValidator(_yes_or_no)]
    choice: Annotated[int, Field(ge=1)] | None = None


class Approve(Data):
    do: Literal["approve"]
    by: str = "supervisor"


class Refuse(Data):
    do: Literal["refuse"]
    by: str = "supervisor"


class Decide(Data):
    do: Literal["decide"]
    what: Literal[
        "resume", "place", "recall", "settle", "restructure", "write_off", "sell", "hand_over", "withdraw"
    ]  # fmt: skip
    by: str = "supervisor"
    amount: Amount | None = None
    due_on: date | None = None
    due_in_days: Annotated[int, Field(ge=1)] | None = None


class Result(Data):
    """What came of a contact: the one reacted to, or of that number, or else the last one."""

    do: Literal["result"]
    result: ContactResult
    reason: ArrearsReason | None = None
    contact: Annotated[int, Field(ge=1)] | None = None


class UnknownMessage(Data):
    """Something no release understands, sent by a system of another age."""

    do: Literal["unknown_message"]
    name: str = "pigeon_post"
    raw: str = "{}"


Deed = Annotated[
    Pay | Reverse | Say | Stop | Lift | Promise | AnswerOffer | Approve | Refuse | Decide | Result | UnknownMessage,
    Field(discriminator="do"),
]
_DEED: TypeAdapter[Deed] = TypeAdapter(Deed)


class When(Data):
    """The moment of an act, local to the person."""

    at: datetime
    loan: str


class Trigger(Data):
    """What a reaction waits for: an event, perhaps with these field values, perhaps only the nth such."""

    when: str
    where: dict[str, str | int | bool] = Field(default_factory=dict)
    nth: Annotated[int, Field(ge=1)] | None = None
    after: Annotated[str, Field(pattern=f"^{_AFTER.pattern}$")]
    loan: str | None = None

    @model_validator(mode="after")
    def _known(self) -> "Trigger":
        known = ev.fields_of(self.when)
        if known is None:
            raise ValueError(f"no event is called {self.when!r}")
        strange = sorted(set(self.where) - known)
        if strange:
            raise ValueError(f"{self.when} has no {', '.join(strange)}: it has {', '.join(sorted(known))}")
        if self.delay < timedelta(minutes=1):
            raise ValueError("a reaction takes a minute at least")
        return self

    @property
    def delay(self) -> timedelta:
        """How long they take to react."""
        found = _AFTER.fullmatch(self.after)
        assert found is not None
        return timedelta(**{_UNITS[found[2]]: int(found[1])})

    def matches(self, loan_id: str, event: ev.Event) -> bool:
        """Is it this that they wait for?"""
        return (
            event.kind == self.when
            and self.loan in (None, loan_id)
            and all(getattr(event, name) == value for name, value in self.where.items())
        )


@dataclass(frozen=True, slots=True)
class Act:
    """Something a person does at a local date and time of their own."""

    at: datetime
    loan: str
    deed: Deed


@dataclass(frozen=True, slots=True)
class Reaction:
    """Something a person does because of what happened in a case."""

    trigger: Trigger
    deed: Deed


@dataclass(frozen=True, slots=True)
class Behaviour:
    """All that one person does."""

    acts: tuple[Act, ...] = ()
    reactions: tuple[Reaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Utterance:
    """A deed put into words for a case. `message` is None where no release understands it."""

    id: str
    name: str
    message: Message | None
    raw: str


def read_behaviour(place: str, told: Any, currencies: dict[str, str]) -> Behaviour:
    """One person's part of a script. `currencies`: their loans, each with its currency.

    Raises: ScriptError.
    """
    if not isinstance(told, dict) or set(told) - {"acts", "reactions"}:
        raise ScriptError(place, "not a mapping of acts and reactions", "write acts: [...] and reactions: [...]")
    acts = [_act(f"{place}.acts[{k}]", a, currencies) for k, a in enumerate(told.get("acts") or (), start=1)]
    reactions = [
        _reaction(f"{place}.reactions[{k}]", r, currencies) for k, r in enumerate(told.get("reactions") or (), start=1)
    ]
    return Behaviour(tuple(acts), tuple(reactions))


def _act(place: str, told: Any, currencies: dict[str, str]) -> Act:
    when, deed = _parts(place, told, "act")
    moment = _valid(place, TypeAdapter(When), when)
    if moment.at.tzinfo is not None or moment.at.second or moment.at.microsecond:
        raise ScriptError(f"{place}.at", f"{when['at']!r} is no local minute", "write it as 2025-03-12 10:30")
    found = _valid(place, _DEED, deed)
    _check_amount(place, found, _loans(place, moment.loan, currencies))
    return Act(moment.at, moment.loan, found)


def _reaction(place: str, told: Any, currencies: dict[str, str]) -> Reaction:
    when, deed = _parts(place, told, "reaction")
    trigger = _valid(place, TypeAdapter(Trigger), when)
    found = _valid(place, _DEED, deed)
    _check_amount(place, found, _loans(place, trigger.loan, currencies))
    return Reaction(trigger, found)


def _parts(place: str, told: Any, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(told, dict):
        raise ScriptError(
            place, f"{told!r} is no {what}", "write it as a mapping, such as {at: ..., loan: ..., do: pay}"
        )
    own = _TRIGGER[what]
    return {k: v for k, v in told.items() if k in own}, {k: v for k, v in told.items() if k not in own}


def _valid(place: str, model: TypeAdapter[T], told: Any) -> T:
    try:
        return model.validate_python(told)
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join([place, *(str(p) for p in first["loc"])])
        remedy = "see the fields of this deed in dunwell/domain/behaviour.py"
        raise ScriptError(where, f"{first['msg']} (got {first['input']!r})", remedy) from None


def _loans(place: str, loan: str | None, currencies: dict[str, str]) -> dict[str, str]:
    if loan is None:
        return currencies
    if loan not in currencies:
        raise ScriptError(f"{place}.loan", f"{loan!r} is no loan of this person", f"use one of {sorted(currencies)}")
    return {loan: currencies[loan]}


def _check_amount(place: str, deed: Deed, currencies: dict[str, str]) -> None:
    amount = getattr(deed, "amount", None)
    if amount is None or amount in WORDS:
        return
    for currency in set(currencies.values()):
        try:
            if parse_amount(amount, currency) == 0:
                raise AmountError("zero is no amount")
        except AmountError as e:
            raise ScriptError(f"{place}.amount", str(e), f"write an amount in {currency} or one of {WORDS}") from None


def speak(
    deed: Deed, deed_id: str, money: LoanMoney, state: CaseState | None, today: date, contact: int | None = None
) -> Utterance | None:
    """The message that a deed is, on this day and as the loan stands; None when there is nothing to pay or promise.

    `contact`: the number of the contact it reacts to.
    """
    if isinstance(deed, UnknownMessage):
        return Utterance(deed_id, deed.name, None, deed.raw)
    if isinstance(deed, (Pay, Promise)) and not _amount(deed.amount, money, state, today):
        return None
    name, message = _words(deed, deed_id, money, state, today, contact)
    return Utterance(deed_id, name, message, to_json(message))


def _words(
    deed: Deed, deed_id: str, money: LoanMoney, state: CaseState | None, today: date, contact: int | None
) -> tuple[str, Message]:
    match deed:
        case Pay(amount=word):
            paid = _amount(word, money, state, today)
            return "payment_received", PaymentReceived(
                source=SOURCE, payment_id=deed_id, value_date=today, amount=paid, currency=money.currency
            )
        case Promise(amount=word):
            by = _day(deed.due_on, deed.due_in_days, today) or today
            return "promise", PromiseToPay(amount=_amount(word, money, state, today), due_on=by)
        case Reverse(payment=payment):
            return "payment_reversed", _reversal(payment, deed_id, money, today)
        case Say(about=about, channel=channel):
            return "inbound_message", InboundMessage.model_validate({"about": about, "channel": channel})
        case Stop():
            ends_on = _day(deed.ends_on, deed.ends_in_days, today)
            return "hold_placed", HoldPlaced(
                hold=deed.hold, loan_only=deed.loan_only, channel=deed.channel, ends_on=ends_on
            )
        case Lift():
            return "hold_lifted", HoldLifted(hold=deed.hold, loan_only=deed.loan_only)
        case AnswerOffer():
            return "plan_answer", PlanAnswer(answer=deed.answer, choice=deed.choice)
        case Approve(by=by):
            return "approval", Approval(answer="approve", by=by)
        case Refuse(by=by):
            return "approval", Approval(answer="refuse", by=by)
        case Decide():
            amount = _amount(deed.amount, money, state, today) if deed.amount else 0
            return "decision", Decision(
                what=deed.what, by=deed.by, amount=amount or None, due_on=_day(deed.due_on, deed.due_in_days, today)
            )
        case Result():
            number = deed.contact or contact or (state.contacts_made if state else 0)
            return "contact_result", ContactHeard(contact=max(number, 1), result=deed.result, reason=deed.reason)
        case _:
            raise TypeError(f"no words for {deed!r}")


def _reversal(payment: str, deed_id: str, money: LoanMoney, today: date) -> PaymentReversed:
    made = [c for c in money.credits if c.kind == "payment" and payment in ("last", c.id)]
    if not made:
        raise ScriptError(
            deed_id, f"loan {money.loan_id} has no payment {payment!r} to reverse", "let it be paid before"
        )
    last = max(made, key=lambda c: c.value_date)
    return PaymentReversed(source=last.source, payment_id=last.id, reversal_id=deed_id, on=today)


def _day(day: date | None, in_days: int | None, today: date) -> date | None:
    return day if in_days is None else today + timedelta(days=in_days)


def _amount(word: str, money: LoanMoney, state: CaseState | None, today: date) -> int:
    """Minor units; 0 when nothing of that sort is owed, promised or planned."""
    there = position(money, today)
    match word:
        case "past_due":
            return there.past_due
        case "half_past_due":
            return -(-there.past_due // 2)
        case "outstanding":
            return there.outstanding
        case "half_outstanding":
            return -(-there.outstanding // 2)
        case "promised":
            return state.promises[-1].amount if state and state.promises else 0
        case "plan_due":
            plan = state.running_plan if state else None
            open_dues = [d.amount for k, d in enumerate(plan.dues) if k not in plan.judged] if plan else []
            return open_dues[0] if open_dues else 0
        case literal:
            return parse_amount(literal, money.currency)
