"""docker-compose.yml: what it promises of every service, and our own services run as it names them."""

import re

import asyncpg
import pytest
from temporalio.client import Client

from dunwell.cli.scheduling import OVERDUE_DAILY
from dunwell.settings import CHECKOUT
from tests.deploy.compose_file import ComposeFile, UnsetVariable, example_variables
from tests.deploy.conftest import SECRETS, VARIABLES
from tests.deploy.installation import Installation, Running


@pytest.mark.parametrize("name", VARIABLES)
def test_compose_refuses_to_start_without_a_variable_that_it_needs(name: str) -> None:
    with pytest.raises(UnsetVariable, match=name):
        ComposeFile.read({**VARIABLES, name: ""})


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    used = set(re.findall(r"\$\{(\w+)", (CHECKOUT / "docker-compose.yml").read_text()))
    example = example_variables()
    assert example.keys() == used
    assert {example[name] for name in VARIABLES} == {""}


def test_every_image_is_pinned_and_no_service_is_open_to_the_network(compose: ComposeFile) -> None:
    for name, service in compose.services.items():
        assert re.search(r":v?\d+\.\d+(\.\d+)?$|^dunwell:", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service["mem_limit"], name
        assert "auto-setup" not in service["image"]


def test_whatever_runs_on_is_watched_and_restarted_and_waits_for_what_it_needs(compose: ComposeFile) -> None:
    for name, service in compose.services.items():
        if name not in compose.once():
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name
        for needed, how in service.get("depends_on", {}).items():
            job = needed in compose.once()
            assert how == {"condition": "service_completed_successfully" if job else "service_healthy"}, (name, needed)


def test_our_containers_run_as_an_ordinary_user_on_a_read_only_root(compose: ComposeFile) -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    assert "--require-hashes -r requirements.txt" in dockerfile
    assert "requirements-dev" not in dockerfile
    for name, service in compose.ours().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name


def test_the_image_by_itself_is_a_worker_with_the_health_check_of_the_compose_file(compose: ComposeFile) -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    worker = compose.services["worker-1"]
    assert re.findall(r"CMD (\[.*\])", dockerfile) == [
        str(worker["healthcheck"]["test"][1:]).replace("'", '"'),
        str(worker["command"]).replace("'", '"'),
    ]
    image = dict(re.findall(r"(DUNWELL_\w+)=(\S+)", dockerfile))
    assert image.items() <= worker["environment"].items()


def test_a_worker_is_given_longer_to_stop_than_it_lets_its_steps_run(compose: ComposeFile) -> None:
    for name in ("worker-1", "worker-2"):
        worker = compose.services[name]
        grace = int(worker["stop_grace_period"].removesuffix("s"))
        assert grace > int(worker["environment"]["DUNWELL_GRACEFUL_SECONDS"]) + 10


async def test_each_database_user_reaches_its_own_databases_and_no_other(installation: Installation) -> None:
    for user, password, own, others in (
        ("dunwell", "DUNWELL_DB_PASSWORD", ["dunwell"], ["temporal", "temporal_visibility"]),
        ("temporal", "TEMPORAL_DB_PASSWORD", ["temporal", "temporal_visibility"], ["dunwell"]),
    ):
        for database in own + others:
            there = asyncpg.connect(
                host="127.0.0.1",
                port=installation.postgres_port,
                user=user,
                database=database,
                password=SECRETS[password],
            )
            if database in own:
                connection = await there
                await connection.execute("create table mine (id int)")
                await connection.execute("drop table mine")
                await connection.close()
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await there


async def test_the_migration_job_makes_the_schema_and_changes_nothing_when_run_again(
    installation: Installation, migrated: tuple[int, str]
) -> None:
    assert migrated[0] == 0, migrated[1]
    assert (await installation.run("migrate"))[0] == 0
    owner = await installation.owner()
    owned_by = await owner.fetchval("select tableowner from pg_tables where tablename = 'collection_case'")
    await owner.close()
    assert owned_by == "dunwell"


async def test_the_schedule_job_sets_up_the_daily_list_and_may_run_again(
    installation: Installation, scheduled: tuple[int, str]
) -> None:
    assert scheduled[0] == 0, scheduled[1]
    status, said = await installation.run("schedule")
    assert status == 0, said
    client = await Client.connect(installation.temporal_address)
    schedules = [s async for s in await client.list_schedules()]
    assert [s.id for s in schedules] == [OVERDUE_DAILY]


async def test_the_provider_is_healthy_and_lets_nobody_in_without_the_token(
    installation: Installation, provider: Running
) -> None:
    assert await installation.health("provider") == (0, '{"status":"ok"}\n')
    answer = await installation.answer("provider", 8700, "/control/counts")
    assert answer is not None
    assert answer.status_code == 401


async def test_a_health_check_fails_with_a_reason_when_nobody_answers(installation: Installation) -> None:
    status, said = await Installation(
        installation.compose, installation.folder, 1, "127.0.0.1:1", installation.superuser
    ).health("worker-1")
    assert status == 1
    assert said.startswith("no answer: ")


async def test_both_workers_serve_every_queue_side_by_side(installation: Installation, workers: list[Running]) -> None:
    for name in ("worker-1", "worker-2"):
        assert await installation.health(name) == (0, '{"ready":true,"missing":[]}\n')
        alive = await installation.answer(name, 8080, "/livez")
        assert alive is not None
        assert alive.text == "ok\n"
        page = await installation.answer(name, 9090, "/metrics")
        assert page is not None
        polled = set(re.findall(r'temporal_num_pollers\{.*?task_queue="(dunwell[\w-]*)"', page.text))
        channels = {f"dunwell-{c}" for c in ("sms", "email", "voice", "letter", "legal", "agency")}
        assert polled >= {"dunwell", *channels}


def test_no_secret_stands_in_anything_that_a_service_wrote(installation: Installation, workers: list[Running]) -> None:
    for running in installation.started:
        for name, secret in SECRETS.items():
            assert secret not in running.said(), f"{running.service} wrote {name}"
