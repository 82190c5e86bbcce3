"""What may be said to a case, and what a case is asked to do. Amounts are minor units."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from dunwell.domain.codes import ArrearsReason, Channel, ContactResult, HoldKind, StepKind
from dunwell.domain.money import LARGEST

Amount = Annotated[int, Field(gt=0, le=LARGEST, strict=True)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
# Room on both sides for the sums that are made with dates.
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]
# PostgreSQL takes no NUL in a text.
Storable = Annotated[str, AfterValidator(lambda text: text.replace("\0", "\N{REPLACEMENT CHARACTER}"))]


class Message(BaseModel):
    """Anything a case can hear. Unknown keys are refused: they would be silently lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PaymentReceived(Message):
    """Money came in. `source` is the system that gave the id, never the way it came."""

    source: Id
    payment_id: Id
    value_date: Day
    amount: Amount
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class PaymentReversed(Message):
    """A booking was wrong: as if it had never been made."""

    source: Id
    payment_id: Id
    reversal_id: Id
    on: Day


class InboundMessage(Message):
    """The person wrote or called. The text itself stays in Postgres under `content_id`."""

    about: Literal[
        "question",
        "dispute",
        "complaint",
        "stop",
        "wrong_number",
        "illness",
        "lost_job",
        "cannot_pay",
        "refuses",
        "other",
    ]
    channel: Channel | None = None
    content_id: str | None = None


class ContactHeard(Message):
    """What came of an earlier contact, by its number within the case."""

    contact: Annotated[int, Field(ge=1)]
    result: ContactResult
    reason: ArrearsReason | None = None


class HoldPlaced(Message):
    """Stop. `loan_only` false: every loan of the person."""

    hold: HoldKind
    loan_only: bool = False
    channel: Channel | None = None
    ends_on: Day | None = None


class HoldLifted(Message):
    """The cause of a hold is gone."""

    hold: HoldKind
    loan_only: bool = False


class PromiseToPay(Message):
    """The person promises an amount by a date."""

    amount: Amount
    due_on: Day


class PlanAnswer(Message):
    """Yes or no to an offer; `choice` counts its options from 1."""

    answer: Literal["yes", "no"]
    choice: Annotated[int, Field(ge=1)] | None = None


class Approval(Message):
    """A person's word on what waits for approval."""

    answer: Literal["approve", "refuse"]
    by: Id


class Decision(Message):
    """An operator decides over the case."""

    what: Literal[
        "resume",
        "place",
        "recall",
        "settle",
        "restructure",
        "write_off",
        "sell",
        "hand_over",
        "withdraw",
    ]
    by: Id
    amount: Amount | None = None
    due_on: Day | None = None


class LookAgain(Message):
    """Nothing new is said; decide anew on the facts."""


NAMES: dict[str, type[Message]] = {
    "payment_received": PaymentReceived,
    "payment_reversed": PaymentReversed,
    "inbound_message": InboundMessage,
    "contact_result": ContactHeard,
    "hold_placed": HoldPlaced,
    "hold_lifted": HoldLifted,
    "promise": PromiseToPay,
    "plan_answer": PlanAnswer,
    "approval": Approval,
    "decision": Decision,
    "look_again": LookAgain,
}


class Undecodable(ValueError):
    """A message of unknown name or wrong shape; the text says which field and why."""


def decode(name: str, raw: bytes) -> Message:
    """The message of that name.

    Raises: Undecodable, without repeating values: they may be personal.
    """
    model = NAMES.get(name)
    if model is None:
        raise Undecodable("no message is called by that name")
    if b"\0" in raw or b"\\u0000" in raw:
        raise Undecodable(f"{name} does not read: it holds a NUL character")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as e:
        fields = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}" for p in e.errors())
        raise Undecodable(f"{name} does not read: {fields}") from None


class Note(BaseModel):
    """A message on its way: `raw` is its JSON when it came straight to the workflow.

    Without `raw` it is only a wake-up: what it tells is a row in Postgres already.
    """

    name: Storable
    id: Storable
    raw: str | None = None


class Answer(BaseModel):
    """What became of a message whose sender waits."""

    id: str
    accepted: bool
    says: str


class Attributes(BaseModel):
    """Search attributes of a case. Opaque or coarse: nothing personal."""

    stage: str
    oldest_unpaid_due_on: date | None
    currency: str
    jurisdiction: str
    segment: str
    holds: list[str]
    needs_attention: bool


class NextStep(BaseModel):
    """What a step gives back to its workflow. Under 2 kB."""

    kind: StepKind
    due: datetime
    reason: str
    sequence: int
    queue: str | None = None
    closed: bool = False
    details: str = ""
    attributes: Attributes | None = None
    answers: list[Answer] = []


class CaseRun(BaseModel):
    """The input of a run of the case's workflow. Fields are only ever added, optional.

    `offset` in seconds: the case's time less the server's. Zero in production.
    """

    case_id: str
    offset: float = 0.0
    inbox: list[Note] = []


class Ask(BaseModel):
    """The input of every step. `asked_at`: workflow time when it was scheduled."""

    case_id: str
    sequence: int | None
    kind: StepKind
    asked_at: datetime
    offset: float = 0.0
    heard: list[Note] = []
    why: str = ""


def to_json(message: Message) -> str:
    """The message's JSON, as it travels and as it is kept."""
    return message.model_dump_json(exclude_defaults=True)


def plain(value: Any) -> str:
    """A code as words: `too_much_debt` → `too much debt`."""
    return str(value).replace("_", " ")
