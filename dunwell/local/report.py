"""The year as one page: self-contained, for a wide screen and a phone, light and dark."""

from datetime import date
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from dunwell.domain.money import format_amount
from dunwell.local import charts
from dunwell.local.tallies import MoneyRow, Tallies, by_currency, count, money_days, money_rows
from dunwell.local.telling_cases import Telling
from dunwell.local.year import Year

_STYLE = """
:root { color-scheme: light dark; --ground:#f6f7f9; --card:#ffffff; --ink:#1e293b; --soft:#5b6779; --rule:#e2e6ec; }
@media (prefers-color-scheme: dark) {
  :root { --ground:#12161c; --card:#1b2129; --ink:#e5e9ef; --soft:#9aa6b6; --rule:#2e3743; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--ground); color:var(--ink); font:16px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size:1.7rem; margin:0; font-weight:650; letter-spacing:-0.01em; }
h2 { font-size:1.12rem; margin:0 0 .2rem; font-weight:620; }
h3 { font-size:1rem; margin:0; font-weight:620; }
p { margin:.2rem 0 .7rem; color:var(--soft); max-width: 90ch; }
section { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:1.1rem 1.1rem .8rem; margin-top:1rem; }
.figures { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(46%,200px),1fr)); gap:.7rem; margin-top:1.2rem; }
.figures div { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:.7rem .9rem; }
.figures b { display:block; font-size:1.55rem; font-weight:650; line-height:1.2; font-variant-numeric:tabular-nums; }
.figures span { color:var(--soft); font-size:.88rem; line-height:1.3; display:block; }
.halves { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr)); gap:0 1rem; align-items:start; }
.halves > *, .many > * { min-width:0; }
.many { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,235px),1fr)); gap:.6rem 1rem; }
.many h3 { font-size:.92rem; } .key { display:inline-block; width:.8em; height:.8em; border-radius:2px; margin:0 .3em 0 .9em; }
.table { overflow-x:auto; } table { border-collapse:collapse; width:100%; font-size:.92rem; font-variant-numeric:tabular-nums; }
th, td { text-align:right; padding:.32rem .6rem; border-top:1px solid var(--rule); white-space:nowrap; }
th { color:var(--soft); font-weight:500; border-top:0; } th:first-child, td:first-child { text-align:left; }
.case { border-top:1px solid var(--rule); padding-top:.9rem; margin-top:.9rem; }
code { font-size:.86rem; background:var(--ground); border:1px solid var(--rule); border-radius:5px; padding:.08rem .35rem; }
code { white-space:nowrap; }
"""
# Charts take the colours of the page, also when the reader's system turns dark, and the width of their place in it.
_DRESS = """
function dress() {
  const of = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = of('--soft'), rule = of('--rule');
  for (const chart of document.querySelectorAll('.plotly-graph-div')) Plotly.relayout(chart, {
    'font.color': ink, 'xaxis.linecolor': rule, 'yaxis.gridcolor': rule, 'xaxis.tickcolor': rule,
    'hoverlabel.bgcolor': of('--card'), 'hoverlabel.bordercolor': rule, 'hoverlabel.font.color': of('--ink') });
}
dress();
const fitting = new ResizeObserver(boxes => boxes.forEach(box => Plotly.Plots.resize(box.target)));
for (const chart of document.querySelectorAll('.plotly-graph-div')) fitting.observe(chart);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', dress);
"""
_KEEPS_TO_ITSELF = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
_FEW_ROWS = 4


def write_report(file: Path, year: Year, telling: list[Telling]) -> None:
    """Write the page; it loads nothing from anywhere."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_page(year, count(year), money_rows(year), telling), encoding="utf-8")


def _page(year: Year, tallies: Tallies, money: list[MoneyRow], telling: list[Telling]) -> str:
    parts = [
        _header(year, len(money)),
        _headlines(year, tallies),
        _section(
            "Cases by stage",
            "Cases that are open, week by week. A case that ends leaves the picture; one that is late again comes back.",
            _chart("stages", charts.stages_over_time(year), 340),
        ),
        _section("Money owed and collected", _money_legend(), _money_charts(year) + _money_table(money)),
        _section(
            "Contacts and endings",
            "What reached people, a court or an agency; what was due but not done, with the reason; how episodes ended.",
            '<div class="halves"><div><h3>Contacts made</h3>'
            + _chart("contacts", charts.contacts_by_month(year), 330)
            + "<h3>Endings</h3>"
            + _chart("endings", charts.endings(tallies.endings), _height(len(tallies.endings), 30))
            + "</div><div><h3>Contacts withheld</h3>"
            + _chart("withheld", charts.withheld_by_reason(tallies.withheld), _height(len(tallies.withheld), 24))
            + "</div></div>",
        ),
        _section("The most telling cases", _telling_legend(), "".join(_case(t, year) for t in telling)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_KEEPS_TO_ITSELF}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Dunwell: a year of {len(year.loans)} loans</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body><main>{''.join(parts)}</main>"
        f"<script>{_DRESS}</script></body></html>"
    )


def _header(year: Year, currencies: int) -> str:
    return (
        f"<header><h1>A year of {len(year.loans)} loans</h1><p>{_day(year.begins)} to {_day(year.ends)}: "
        f"{year.people} people, {currencies} currencies. "
        "Every figure comes from the journals of the cases and the ledger.</p></header>"
    )


def _headlines(year: Year, tallies: Tallies) -> str:
    promises, made = dict(tallies.promises), sum(r.made for r in tallies.contacts)
    plans = [n for _, verdict, n in tallies.plans if verdict == "kept"]
    figures = [
        (len(year.cases), f"loans with a case, of {len(year.loans)}"),
        (sum(n for _, n in tallies.endings), "episodes ended"),
        (sum(case.stage != "closed" for case in year.cases), "cases open at the end"),
        (made, "contacts made"),
        (sum(r.times for r in tallies.withheld), "contacts deferred or denied"),
        (promises.get("kept", 0), f"promises kept, of {sum(promises.values()) - promises.get('not accepted', 0)}"),
        (sum(plans), f"plans kept, of {sum(n for _, _, n in tallies.plans)}"),
        (dict(tallies.law).get("claims filed", 0), "claims filed"),
    ]
    return (
        '<div class="figures">' + "".join(f"<div><b>{n}</b><span>{says}</span></div>" for n, says in figures) + "</div>"
    )


def _money_legend() -> str:
    keys = (("#94a3b8", "fell due since the year began"), ("#2f9e7d", "collected"), ("#d5673c", "past due on the day"))
    return "Each currency on its own scale." + "".join(
        f'<span class="key" style="background:{colour}"></span>{name}' for colour, name in keys
    )


def _money_charts(year: Year) -> str:
    cells = []
    for currency, loans in by_currency(year):
        figure = charts.money_over_time(list(money_days(loans, year)), currency)
        says = f"{len(loans)} loan{'s' if len(loans) > 1 else ''}"
        cells.append(f"<div><h3>{currency} <small>{says}</small></h3>{_chart(f'money-{currency}', figure, 150)}</div>")
    return f'<div class="many">{"".join(cells)}</div>'


def _money_table(rows: list[MoneyRow]) -> str:
    heads = (
        "",
        "owed at the start",
        "fell due",
        "collected",
        "forgiven or handed on",
        "owed at the end",
        "of it past due",
    )
    lines = "".join(
        f"<tr><td>{r.currency}</td>"
        + "".join(
            f"<td>{format_amount(amount, r.currency) if amount else '–'}</td>"
            for amount in (r.owed_before, r.fell_due, r.collected, sum(r.relief.values()), r.owed, r.past_due)
        )
        + "</tr>"
        for r in rows
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _telling_legend() -> str:
    return (
        "Bands are stages and holds. Marks: ● contact or answer, ★ legal step, ✕ withheld, ⬢ a person of ours decides, "
        "◆ promise or plan (green kept, red not), ▲ payment, | instalment due. Point at a mark, or tap it, to read it."
    )


def _case(telling: Telling, year: Year) -> str:
    case = telling.case
    return (
        f'<div class="case" id="case-{escape(case.loan_id)}"><h3>Loan {escape(case.loan_id)} '
        f"<small>{escape(case.jurisdiction)}, {case.currency}</small></h3><p>{escape(telling.why)}. "
        f"<code>starter.py show {escape(case.loan_id)}</code></p>"
        + _chart(f"timeline-{case.loan_id}", charts.timeline(case, year.ends), 250)
        + "</div>"
    )


def _section(title: str, says: str, body: str) -> str:
    return f"<section><h2>{title}</h2><p>{says}</p>{body}</section>"


def _chart(id: str, figure: go.Figure, height: int) -> str:
    config = {"displayModeBar": False}
    made: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config=config, div_id=id, default_height=f"{height}px"
    )
    return made


def _height(rows: int, each: int) -> int:
    return 70 + each * max(rows, _FEW_ROWS)


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
