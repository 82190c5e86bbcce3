"""The page of a year stands alone and shows what it promises."""

from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dunwell.catalogue import load_book
from dunwell.domain.case import case_id_of
from dunwell.intake.portfolio import read_portfolio
from dunwell.local.report import write_report
from dunwell.local.telling_cases import Telling, most_telling
from dunwell.local.year import CaseOfYear, Year
from dunwell.simulation.outputs import Entry
from dunwell.simulation.run import live

PORTFOLIO = Path(__file__).with_name("portfolio")


class Page(HTMLParser):
    """Everything by which a page could ask for something elsewhere, and the ids on it."""

    def __init__(self) -> None:
        super().__init__()
        self.asks: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.asks += [(tag, told[name]) for name in ("src", "href", "srcset", "data", "action") if name in told]
        self.ids += [told["id"]] if "id" in told else []
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"]


def lived() -> Year:
    portfolio, _ = read_portfolio(PORTFOLIO)
    book, loans, cases = load_book(PORTFOLIO.parents[2]), [], []
    for file in portfolio.people():
        world = live(file, book, None, portfolio.as_of)
        loans += list(world.money.values())
        for loan_id, case in world.cases.items():
            cases.append(
                CaseOfYear(
                    case_id_of(loan_id), loan_id, file.customer.customer_id, file.customer.jurisdiction, file.zone,
                    world.money[loan_id].currency, case.stage, None, world.money[loan_id],
                    tuple(Entry(at, event) for at, event in world.journals[loan_id]),
                )
            )  # fmt: skip
    return Year(portfolio.as_of - timedelta(days=364), portfolio.as_of, 5, tuple(loans), tuple(cases))


@pytest.fixture(scope="module")
def told() -> tuple[Year, list[Telling]]:
    year = lived()
    return year, most_telling(year)


@pytest.fixture(scope="module")
def page(told: tuple[Year, list[Telling]], tmp_path_factory: pytest.TempPathFactory) -> Page:
    file = tmp_path_factory.mktemp("report") / "report.html"
    write_report(file, *told)
    found = Page()
    found.feed(file.read_text(encoding="utf-8"))
    return found


def test_the_page_asks_nobody_for_anything_and_forbids_it(page: Page) -> None:
    assert page.asks == []
    assert "default-src 'none'" in page.policy


def test_each_telling_case_has_its_timeline(page: Page, told: tuple[Year, list[Telling]]) -> None:
    assert len(told[1]) == 5
    for telling in told[1]:
        assert f"case-{telling.case.loan_id}" in page.ids
        assert f"timeline-{telling.case.loan_id}" in page.ids


def test_every_picture_of_the_year_is_there(page: Page) -> None:
    assert {"stages", "contacts", "withheld", "endings", "money-EUR", "money-JPY", "money-KWD"} <= set(page.ids)


def test_the_days_of_a_case_are_those_of_its_person(told: tuple[Year, list[Telling]]) -> None:
    far = next(case for case in told[0].cases if case.loan_id == "T4")
    assert far.zone == ZoneInfo("Asia/Tokyo")
    assert far.day(far.journal[0].at) == far.journal[0].at.astimezone(far.zone).date()
