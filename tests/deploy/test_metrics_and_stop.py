"""Two workers at work: what the dashboard asks for exists, /readyz tells the truth, and a stop loses nothing."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import pytest
import yaml

from dunwell.domain import codes
from dunwell.intake.relay import workflow_id
from dunwell.settings import CHECKOUT
from dunwell.store.database import connect
from tests.deploy.conftest import SECRETS
from tests.deploy.installation import Installation, Running, until
from tests.deploy.portfolio import PHONE, Portfolio
from tests.deploy.queries import Selector, selectors

WORKERS = ("worker-1", "worker-2")
# What Prometheus adds to whatever it scrapes.
SCRAPED = {"up": {"job", "instance"}}


@pytest.fixture(scope="module")
async def portfolio(installation: Installation, workers: list[Running]) -> AsyncIterator[Portfolio]:
    pool = await connect(installation.superuser)
    yield await Portfolio.opened(pool, installation.temporal_address)
    await pool.close()


async def control(installation: Installation, path: str, **told: Any) -> None:
    address = f"http://127.0.0.1:{installation.port('provider', 8700)}{path}"
    token = {"authorization": f"Bearer {SECRETS['DUNWELL_PROVIDER_TOKEN']}"}
    async with httpx.AsyncClient(trust_env=False, headers=token) as http:
        (await http.post(address, json=told)).raise_for_status()


async def readiness(installation: Installation, worker: str) -> tuple[int, list[str]] | None:
    """Status and what is missing; None once nobody listens."""
    answer = await installation.answer(worker, 8080, "/readyz")
    return (answer.status_code, answer.json()["missing"]) if answer is not None else None


async def both(installation: Installation, expected: tuple[int, list[str]]) -> bool:
    return all([await readiness(installation, w) == expected for w in WORKERS])


async def test_a_contact_that_the_provider_refuses_at_first_reaches_the_person_once(
    installation: Installation, portfolio: Portfolio
) -> None:
    await control(installation, "/control/faults", chances={"busy": 1.0}, times=1)
    moving = portfolio.move_to_next_step("L1")
    await until(lambda: portfolio.sent("L1"))
    await moving
    assert await portfolio.sent("L1") == 1


async def test_readiness_fails_while_the_database_is_away_and_no_message_is_lost(
    installation: Installation, portfolio: Portfolio
) -> None:
    owner = await installation.owner()
    await owner.execute("alter role dunwell nologin")
    await owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'dunwell'")
    await until(lambda: both(installation, (503, ["database"])))
    assert (await installation.health("worker-1"))[0] == 1
    alive = await installation.answer("worker-1", 8080, "/livez")
    assert alive is not None
    assert alive.status_code == 200

    # A case that hears something meanwhile tries in vain, and tries again.
    handle = portfolio.client.get_workflow_handle(workflow_id(portfolio.case("L1")))
    await handle.signal("look_again", "by hand")
    await until(lambda: has_sample(installation, "temporal_local_activity_execution_failed"))
    await owner.execute("alter role dunwell login")

    await until(lambda: both(installation, (200, [])))
    heard = "select count(*) from message where case_id = $1 and name = 'look_again'"
    await until(lambda: portfolio.pool.fetchval(heard, portfolio.case("L1")))
    await owner.close()


async def has_sample(installation: Installation, metric: str) -> bool:
    return metric in await live_labels(installation)


async def live_labels(installation: Installation) -> dict[str, dict[str, set[str]]]:
    """Every metric on the workers' pages, with its labels and their values."""
    found: dict[str, dict[str, set[str]]] = {}
    for worker in WORKERS:
        page = await installation.answer(worker, 9090, "/metrics")
        assert page is not None
        for sample in re.finditer(r"^(\w+)(?:\{(.*)\})? \S+$", page.text, re.MULTILINE):
            labels = found.setdefault(sample[1], {})
            for name, value in re.findall(r'(\w+)="([^"]*)"', sample[2] or ""):
                labels.setdefault(name, set()).add(value)
    return found


def dashboard_queries() -> list[tuple[str, str, str]]:
    dashboard = json.loads((CHECKOUT / "deploy/grafana/dashboards/dunwell.json").read_text())
    return [(p["title"], t["expr"], t["legendFormat"]) for p in dashboard["panels"] for t in p.get("targets", [])]


def alert_queries() -> list[tuple[str, str, str]]:
    rules = yaml.safe_load((CHECKOUT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    return [(r["alert"], r["expr"], "") for r in rules]


async def test_every_query_of_dashboard_and_alerts_asks_for_metrics_and_labels_that_workers_give(
    installation: Installation, portfolio: Portfolio
) -> None:
    # A run whose argument cannot be read: its task fails until it is ended.
    stuck = await portfolio.client.start_workflow("Case", "no case", id="case-stuck", task_queue="dunwell")
    await until(lambda: has_sample(installation, "temporal_workflow_task_execution_failed"))
    await stuck.terminate()

    live = await live_labels(installation)
    wrong = [
        f"{title}: {problem}"
        for title, query, legend in dashboard_queries() + alert_queries()
        for selector in selectors(query, legend)
        for problem in problems(selector, live)
    ]

    assert wrong == []
    assert live["dunwell_cases"]["stage"] == set(codes.STAGES)


def problems(selector: Selector, live: dict[str, dict[str, set[str]]]) -> list[str]:
    if selector.metric in SCRAPED:
        return [f"{selector.metric} has no {name}" for name in selector.labels - SCRAPED[selector.metric]]
    if selector.metric not in live:
        return [f"no worker gives {selector.metric}"]
    there = live[selector.metric]
    known = set(get_args(codes.IntentState)) | {"done", "failed"}
    return [f"{selector.metric} has no {name}" for name in selector.labels - there.keys()] + [
        f"{selector.metric} has no {name}={value}"
        for name, value in selector.equal
        if name in there and value not in there[name] | known
    ]


def test_the_dashboard_shows_what_was_promised_and_each_alert_is_explained() -> None:
    titles = {title for title, _, _ in dashboard_queries()}
    assert titles >= {"Cases by stage", "Steps per second", "Step latency", "Failures per second", "Need a person"}
    assert titles >= {"Wake-ups not delivered", "Next step an hour late"}
    remedies = (CHECKOUT / "docs/trouble.md").read_text()
    assert [name for name, _, _ in alert_queries() if f"## {name}" not in remedies] == []


async def test_a_stop_lets_a_contact_end_answers_503_meanwhile_and_ends_with_status_0(
    installation: Installation, portfolio: Portfolio, workers: list[Running]
) -> None:
    await control(installation, "/control/faults", delay_before_ms=3000)
    moving = portfolio.move_to_next_step("L2")
    planned = "select count(*) from intent where case_id = $1 and state = 'planned'"
    await until(lambda: portfolio.pool.fetchval(planned, portfolio.case("L2")))

    began = time.monotonic()
    stops = [asyncio.create_task(installation.stop(w)) for w in workers]
    seen: list[tuple[int, list[str]] | None] = []
    while not all(stop.done() for stop in stops):
        seen += [await readiness(installation, w) for w in WORKERS]
        await asyncio.sleep(0.05)

    assert [stop.result() for stop in stops] == [0, 0]
    assert (503, ["draining"]) in seen
    assert time.monotonic() - began < int(installation.environment("worker-1")["DUNWELL_GRACEFUL_SECONDS"])
    assert await portfolio.sent("L2") == 1
    moving.cancel()
    with contextlib.suppress(asyncio.CancelledError, RuntimeError):
        await moving


async def test_every_log_line_is_json_names_case_and_run_and_holds_nothing_personal(
    installation: Installation, portfolio: Portfolio, workers: list[Running]
) -> None:
    lines = [json.loads(line) for w in workers for line in w.said().splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    for loan in ("L1", "L2"):
        mine = [line for line in steps if line["case_id"] == str(portfolio.case(loan))]
        assert {"assess", "remind"} <= {line["kind"] for line in mine}
        assert all(line["run_id"] for line in mine)
    down = [line for line in lines if line["event"] == "channel_down"]
    assert down
    assert all(line["case_id"] and line["run_id"] for line in down)
    whole = "".join(w.said() for w in workers)
    personal = [PHONE, "Invented", "P1@example.com", *SECRETS.values()]
    assert [told for told in personal if told in whole] == []
