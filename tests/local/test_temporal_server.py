"""The dev server skips time, knows our search attributes, and comes back after a crash with what it had."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import TimeSkipper
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from dunwell.local.processes import PortTaken
from dunwell.local.temporal_server import (
    SEARCH_ATTRIBUTES,
    TemporalServer,
    TemporalUnusable,
    register_search_attributes,
    require_time_skipping,
)


@workflow.defn
class Nap:
    @workflow.run
    async def run(self, days: int) -> str:
        began = workflow.now()
        await workflow.sleep(timedelta(days=days))
        return f"slept {(workflow.now() - began).days} days"


async def test_a_month_passes_in_seconds(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address)
    worker = Worker(client, task_queue="naps", workflows=[Nap], workflow_runner=UnsandboxedWorkflowRunner())
    async with worker, asyncio.timeout(30):
        slept = await TimeSkipper(client).client.execute_workflow(Nap.run, 30, id="nap", task_queue="naps")

    assert slept == "slept 30 days"


async def test_the_search_attributes_of_a_case_are_registered(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address)
    known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))

    assert SEARCH_ATTRIBUTES.keys() <= known.custom_attributes.keys()
    await register_search_attributes(client)  # twice is once


async def test_workflows_in_a_file_survive_a_crash_of_the_server(tmp_path: Path) -> None:
    async with TemporalServer(tmp_path / "log", db_file=tmp_path / "temporal.db") as server:
        client = await Client.connect(server.address)
        await client.start_workflow("Nap", 1, id="nap", task_queue="nobody")
        first, address = server.pid, server.address

        await server.crash()
        await server.start()

        assert (server.address, psutil.pid_exists(first)) == (address, False)
        described = await client.get_workflow_handle("nap").describe()
        assert described.workflow_type == "Nap"
        pid = server.pid
    assert not psutil.pid_exists(pid)


async def test_a_server_that_cannot_skip_time_is_refused_with_the_remedy(
    temporal: TemporalServer, tmp_path: Path
) -> None:
    await require_time_skipping(await Client.connect(temporal.address), temporal.address)

    settings = {"frontend.WorkflowTimeSkippingEnabled": "false"}
    async with TemporalServer(tmp_path / "log", settings=settings) as plain:
        with pytest.raises(TemporalUnusable, match=rf"{plain.address} .*skip time.*leave TEMPORAL_ADDRESS unset"):
            await require_time_skipping(await Client.connect(plain.address), plain.address)


async def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Temporal server: port {port} .* is taken .* name another port"):
            await TemporalServer(tmp_path / "log", port=port).start()
