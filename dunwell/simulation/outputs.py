"""Journals as tables: what a replay and a simulation write."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from dunwell.domain import events as ev
from dunwell.domain.ledger import LoanMoney, position
from dunwell.domain.messages import plain
from dunwell.domain.money import format_amount
from dunwell.domain.telling import tell

HEADERS = {
    "episodes.csv": ("loan_id", "opened_on", "ended_on", "worst_days_past_due"),
    "balances.csv": ("loan_id", "outstanding", "past_due", "credit"),
    "contacts.csv": ("loan_id", "at", "channel", "direction", "purpose", "result", "reason"),
    "decisions.csv": ("loan_id", "workflow_id", "run_id", "at", "stage", "action", "reason"),
}
# What was only noted, or stands in another entry: no decision of the case.
_FACTS = (ev.ContactIntended, ev.ContactAnswered, ev.MoneyChanged, ev.MessageHeard)
Row = tuple[str, ...]


class Entry(NamedTuple):
    """One line of a journal; `run_id` is empty where no engine wrote it."""

    at: datetime
    event: ev.Event
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class LoanStory:
    """A loan with the journal of its case, empty when it never had one, and its money as it is known at the end.

    Reasons are told in `zone`, the person's.
    """

    money: LoanMoney
    journal: Sequence[Entry] = ()
    workflow_id: str = ""
    zone: tzinfo = UTC

    @property
    def loan_id(self) -> str:
        return self.money.loan_id


class Tables:
    """Collects the rows of many loans, then writes them in the order of the loans' ids."""

    def __init__(self, as_of: date) -> None:
        self._as_of = as_of
        self._rows: dict[str, dict[str, list[Row]]] = {name: {} for name in HEADERS}

    def add(self, loan: LoanStory) -> None:
        """Take a loan in; its journal is not needed any more then."""
        found: Mapping[str, Iterable[Row]] = {
            "episodes.csv": episodes(loan),
            "balances.csv": [balance(loan, self._as_of)],
            "contacts.csv": contacts(loan),
            "decisions.csv": decisions(loan),
        }
        for name, rows in found.items():
            self._rows[name][loan.loan_id] = list(rows)

    def write(self, out: Path) -> None:
        """The four files, into a folder that is made if need be."""
        out.mkdir(parents=True, exist_ok=True)
        for name, header in HEADERS.items():
            with (out / name).open("w", encoding="utf-8", newline="") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow(header)
                for loan_id in sorted(self._rows[name]):
                    lines.writerows(self._rows[name][loan_id])


def episodes(loan: LoanStory) -> Iterator[Row]:
    """The late episodes as the case saw them. A correction of money that reaches back replaces what it changed."""
    found: dict[date, tuple[date | None, int]] = {}
    opened: date | None = None
    for entry in loan.journal:
        match entry.event:
            case ev.EpisodeOpened(opened_on=on, dpd=dpd):
                found = {start: rest for start, rest in found.items() if start < on}
                opened, found[on] = on, (None, dpd)
            case ev.EpisodeClosed(opened_on=date(), ended_on=ended_on, worst_dpd=worst) if opened is not None:
                found[opened], opened = (ended_on, worst), None
            case ev.Planned(worst_dpd=worst) if opened is not None:
                found[opened] = (None, worst)
    for start, (end, worst) in sorted(found.items()):
        if end == start:
            continue  # paid on the day it began: no day ended with it
        yield loan.loan_id, start.isoformat(), end.isoformat() if end else "", str(worst)


def balance(loan: LoanStory, as_of: date) -> Row:
    """What is owed at the end of the last business date."""
    there, currency = position(loan.money, as_of), loan.money.currency
    amounts = (there.outstanding, there.past_due, there.credit)
    return loan.loan_id, *(format_amount(amount, currency) for amount in amounts)


def contacts(loan: LoanStory) -> Iterator[Row]:
    """What reached or should have reached the person, what they said, and what was withheld; each with its reason."""
    answers = {e.event.number: e.event for e in loan.journal if isinstance(e.event, ev.ContactAnswered)}
    why = ""
    for at, event, _ in loan.journal:
        when = instant(at)
        match event:
            case ev.Planned():
                why = event.why
            case ev.ContactMade():
                answer = answers.get(event.number)
                result = answer.result if answer else event.code
                said = f" ({plain(answer.reason)})" if answer and answer.reason else ""
                yield loan.loan_id, when, event.channel, "outbound", event.purpose, result, why + said
            case ev.ContactWithheld():
                yield loan.loan_id, when, event.channel, "outbound", event.step, event.answer, event.why
            case ev.MessageHeard(name="inbound_message"):
                yield loan.loan_id, when, "", "inbound", event.about, "heard", plain(event.about)
            case ev.MessageKept():
                yield loan.loan_id, when, "", "inbound", event.name, "kept", event.why


def decisions(loan: LoanStory) -> Iterator[Row]:
    """What was decided, at which stage, and why in words."""
    stage = "pre_due"
    for at, event, run_id in loan.journal:
        stage = stage_after(stage, event)
        if not isinstance(event, _FACTS):
            action = f"planned_{event.step_kind}" if isinstance(event, ev.Planned) else event.kind
            reason = tell(event, loan.money.currency, loan.zone)
            yield loan.loan_id, loan.workflow_id, run_id, instant(at), stage, action, reason


def instant(at: datetime) -> str:
    """`2025-03-12T09:30:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stage_after(stage: str, event: ev.Event) -> str:
    """The stage of a case after one more event."""
    match event:
        case ev.EpisodeOpened():
            return "reminder"
        case ev.StageEntered():
            return event.stage
        case ev.PlanStarted():
            return "plan"
        case ev.EpisodeClosed():
            return "closed"
        case _:
            return stage
