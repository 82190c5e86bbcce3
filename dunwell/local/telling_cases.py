"""Which cases tell most of a year: together they show what happened, the rare things first."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from dunwell.domain import events as ev
from dunwell.domain.messages import plain
from dunwell.local.year import CaseOfYear, Year

_BY = {"sms": "text message", "email": "e-mail", "voice": "telephone", "letter": "letter"}
_DECIDED = {
    "place": "was placed with an agency",
    "recall": "was called back from the agency",
    "restructure": "was restructured",
    "write_off": "was written off",
    "sell": "was sold",
    "hand_over": "was handed over",
    "withdraw": "was withdrawn",
}
# One case that goes through many things tells more than one with a single rare thing.
_VARIETY = 0.1
_LONGEST = 9


@dataclass(frozen=True, slots=True)
class Telling:
    """A case worth reading, and why in one line."""

    case: CaseOfYear
    why: str


def most_telling(year: Year, most: int = 5) -> list[Telling]:
    """Cases that together show as much as possible; each next one is chosen for what the others do not show."""
    themes = {case.loan_id: list(dict.fromkeys(_themes(case))) for case in year.cases}
    often = Counter(kind for found in themes.values() for kind in {_kind(theme) for theme in found})
    left, shown, chosen = list(year.cases), set[str](), list[Telling]()
    while left and len(chosen) < most:
        best = max(left, key=lambda c: _worth(themes[c.loan_id], shown, often))
        left.remove(best)
        shown.update(map(_kind, themes[best.loan_id]))
        chosen.append(Telling(best, _sentence(themes[best.loan_id]) + _at_worst(best)))
    return chosen


def _worth(themes: list[str], shown: set[str], often: Counter[str]) -> float:
    kinds = {_kind(theme) for theme in themes}
    return _VARIETY * len(kinds) + sum(1 / sqrt(often[kind]) for kind in kinds - shown)


def _kind(theme: str) -> str:
    """Twenty kinds of hold are one thing to show; so are the reasons that people name."""
    return theme.partition(" (")[0]


def _at_worst(case: CaseOfYear) -> str:
    worst = max(
        (e.event.worst_dpd for e in case.journal if isinstance(e.event, (ev.Planned, ev.EpisodeClosed))), default=0
    )
    return f"; at worst {worst} days past due" if worst else ""


def _sentence(themes: list[str]) -> str:
    if not themes:
        return "was opened and is being worked"
    if len(themes) > _LONGEST:
        return f"{', '.join(themes[: _LONGEST - 3])} … {', '.join(themes[-3:])}"
    return themes[0] if len(themes) == 1 else f"{', '.join(themes[:-1])} and {themes[-1]}"


def _themes(case: CaseOfYear) -> Iterator[str]:
    """What happened in the case, in its order, in the words of the line that tells why it is worth reading."""
    judged: dict[int, str] = {}
    if not case.zone.utcoffset(None) and case.attention == "zone_unknown":
        yield "lives in a place that nobody knows"
    for _, event, _ in case.journal:
        match event:
            case ev.PromiseJudged(number=number, verdict=verdict):
                if judged.get(number, verdict) != verdict:
                    yield "a payment that had kept a promise was taken back"
                judged[number] = verdict
        yield from _theme(event)
    if case.money.reversed_on:
        yield "a payment was taken back"


def _theme(event: ev.Event) -> Iterator[str]:
    match event:
        case ev.EpisodeOpened(number=number) if number > 1:
            yield "was late again"
        case ev.ContactMade():
            yield from _contact(event)
        case ev.ContactAnswered(result="answered_third_party"):
            yield "somebody else answered"
        case ev.PointFailed(channel=channel):
            yield f"could not be reached by {_BY.get(channel, channel)} any more"
        case ev.ReasonAnalysed(confirmed=True, reason=reason):
            yield "refused to pay" if reason == "refuses" else f"named a reason ({plain(reason)})"
        case ev.MessageKept():
            yield "a message came that nobody could read"
        case ev.HoldSeen(hold_kind=kind):
            yield f"was held ({plain(kind)})"
        case ev.AttentionRaised(code=code) if code != "message_not_understood":
            yield f"needed a person ({plain(code)})"
        case ev.EpisodeClosed(ending="cured", opened_on=None):
            yield "was paid in time after a reminder"
        case ev.EpisodeClosed(ending=ending) if ending not in ("sold", "written_off", "handed_over", "withdrawn"):
            yield f"was {plain(ending)}"
        case _:
            yield from _agreement(event)


def _contact(event: ev.ContactMade) -> Iterator[str]:
    match event.purpose:
        case "first_contact":
            yield "was asked for the reason"
        case "statutory_notice":
            yield "got the letter before claim"
        case "court_filing":
            yield "was taken to court"


def _agreement(event: ev.Event) -> Iterator[str]:
    match event:
        case ev.PromiseJudged(verdict=verdict) if verdict != "cancelled":
            yield {"superseded": "replaced a promise", "broken": "broke a promise"}.get(
                verdict, f"{plain(verdict)} a promise"
            )
        case ev.PromiseRefused():
            yield "made a promise that was not accepted"
        case ev.OfferAnswered(answer="no"):
            yield "declined an offer"
        case ev.OfferAnswered(answer="none"):
            yield "left an offer unanswered"
        case ev.PlanStarted(settles=settles, deferral=deferral):
            yield f"agreed to a {'settlement' if settles else 'deferral' if deferral else 'plan of instalments'}"
        case ev.PlanEnded(verdict=verdict) if verdict != "superseded":
            yield f"{verdict} the plan".replace("broken", "broke")
        case ev.ApprovalGiven(answer="refuse"):
            yield "a person refused the claim"
        case ev.DecisionTaken(what=what) if what in _DECIDED:
            yield _DECIDED[what]
