"""What happened in a year, counted from its journals and its ledger. Every row that is given counts something."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from dunwell.domain import events as ev
from dunwell.domain.codes import CHANNELS, ENDINGS, STAGES
from dunwell.domain.ledger import LoanMoney, position
from dunwell.domain.messages import plain
from dunwell.local.year import Year

_DAY = timedelta(days=1)
_PROMISES = ("kept", "partly_kept", "broken", "cancelled", "superseded", "open", "not_accepted")
_PLANS = ("kept", "broken", "superseded", "running")
RELIEF = ("settlement_discount", "write_off", "sale", "hand_over", "withdrawal")


@dataclass(frozen=True, slots=True)
class StageRow:
    """Cases that were in a stage during the year, and those in it at the end."""

    stage: str
    passed: int
    at_end: int


@dataclass(frozen=True, slots=True)
class ContactRow:
    """Contacts made by a channel, with what came of them, the most frequent first."""

    channel: str
    made: int
    results: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class WithheldRow:
    """Contacts that were due and not made: `answer` is the gate's."""

    answer: str
    code: str
    times: int

    @property
    def reason(self) -> str:
        """The code in words."""
        kind, _, of = self.code.partition("_")
        return {"hold": f"held: {plain(of)}", "cap": f"cap of the {plain(of)} is reached"}.get(kind, plain(self.code))


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """One currency's year, in minor units: `owed_before - collected - relief = owed - credit`.

    `came_back` counts payments that were taken back; `collected` is without them.
    """

    currency: str
    owed_before: int
    fell_due: int
    collected: int
    came_back: int
    relief: dict[str, int]
    owed: int
    past_due: int
    credit: int


@dataclass(frozen=True, slots=True)
class MoneyDay:
    """A currency on one day, in minor units; `fell_due` and `collected` since the year began."""

    on: date
    fell_due: int
    collected: int
    past_due: int


@dataclass(slots=True)
class Tallies:
    """All counts of a year that need one walk through the journals."""

    stages: list[StageRow] = field(default_factory=list)
    endings: list[tuple[str, int]] = field(default_factory=list)
    contacts: list[ContactRow] = field(default_factory=list)
    withheld: list[WithheldRow] = field(default_factory=list)
    promises: list[tuple[str, int]] = field(default_factory=list)
    offers: list[tuple[str, int]] = field(default_factory=list)
    plans: list[tuple[str, str, int]] = field(default_factory=list)
    law: list[tuple[str, int]] = field(default_factory=list)


def count(year: Year) -> Tallies:
    """Count the year."""
    return Tallies(
        stages=_stages(year),
        endings=_endings(year),
        contacts=_contacts(year),
        withheld=_withheld(year),
        promises=_promises(year),
        offers=_offers(year),
        plans=_plans(year),
        law=_law(year),
    )


def _stages(year: Year) -> list[StageRow]:
    passed = Counter(stage for case in year.cases for stage in {s for _, s in case.stages()})
    now = Counter(case.stage for case in year.cases)
    return [StageRow(s, passed[s], now[s]) for s in STAGES if passed[s] or now[s]]


def _endings(year: Year) -> list[tuple[str, int]]:
    found: Counter[str] = Counter()
    for _, entry in year.events():
        match entry.event:
            case ev.EpisodeClosed(ending="cured", opened_on=None):
                found["paid in time, after a reminder before the due date"] += 1
            case ev.EpisodeClosed(ending=ending):
                found[plain(ending)] += 1
    return _in_order(found, [*map(plain, ENDINGS), *found])


def _contacts(year: Year) -> list[ContactRow]:
    results: Counter[tuple[str, str]] = Counter()
    for case in year.cases:
        answers = {e.event.number: e.event.result for e in case.journal if isinstance(e.event, ev.ContactAnswered)}
        for _, event, _ in case.journal:
            if isinstance(event, ev.ContactMade):
                results[event.channel, answers.get(event.number, event.code)] += 1
    rows = []
    for channel in CHANNELS:
        came = [(plain(result), n) for (by, result), n in results.most_common() if by == channel]
        if came:
            rows.append(ContactRow(channel, sum(n for _, n in came), tuple(came)))
    return rows


def _withheld(year: Year) -> list[WithheldRow]:
    """The gate's own answers, and each time a hold that stops everything took the place of a contact."""
    found: Counter[tuple[str, str]] = Counter()
    for case in year.cases:
        held = told = ""
        for _, event, _ in case.journal:
            match event:
                case ev.ContactWithheld(answer=answer, code=code):
                    found[answer, code] += 1
                    told = code
                case ev.Planned(code=code):
                    if code.startswith("hold_") and code not in (held, told):
                        found["deny", code] += 1
                    held = code
    return sorted(
        (WithheldRow(answer, code, n) for (answer, code), n in found.items()),
        key=lambda r: (r.answer, -r.times, r.code),
    )


def _promises(year: Year) -> list[tuple[str, int]]:
    found: Counter[str] = Counter()
    for case in year.cases:
        verdicts: dict[int, str] = {}
        for _, event, _ in case.journal:
            match event:
                case ev.PromiseMade(number=number):
                    verdicts[number] = "open"
                case ev.PromiseJudged(number=number, verdict=verdict):
                    verdicts[number] = verdict  # a reversal judges anew
                case ev.PromiseRefused():
                    found["not_accepted"] += 1
        found.update(verdicts.values())
    return [(plain(v), n) for v, n in _in_order(found, _PROMISES)]


def _offers(year: Year) -> list[tuple[str, int]]:
    says = {"yes": "accepted", "no": "declined", "none": "not answered in time"}
    made = sum(isinstance(e.event, ev.OfferMade) for _, e in year.events())
    answered = Counter(says[e.event.answer] for _, e in year.events() if isinstance(e.event, ev.OfferAnswered))
    answered["lapsed with the case, or still open"] = made - answered.total()
    return _in_order(answered, answered)


def _plans(year: Year) -> list[tuple[str, str, int]]:
    found: Counter[tuple[str, str]] = Counter()
    for case in year.cases:
        plans: dict[int, tuple[str, str]] = {}
        for _, event, _ in case.journal:
            match event:
                case ev.PlanStarted(number=number):
                    kind = "settlement" if event.settles else "deferral" if event.deferral else "instalments"
                    plans[number] = (kind, "running")
                case ev.PlanEnded(number=number, verdict=verdict):
                    plans[number] = (plans[number][0], verdict)
        found.update(plans.values())
    kinds = ("instalments", "deferral", "settlement")
    return [(kind, plain(v), found[kind, v]) for kind in kinds for v in _PLANS if found[kind, v]]


def _law(year: Year) -> list[tuple[str, int]]:
    steps = (
        "letters before claim", "approvals asked", "approvals given", "approvals refused", "claims filed",
        "paid through law", "placed with an agency",
    )  # fmt: skip
    found: Counter[str] = Counter()
    for _, entry in year.events():
        match entry.event:
            case ev.ContactMade(purpose="statutory_notice", state="sent" | "unknown"):
                found["letters before claim"] += 1
            case ev.ApprovalAsked():
                found["approvals asked"] += 1
            case ev.ApprovalGiven(answer=answer):
                found["approvals given" if answer == "approve" else "approvals refused"] += 1
            case ev.ContactMade(purpose="court_filing", state="sent" | "unknown"):
                found["claims filed"] += 1
            case ev.EpisodeClosed(ending="paid_through_law"):
                found["paid through law"] += 1
            case ev.ContactMade(purpose="placement_notice", state="sent" | "unknown"):
                found["placed with an agency"] += 1
    return _in_order(found, steps)


def money_rows(year: Year) -> list[MoneyRow]:
    """The year of each currency."""
    return [_money_row(currency, loans, year) for currency, loans in by_currency(year)]


def by_currency(year: Year) -> list[tuple[str, list[LoanMoney]]]:
    """The loans of each currency, by its code."""
    return [(c, [m for m in year.loans if m.currency == c]) for c in sorted({m.currency for m in year.loans})]


def money_days(loans: Iterable[LoanMoney], year: Year) -> Iterator[MoneyDay]:
    """Loans of one currency through the year, week by week."""
    loans, before = list(loans), year.begins - _DAY
    due_before = sum(_due_by(m, before) for m in loans)
    for on in year.sampled_days():
        yield MoneyDay(
            on,
            fell_due=sum(_due_by(m, on) for m in loans) - due_before,
            collected=sum(_credits(m, "payment", before, on) for m in loans),
            past_due=sum(position(m, on).past_due for m in loans),
        )


def _money_row(currency: str, loans: list[LoanMoney], year: Year) -> MoneyRow:
    before = year.begins - _DAY
    at_end = [position(m, year.ends) for m in loans]
    relief = {kind: sum(_credits(m, kind, before, year.ends) for m in loans) for kind in RELIEF}
    return MoneyRow(
        currency=currency,
        owed_before=sum(position(m, before).outstanding for m in loans),
        fell_due=sum(_due_by(m, year.ends) - _due_by(m, before) for m in loans),
        collected=sum(_credits(m, "payment", before, year.ends) for m in loans),
        came_back=sum(len([on for on in m.reversed_on if before < on <= year.ends]) for m in loans),
        relief={kind: amount for kind, amount in relief.items() if amount},
        owed=sum(p.outstanding for p in at_end),
        past_due=sum(p.past_due for p in at_end),
        credit=sum(p.credit for p in at_end),
    )


def _due_by(money: LoanMoney, on: date) -> int:
    """All that has been due up to and including a day, under the schedule in force then; an instalment counts once."""
    schedule = money.schedule(on)
    return schedule.covered + sum(i.amount for i in schedule.instalments if i.due_on <= on)


def _credits(money: LoanMoney, kind: str, after: date, until: date) -> int:
    return sum(c.amount for c in money.credits if c.kind == kind and after < c.value_date <= until)


def _in_order(found: Counter[str], order: Iterable[str]) -> list[tuple[str, int]]:
    return [(what, found[what]) for what in dict.fromkeys(order) if found[what]]
