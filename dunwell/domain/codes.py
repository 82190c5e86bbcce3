"""Codes that are stored. Once stored, a code is never renamed."""

from typing import Literal, get_args

Stage = Literal[
    "pre_due",
    "reminder",
    "contact",
    "negotiation",
    "plan",
    "pre_legal",
    "legal",
    "placed",
    "closed",
]
Ending = Literal[
    "cured",
    "settled",
    "restructured",
    "paid_through_law",
    "written_off",
    "sold",
    "handed_over",
    "withdrawn",
]
StepKind = Literal[
    "assess",
    "absorb",
    "remind",
    "contact",
    "negotiate",
    "plan",
    "legal",
    "place",
    "attention",
]
GateAnswer = Literal["allow", "defer", "deny", "needs_human"]
IntentState = Literal["planned", "sent", "delivered", "failed", "abandoned", "expired", "unknown"]
Channel = Literal["sms", "email", "voice", "letter", "legal", "agency"]
ContactResult = Literal[
    "answered_right_party",
    "answered_third_party",
    "answered_then_dropped",
    "voicemail_left",
    "no_answer",
    "busy",
    "invalid_number",
    "network_failure",
    "declined",
    "accepted",
    "delivered",
    "bounced",
    "opened",
    "replied",
    "refused",
    "expired",
    "unknown",
]
ArrearsReason = Literal[
    "first_time",
    "repeat",
    "forgot",
    "partly_paid",
    "failed_debit",
    "unreachable",
    "disputed",
    "lost_income",
    "illness",
    "too_much_debt",
    "refuses",
    "timing",
    "unknown",
]
HoldKind = Literal[
    "bankruptcy_stay",
    "discharged",
    "cease_request",
    "paid_or_settled",
    "identity_theft",
    "regulator_order",
    "attorney",
    "debt_adviser",
    "deceased",
    "minor",
    "incapacitated",
    "breathing_space",
    "dispute",
    "complaint",
    "hardship_application",
    "plan_in_force",
    "litigation",
    "time_barred",
    "military",
    "disaster",
    "bereavement",
    "hospital",
    "vulnerable",
    "manual",
    "wrong_party",
    "reassigned_number",
    "opt_out",
    "in_transfer",
]

STAGES: tuple[Stage, ...] = get_args(Stage)
ENDINGS: tuple[Ending, ...] = get_args(Ending)
CHANNELS: tuple[Channel, ...] = get_args(Channel)
HOLDS: tuple[HoldKind, ...] = get_args(HoldKind)

# Steps that leave the house run on their channel's queue; the others stay on the cases' own.
LEAVES_THE_HOUSE: frozenset[StepKind] = frozenset({"remind", "contact", "negotiate", "legal", "place"})
