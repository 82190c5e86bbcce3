"""worker.py by itself: what it refuses to start with, which queues it serves, how a new version takes over."""

import asyncio
import json
import os
import re
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.history.v1 import WorkflowTaskCompletedEventAttributes
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from dunwell.catalogue import load_book
from dunwell.domain.case import case_id_of
from dunwell.domain.ledger import Instalment
from dunwell.intake.importing import NewLoan, NewPerson, import_loans, import_people
from dunwell.intake.relay import workflow_id
from dunwell.local.postgres import EmbeddedPostgres
from dunwell.local.processes import free_port
from dunwell.local.temporal_server import TemporalServer, register_search_attributes
from dunwell.settings import CHECKOUT, SettingsError, load, unknown_variables
from dunwell.store import cases
from dunwell.store.database import connect, migrate
from dunwell.store.sealing import Personal
from tests.deploy.installation import until

SECRET = "hunter2"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of ours but the database's."""
    for name in [n for n in os.environ if n.startswith("DUNWELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DUNWELL_DATABASE_URL", "postgresql://dunwell@localhost/dunwell")
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DUNWELL_DATABASE_URL", "", "DUNWELL_DATABASE_URL: is not set"),
        ("DUNWELL_DATABASE_URL", f"mysql://u:{SECRET}@h/d", "DUNWELL_DATABASE_URL: should look like postgresql://"),
        ("DUNWELL_DATABASE_POOL", "ten", "DUNWELL_DATABASE_POOL=ten: "),
        ("DUNWELL_PROVIDER_URL", f"https://u:{SECRET}@h", "DUNWELL_PROVIDER_URL: holds a password"),
        ("DUNWELL_PROVIDER_URL", "provider", "DUNWELL_PROVIDER_URL: should look like https://"),
        ("DUNWELL_TASK_QUEUES", "cases,fax", "DUNWELL_TASK_QUEUES=cases,fax: no such queue: fax; use cases, sms"),
        ("DUNWELL_HEALTH_PORT", "70000", "DUNWELL_HEALTH_PORT=70000: "),
        ("DUNWELL_LOG_LEVEL", "chatty", "DUNWELL_LOG_LEVEL=chatty: "),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_told(
    bare: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    bare.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load()
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


def test_settings_that_are_shown_hold_no_secret_and_an_empty_variable_is_one_that_is_not_set(
    bare: pytest.MonkeyPatch,
) -> None:
    bare.setenv("DUNWELL_DATABASE_URL", f"postgresql://u:{SECRET}@h/d")
    bare.setenv("DUNWELL_PROVIDER_TOKEN", SECRET)
    bare.setenv("DUNWELL_DEPLOYMENT", "")
    settings = load()
    assert SECRET not in repr(settings) + str(settings)
    assert settings.deployment is None


def test_a_variable_that_is_no_setting_is_noticed(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DUNWELL_DATABSE_POOL", "5")
    assert unknown_variables() == ["DUNWELL_DATABSE_POOL"]


@dataclass
class Place:
    """A database and a namespace of its own."""

    database_url: str
    client: Client
    pool: asyncpg.Pool

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DUNWELL_DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self.client.namespace,
            **more,
        }


@pytest.fixture(scope="module")
async def place(postgres_server: EmbeddedPostgres, own_temporal: TemporalServer) -> AsyncIterator[Place]:
    dsn = await postgres_server.fresh_database("worker")
    await migrate(dsn)
    name = f"worker-{uuid.uuid4().hex[:8]}"
    client = await Client.connect(own_temporal.address, namespace=name)
    kept = Duration()
    kept.FromTimedelta(timedelta(days=1))
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept)
    )

    async def known() -> bool:
        try:
            await register_search_attributes(client)
        except RuntimeError:
            return False
        return True

    await until(known)
    pool = await connect(dsn)
    yield Place(dsn, client, pool)
    await pool.close()


async def ended(environment: dict[str, str]) -> tuple[int | None, str]:
    """A worker that should end by itself: its status and all it said."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "worker.py", cwd=CHECKOUT, env=environment, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            said, _ = await worker.communicate()
    finally:
        if worker.returncode is None:
            worker.kill()
    return worker.returncode, said.decode()


@asynccontextmanager
async def serving(place: Place, log: Path, **settings: str) -> AsyncIterator[str]:
    """A worker that is ready; gives the address of its metrics page. It has to end with status 0."""
    health, metrics = free_port(), free_port()
    environment = place.environment(
        DUNWELL_HEALTH_PORT=str(health), DUNWELL_METRICS_ADDRESS=f"127.0.0.1:{metrics}", **settings
    )
    with log.open("wb") as sink:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "worker.py", cwd=CHECKOUT, env=environment, stdout=sink, stderr=sink
        )
    try:

        async def ready() -> bool:
            assert worker.returncode is None, log.read_text()
            async with httpx.AsyncClient(trust_env=False) as http:
                try:
                    return (await http.get(f"http://127.0.0.1:{health}/readyz")).is_success
                except httpx.TransportError:
                    return False

        await until(ready, 60)
        yield f"http://127.0.0.1:{metrics}/metrics"
        worker.terminate()
        async with asyncio.timeout(40):
            assert await worker.wait() == 0, log.read_text()
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def test_without_settings_the_worker_says_which_one_it_needs() -> None:
    status, said = await ended({"PATH": os.environ["PATH"]})
    assert status == 1
    assert "DUNWELL_DATABASE_URL: is not set; it is the PostgreSQL of the cases" in said
    assert "Traceback" not in said


async def test_a_database_that_is_not_migrated_is_refused(place: Place, postgres_server: EmbeddedPostgres) -> None:
    empty = await postgres_server.fresh_database("worker_empty")
    status, said = await ended(place.environment(DUNWELL_DATABASE_URL=empty))
    line = json.loads(said)
    assert (status, line["event"]) == (1, "cannot_start")
    assert "run `python starter.py migrate` first" in line["error"]


async def test_a_database_that_does_not_let_in_is_named_without_the_password(place: Place) -> None:
    wrong = place.database_url.replace("://dunwell:", f"://dunwell:{SECRET}")
    status, said = await ended(place.environment(DUNWELL_DATABASE_URL=wrong))
    line = json.loads(said)
    assert (status, line["event"]) == (1, "cannot_start")
    assert line["error"].startswith("the database of DUNWELL_DATABASE_URL does not let in: InvalidPassword")
    assert SECRET not in said


async def test_a_temporal_server_that_does_not_answer_is_named(place: Place) -> None:
    status, said = await ended(place.environment(TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}"))
    line = json.loads(said.splitlines()[-1])
    assert (status, line["event"]) == (1, "cannot_start")
    assert line["error"].startswith("the Temporal server of TEMPORAL_ADDRESS does not answer")


async def test_a_worker_serves_the_chosen_queues_and_no_other(place: Place, tmp_path: Path) -> None:
    async with serving(place, tmp_path / "log", DUNWELL_TASK_QUEUES="sms,letter", DUNWELL_RELAY="false") as metrics:
        async with httpx.AsyncClient(trust_env=False) as http:
            page = (await http.get(metrics)).text
        polled = set(re.findall(r'temporal_num_pollers\{.*?task_queue="([\w-]+)"', page))
        assert polled == {"dunwell-sms", "dunwell-letter"}


async def make_current(place: Place, build: str) -> None:
    async def done() -> bool:
        try:
            await place.client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=place.client.namespace, deployment_name="dunwell", build_id=build, identity="a release"
                )
            )
        except RPCError:  # not polled for long enough to be known
            return False
        return True

    await until(done)


async def tasks_completed(place: Place, case: str) -> list[WorkflowTaskCompletedEventAttributes]:
    try:
        history = await place.client.get_workflow_handle(case).fetch_history()
    except RPCError:
        return []
    return [
        e.workflow_task_completed_event_attributes
        for e in history.events
        if e.HasField("workflow_task_completed_event_attributes")
    ]


async def test_an_open_case_moves_to_the_new_version_of_a_deployment(place: Place, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    await import_people(place.pool, [NewPerson("P1", Personal("Invented", "", ""), "en", "GB", "Europe/London")])
    await import_loans(
        place.pool, [NewLoan("L1", "P1", "loan", "GBP", (Instalment(1, today - timedelta(days=9), 10_000),))]
    )
    case = workflow_id(case_id_of("L1"))

    async def worked_by(build: str) -> bool:
        done = await tasks_completed(place, case)
        return bool(done) and done[-1].deployment_version.build_id == build

    async def nudged_to(build: str) -> bool:
        # The server tells its task queues of a new version little by little.
        await place.client.get_workflow_handle(case).signal("look_again", "by hand")
        await asyncio.sleep(0.5)
        return await worked_by(build)

    async with serving(place, tmp_path / "1", DUNWELL_DEPLOYMENT="dunwell", DUNWELL_BUILD_ID="1"):
        await make_current(place, "1")
        await open_case(place, today)
        await until(lambda: worked_by("1"))
        async with serving(place, tmp_path / "2", DUNWELL_DEPLOYMENT="dunwell", DUNWELL_BUILD_ID="2"):
            await make_current(place, "2")
            await until(lambda: nudged_to("2"))
            behaviours = {task.versioning_behavior for task in await tasks_completed(place, case)}
            assert behaviours == {VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE}


async def open_case(place: Place, today: date) -> None:
    now = datetime.now(UTC)
    await cases.sweep_page(place.pool, load_book(CHECKOUT), today, now, "", 100)
