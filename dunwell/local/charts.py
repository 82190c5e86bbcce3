"""The pictures of a year. Colours are of a middle tone: they stand on light and on dark ground alike."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from textwrap import wrap

import plotly.graph_objects as go

from dunwell.domain import events as ev
from dunwell.domain.codes import CHANNELS, STAGES
from dunwell.domain.messages import plain
from dunwell.domain.money import exponent, format_amount, say
from dunwell.domain.telling import tell
from dunwell.local.tallies import MoneyDay, WithheldRow
from dunwell.local.year import CaseOfYear, Year

STAGE_COLOURS = {
    "pre_due": "#94a3b8",
    "reminder": "#5ba4cf",
    "contact": "#3f78b5",
    "negotiation": "#8f72c4",
    "plan": "#2f9e7d",
    "pre_legal": "#d9a02f",
    "legal": "#d5673c",
    "placed": "#b0517f",
    "closed": "rgba(148,163,184,0.28)",
}
_CHANNEL_COLOURS = dict(zip(CHANNELS, ("#5ba4cf", "#3f78b5", "#8f72c4", "#2f9e7d", "#d5673c", "#b0517f"), strict=True))
CHANNEL_NAMES = {
    "sms": "text message",
    "email": "e-mail",
    "voice": "telephone",
    "letter": "letter",
    "legal": "court",
    "agency": "agency",
}
_ANSWERS = {
    "defer": ("deferred", "#d9a02f"),
    "deny": ("denied", "#b0517f"),
    "needs_human": ("needs a person", "#8f72c4"),
}
_GREEN, _RED, _GREY, _BLUE, _VIOLET, _AMBER = "#2f9e7d", "#d5673c", "#94a3b8", "#3f78b5", "#8f72c4", "#d9a02f"
_LANES = ("money", "the person", "contacts", "holds", "stage")
# Marks of one day stand beside each other within their lane.
_BESIDE = (0.0, 0.3, -0.3)
_LINE = 64
_MOST_LINES = 9


def stages_over_time(year: Year) -> go.Figure:
    """Open cases by stage, at the end of every seventh day."""
    days = year.sampled_days()
    spans = [[(case.day(at), stage) for at, stage in case.stages()] for case in year.cases]
    on_day = [Counter(_stage_on(span, on) for span in spans) for on in days]
    figure = _figure(hovermode="x unified", legend={"orientation": "h", "y": -0.16, "traceorder": "normal"})
    for stage in STAGES:
        if stage == "closed" or not any(found[stage] for found in on_day):
            continue
        figure.add_scatter(
            x=days, y=[found[stage] for found in on_day], name=plain(stage), stackgroup="open", mode="lines",
            line={"width": 0.5, "color": STAGE_COLOURS[stage], "shape": "hv"}, fillcolor=STAGE_COLOURS[stage],
        )  # fmt: skip
    figure.update_yaxes(title="open cases")
    return figure


def money_over_time(days: Sequence[MoneyDay], currency: str) -> go.Figure:
    """One currency: what fell due and what was collected since the year began, and what is past due."""
    lines = (
        ("fell due", [d.fell_due for d in days], {"color": _GREY, "width": 1.5, "dash": "dot"}, None),
        ("collected", [d.collected for d in days], {"color": _GREEN, "width": 2}, "rgba(47,158,125,0.16)"),
        ("past due", [d.past_due for d in days], {"color": _RED, "width": 2}, None),
    )
    figure = _figure(hovermode="x unified", showlegend=False)
    unit: int = 10 ** exponent(currency)
    for name, amounts, line, fill in lines:
        figure.add_scatter(
            x=[d.on for d in days], y=[amount / unit for amount in amounts], name=name, mode="lines",
            line={**line, "shape": "hv"}, fill="tozeroy" if fill else None, fillcolor=fill,
            customdata=[format_amount(amount, currency) for amount in amounts],
            hovertemplate="%{customdata}",
        )  # fmt: skip
    figure.update_xaxes(nticks=4, tickformat="%b")
    figure.update_yaxes(nticks=4, rangemode="tozero", tickformat="~s")
    return figure


def contacts_by_month(year: Year) -> go.Figure:
    """Contacts made in each month, by channel."""
    made: dict[str, Counter[str]] = defaultdict(Counter)
    for case, entry in year.events():
        if isinstance(entry.event, ev.ContactMade):
            made[entry.event.channel][f"{case.day(entry.at):%Y-%m}"] += 1
    months = sorted({month for by in made.values() for month in by})
    figure = _figure(barmode="stack", legend={"orientation": "h", "y": -0.16, "traceorder": "normal"})
    for channel in CHANNELS:
        if made[channel]:
            figure.add_bar(
                x=months, y=[made[channel][month] for month in months],
                name=CHANNEL_NAMES[channel], marker={"color": _CHANNEL_COLOURS[channel]},
            )  # fmt: skip
    names = [f"{date.fromisoformat(f'{month}-01'):%b}" for month in months]
    figure.update_xaxes(type="category", tickvals=months, ticktext=names, tickangle=0)
    figure.update_yaxes(title="contacts")
    return figure


def withheld_by_reason(rows: Iterable[WithheldRow]) -> go.Figure:
    """Contacts not made, by reason; the most frequent on top."""
    ordered = sorted(rows, key=lambda r: (r.times, r.answer, r.reason))
    figure = _figure(barmode="stack", legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0})
    for answer, (name, colour) in _ANSWERS.items():
        mine = [r for r in ordered if r.answer == answer]
        if mine:
            figure.add_bar(
                x=[r.times for r in mine], y=[r.reason for r in mine], orientation="h", name=name,
                marker={"color": colour}, text=[r.times for r in mine], textposition="outside", cliponaxis=False,
            )  # fmt: skip
    figure.update_xaxes(showticklabels=False, showgrid=False)
    names = list(dict.fromkeys(r.reason for r in ordered))
    figure.update_yaxes(categoryorder="array", categoryarray=names, showgrid=False, dtick=1)
    return figure


def endings(rows: Sequence[tuple[str, int]]) -> go.Figure:
    """How episodes ended."""
    figure = _figure()
    names = ["<br>".join(wrap(name, 26)) for name, _ in reversed(rows)]
    figure.add_bar(
        x=[n for _, n in reversed(rows)], y=names, orientation="h", marker={"color": _BLUE},
        text=[n for _, n in reversed(rows)], textposition="outside", cliponaxis=False, hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(showgrid=False, dtick=1)
    return figure


def timeline(case: CaseOfYear, ends: date) -> go.Figure:
    """One case as lanes: its stages and holds as bands, what was done and said as marks, each with its words."""
    last = case.day(case.journal[-1].at)
    until = min(ends, last + timedelta(days=14))
    figure = _figure(barmode="overlay", hovermode="closest", showlegend=False, bargap=0)
    stages = case.stages()
    ends_at = [at for at, _ in stages[1:]] + [datetime.combine(until, time(23, 59), UTC)]
    held = _held(case, ends_at[-1])
    lanes = _LANES if held else tuple(lane for lane in _LANES if lane != "holds")
    for (at, stage), end in zip(stages, ends_at, strict=True):
        _band(figure, case, len(lanes) - 1, at, end, plain(stage), STAGE_COLOURS[stage])
    for at, end, kind in held:
        _band(figure, case, lanes.index("holds"), at, end, plain(kind), "rgba(213,103,60,0.8)")
    beside: Counter[tuple[str, date]] = Counter()
    for (lane, symbol, colour), found in _marks(case, ends).items():
        heights = [lanes.index(lane) + _BESIDE[beside[lane, on] % len(_BESIDE)] for on in found]
        beside.update((lane, on) for on in found)
        figure.add_scatter(
            x=[datetime.combine(on, time(12)) for on in found], y=heights, mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 11, "line": {"width": 1, "color": "rgba(255,255,255,.7)"}},
            hovertext=["<br>".join(lines[:_MOST_LINES]) for lines in found.values()], hoverinfo="text", name="",
        )  # fmt: skip
    first = case.day(case.journal[0].at) - timedelta(days=7)
    figure.update_xaxes(range=[first, until + timedelta(days=2)], type="date", tickformat="%-d %b", nticks=7)
    figure.update_yaxes(
        tickvals=list(range(len(lanes))), ticktext=list(lanes), range=[-0.6, len(lanes) - 0.4], showgrid=True
    )
    figure.update_layout(uniformtext={"minsize": 10, "mode": "hide"})
    return figure


def _figure(**layout: object) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 24, "t": 10, "b": 8}, font={"size": 13, "family": "system-ui, sans-serif"},
        hoverlabel={"align": "left", "font": {"size": 13}}, dragmode=False, **layout,
    )  # fmt: skip
    figure.update_xaxes(automargin=True, fixedrange=True, showgrid=False, zeroline=False, ticks="")
    figure.update_yaxes(automargin=True, fixedrange=True, zeroline=False, ticks="", title_standoff=8)
    return figure


def _stage_on(span: list[tuple[date, str]], on: date) -> str | None:
    reached = [stage for day, stage in span if day <= on]
    return reached[-1] if reached else None


def _band(figure: go.Figure, case: CaseOfYear, lane: int, at: datetime, end: datetime, name: str, colour: str) -> None:
    start, over = at.astimezone(case.zone).replace(tzinfo=None), end.astimezone(case.zone).replace(tzinfo=None)
    figure.add_bar(
        base=[start], x=[(over - start).total_seconds() * 1000], y=[lane], orientation="h", width=0.62,
        marker={"color": colour, "line": {"width": 0}}, text=[name], textposition="inside", insidetextanchor="middle",
        textangle=0, textfont={"color": "#ffffff" if name != "closed" else "#94a3b8", "size": 12},
        hovertext=[f"<b>{name}</b><br>{_when(start)} to {_when(over)}"], hoverinfo="text", name="",
    )  # fmt: skip


def _held(case: CaseOfYear, ends_at: datetime) -> list[tuple[datetime, datetime, str]]:
    since: dict[str, tuple[datetime, str]] = {}
    found = []
    for at, event, _ in case.journal:
        match event:
            case ev.HoldSeen(hold=id, hold_kind=kind):
                since[id] = (at, kind)
            case ev.HoldEnded(hold=id) if id in since:
                began, kind = since.pop(id)
                found.append((began, at, kind))
    return [*found, *((began, max(ends_at, began), kind) for began, kind in since.values())]


def _marks(case: CaseOfYear, ends: date) -> dict[tuple[str, str, str], dict[date, list[str]]]:
    """Marks by lane and look; those of one day are one mark."""
    found: dict[tuple[str, str, str], dict[date, list[str]]] = defaultdict(lambda: defaultdict(list))
    for at, event, _ in case.journal:
        look = _look(event)
        if look is not None:
            local = at.astimezone(case.zone)
            text = wrap(tell(event, case.currency, case.zone), _LINE)
            found[look][local.date()] += [f"<b>{local.day} {local:%b %H:%M}</b>", *(escape(t) for t in text)]
    for credit in case.money.credits:
        if credit.value_date <= ends:
            look = ("money", "triangle-up", _GREEN) if credit.kind == "payment" else ("money", "square", _VIOLET)
            what = "paid" if credit.kind == "payment" else plain(credit.kind)
            text = [f"<b>{_when(credit.value_date)}</b>", f"{what} {say(credit.amount, case.currency)}"]
            found[look][credit.value_date] += text
    for due in case.money.schedule(ends).instalments:
        if due.due_on <= ends:
            text = [f"<b>{_when(due.due_on)}</b>", f"{say(due.amount, case.currency)} due"]
            found["money", "line-ns-open", _GREY][due.due_on] += text
    return found


def _look(event: ev.Event) -> tuple[str, str, str] | None:
    """Lane, symbol and colour of an event that deserves a mark."""
    match event:
        case ev.ContactMade(purpose="statutory_notice" | "court_filing" | "placement_notice"):
            return "contacts", "star", _RED
        case ev.ContactMade(state="sent" | "unknown"):
            return "contacts", "circle", _BLUE
        case ev.ContactMade() | ev.ContactWithheld():
            return "contacts", "x", _AMBER
        case ev.ApprovalAsked() | ev.ApprovalGiven() | ev.AttentionRaised() | ev.DecisionTaken():
            return "contacts", "hexagon", _VIOLET
        case ev.OfferAnswered(answer="none"):
            return "the person", "circle-open", _GREY
        case ev.ContactAnswered() | ev.MessageHeard(name="inbound_message") | ev.MessageKept() | ev.OfferAnswered():
            return "the person", "circle", _BLUE
        case ev.PromiseMade() | ev.PlanStarted() | ev.PromiseRefused():
            return "the person", "diamond", _VIOLET
        case ev.PromiseJudged(verdict="kept") | ev.PlanEnded(verdict="kept"):
            return "the person", "diamond", _GREEN
        case ev.PromiseJudged() | ev.PlanEnded():
            return "the person", "diamond", _RED
        case _:
            return None


def _when(at: date) -> str:
    return f"{at.day} {at:%b %Y}"
