"""Whatever people do, their cases keep to the rules. Lives are made up; the book is the one we ship."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunwell.catalogue import load_book
from dunwell.domain import events as ev
from dunwell.domain.behaviour import Behaviour, read_behaviour
from dunwell.domain.case import fold
from dunwell.domain.codes import HOLDS
from dunwell.domain.ledger import Instalment, episodes
from dunwell.domain.portfolio import Customer, LoanFile, PersonFile
from dunwell.simulation import outputs
from dunwell.simulation.outputs import Entry, LoanStory
from dunwell.simulation.run import live
from dunwell.simulation.world import PersonsWorld

BOOK = load_book(Path(__file__).parents[2])
BEGIN, END = date(2025, 1, 1), date(2025, 9, 30)
LOANS = ("L1", "L2")

moments = st.integers(0, 270 * 24 * 60).map(
    lambda n: (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=n)).strftime("%Y-%m-%d %H:%M")
)
amounts = st.sampled_from(["past_due", "half_past_due", "outstanding", "promised", "plan_due", "17.50"])
deeds = st.one_of(
    st.builds(lambda a: {"do": "pay", "amount": a}, amounts),
    st.sampled_from(["question", "dispute", "complaint", "wrong_number", "illness", "lost_job", "refuses"]).map(
        lambda about: {"do": "say", "about": about}
    ),
    st.builds(lambda a, d: {"do": "promise", "amount": a, "due_in_days": d}, amounts, st.integers(0, 20)),
    st.builds(
        lambda a, c: {"do": "answer", "answer": a, "choice": c}, st.sampled_from(["yes", "no"]), st.integers(1, 3)
    ),
    st.builds(
        lambda h, d: {"do": "hold", "hold": h, "ends_in_days": d, "channel": "sms"},
        st.sampled_from(HOLDS),
        st.one_of(st.none(), st.integers(1, 40)),
    ),
    st.sampled_from(HOLDS).map(lambda hold: {"do": "lift", "hold": hold}),
    st.sampled_from(["approve", "refuse", "unknown_message"]).map(lambda do: {"do": do}),
    st.sampled_from(["resume", "place", "recall", "write_off", "sell", "hand_over", "withdraw"]).map(
        lambda what: {"do": "decide", "what": what}
    ),
    st.just({"do": "decide", "what": "settle", "amount": "half_outstanding", "due_in_days": 10}),
    st.just({"do": "decide", "what": "restructure", "due_in_days": 20}),
    st.sampled_from(["answered_right_party", "no_answer", "bounced", "invalid_number"]).map(
        lambda result: {"do": "result", "result": result}
    ),
)
reactions = st.builds(
    lambda when, nth, after, deed: {"when": when, "nth": nth, "after": after, **deed},
    st.sampled_from(["contact_made", "offer_made", "approval_asked", "attention_raised", "promise_judged"]),
    st.integers(1, 3),
    st.sampled_from(["10m", "5h", "3d"]),
    deeds.filter(lambda d: d.get("amount") != "17.50"),
)
acts = st.builds(lambda at, loan, deed: {"at": at, "loan": loan, **deed}, moments, st.sampled_from(LOANS), deeds)


@st.composite
def lives(draw: st.DrawFn) -> PersonFile:
    told = {"acts": draw(st.lists(acts, max_size=8)), "reactions": draw(st.lists(reactions, max_size=5))}
    zone = draw(st.sampled_from(["Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", None]))
    loans = tuple(_loan(loan_id, draw(st.integers(1, 28)), draw(st.integers(1, 5))) for loan_id in LOANS)
    behaviour: Behaviour = read_behaviour("people.C1", told, dict.fromkeys(LOANS, "EUR"))
    return PersonFile(
        Customer("C1", "Invented", "de", "DE", zone, "+493023125000", "c1@example.com"), loans, behaviour=behaviour
    )


def _loan(loan_id: str, day: int, instalments: int) -> LoanFile:
    dues = tuple(Instalment(n, date(2025, n + 1, day), 10000) for n in range(1, instalments + 1))
    return LoanFile(loan_id, "C1", "consumer_loan", "EUR", dues)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives())
def test_every_life_keeps_to_the_rules(person: PersonFile) -> None:
    world = live(person, BOOK, BEGIN, END)
    _a_case_is_the_fold_of_its_journal(world)
    for journal in world.journals.values():
        _nothing_is_done_in_a_closed_case(journal)
        _time_never_goes_back(journal)
    _every_open_case_has_a_next_step(world)
    _journals_tell_the_episodes_that_the_money_tells(world)
    _contacts_keep_to_hours_and_caps(world, person.customer.time_zone)


def _a_case_is_the_fold_of_its_journal(world: PersonsWorld) -> None:
    for loan_id, state in world.cases.items():
        assert fold(state.case_id, loan_id, "C1", world.journals[loan_id]) == state


def _nothing_is_done_in_a_closed_case(journal: list[tuple[datetime, ev.Event]]) -> None:
    closed = False
    for _, event in journal:
        if isinstance(event, ev.EpisodeClosed):
            closed = True
        elif isinstance(event, (ev.EpisodeOpened, ev.StageEntered)):
            closed = False
        assert not (closed and isinstance(event, (ev.ContactIntended, ev.Planned, ev.OfferMade, ev.ApprovalAsked)))


def _time_never_goes_back(journal: list[tuple[datetime, ev.Event]]) -> None:
    instants = [at for at, _ in journal]
    assert instants == sorted(instants)


def _every_open_case_has_a_next_step(world: PersonsWorld) -> None:
    for state in world.cases.values():
        assert state.closed == (state.next is None)
        if state.next is not None and state.last_at is not None:
            assert state.next.due > state.last_at
            assert state.next.reason


def _journals_tell_the_episodes_that_the_money_tells(world: PersonsWorld) -> None:
    for loan_id, money in world.money.items():
        journal = [Entry(at, event) for at, event in world.journals.get(loan_id, ())]
        told = list(outputs.episodes(LoanStory(money, journal)))
        assert told == [
            (loan_id, str(e.opened_on), str(e.ended_on or ""), str(e.worst_dpd)) for e in episodes(money, END)
        ]


def _contacts_keep_to_hours_and_caps(world: PersonsWorld, zone: str | None) -> None:
    made = sorted(
        at
        for journal in world.journals.values()
        for at, event in journal
        if isinstance(event, ev.ContactIntended) and event.channel not in ("legal", "agency")
    )
    if zone is None:
        assert not made
        return
    local = [at.astimezone(ZoneInfo(zone)) for at in made]
    assert all(at.strftime("%a") != "Sun" and 8 <= at.hour < 19 for at in local)
    dates = [at.date() for at in local]
    assert len(set(dates)) == len(dates)
    assert all((later - first).days >= 7 for first, later in zip(dates, dates[3:], strict=False))
