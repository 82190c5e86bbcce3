"""A Temporal dev server on free loopback ports that can skip time, and the checks for a server that was given."""

import asyncio
import contextlib
import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import httpx
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from dunwell.local.processes import Child, ChildCrashed, PortTaken, free_port, port_is_taken
from dunwell.local.server_binary import find_binary

SEARCH_ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "CaseStage": "Keyword",
        "OldestUnpaidDueOn": "Datetime",
        "Currency": "Keyword",
        "Jurisdiction": "Keyword",
        "Segment": "Keyword",
        "Hold": "KeywordList",
        "NeedsAttention": "Bool",
    }
)

_INDEXED = MappingProxyType(
    {
        "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
        "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
        "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    }
)

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "frontend.WorkflowTimeSkippingEnabled": "true",
        # One shard polls 20 times a second by default: each hop would wait 40 ms once busy.
        "history.transferProcessorMaxPollRPS": "1000",
        "history.timerProcessorMaxPollRPS": "1000",
        # New search attributes count at once, not after the next refresh.
        "system.forceSearchAttributesCacheRefreshOnRead": "true",
    }
)

# For benches: what is measured is the case, not a limit. Added by `settings=RAISED_LIMITS`.
RAISED_LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "frontend.rps": "100000",
        "frontend.namespaceRPS": "100000",
        "frontend.namespaceCount": "100000",
        "frontend.namespaceRPS.visibility": "1000",
        "frontend.persistenceMaxQPS": "100000",
        "history.rps": "100000",
        "history.persistenceMaxQPS": "100000",
        "matching.rps": "100000",
        "matching.persistenceMaxQPS": "100000",
    }
)

_READY_WITHIN = 60.0
_PORT_TRIALS = 5


class TemporalUnusable(RuntimeError):
    """The Temporal server does not answer, or lacks what is needed; the message says which and what to do."""


class TemporalServer:
    """A dev server in a process of its own: in memory, or in `db_file`, which then outlives the process.

    `ui` adds the web interface on a free port. `settings` are dynamic config values in JSON, on top of our own.
    The search attributes of cases are registered when `start` returns.
    """

    namespace = "default"

    def __init__(
        self,
        log: Path,
        *,
        db_file: Path | None = None,
        port: int | None = None,
        ui: bool = False,
        ui_port: int | None = None,
        settings: Mapping[str, str] | None = None,
        binary: Path | None = None,
    ) -> None:
        self.log = log.resolve()
        self.db_file = db_file.resolve() if db_file else None
        self.settings = {**_SETTINGS, **(settings or {})}
        self.port = port or 0
        self.ui_port = ui_port or 0
        self.child: Child | None = None
        self._ui = ui or ui_port is not None
        self._port_is_ours = port is None
        self._binary = binary
        self._cpu_seconds_before = 0.0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ui_address(self) -> str | None:
        return f"http://127.0.0.1:{self.ui_port}" if self._ui else None

    @property
    def pid(self) -> int:
        return self._running().pid

    def cpu_seconds(self) -> float:
        """User and system seconds of the server so far, earlier starts included."""
        return self._cpu_seconds_before + (self.child.cpu_seconds() if self.child else 0.0)

    async def start(self) -> None:
        """Starts the server, after a crash too, on the port it had before. Returns when it takes workflows.

        Raises NoServer, PortTaken, TemporalUnusable, or ChildCrashed with the end of the server's log.
        """
        if self._binary is None:
            self._binary = await asyncio.to_thread(find_binary)
        if self.child is not None:
            self._cpu_seconds_before += self.child.cpu_seconds()
        self._choose_ui_port()
        for trial in range(_PORT_TRIALS):
            first_port = self.port == 0
            if first_port:
                self.port = free_port()
            elif port_is_taken(self.port):
                raise PortTaken("the Temporal server", self.port)
            http_port = free_port()
            self.child = await Child.begin("temporal", self._command(self._binary, http_port), log=self.log)
            try:
                await self._until_ready(http_port)
            except ChildCrashed:
                # Between the choice of a free port and its use another process may have taken it.
                taken = any(map(port_is_taken, (self.port, http_port)))
                if first_port and self._port_is_ours and taken and trial + 1 < _PORT_TRIALS:
                    self.port = 0
                    continue
                raise
            except BaseException:
                await self.child.kill()
                raise
            return

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop(grace=10)

    async def crash(self) -> None:
        """SIGKILL. With a `db_file`, `start` finds every workflow again; in memory none."""
        await self._running().kill()

    def _running(self) -> Child:
        if self.child is None:
            raise TemporalUnusable("the embedded Temporal server has not been started")
        return self.child

    def _choose_ui_port(self) -> None:
        if self._ui and self.ui_port and port_is_taken(self.ui_port):
            raise PortTaken("the Temporal UI", self.ui_port)
        if self._ui and not self.ui_port:
            self.ui_port = free_port()

    def _command(self, binary: Path, http_port: int) -> list[str | Path]:
        command: list[str | Path] = [
            binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port), "--http-port", str(http_port),
            "--namespace", self.namespace, "--log-level", "warn",
        ]  # fmt: skip
        command += ["--ui-port", str(self.ui_port)] if self._ui else ["--headless"]
        for name, kind in SEARCH_ATTRIBUTES.items():
            command += ["--search-attribute", f"{name}={kind}"]
        for name, value in self.settings.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        if self.db_file is not None:
            self.db_file.parent.mkdir(parents=True, exist_ok=True)
            # As fast as memory; without these a third.
            command += ["--db-filename", self.db_file]
            command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        return command

    async def _until_ready(self, http_port: int) -> None:
        child = self._running()
        try:
            # Asked over HTTP: a client of the SDK that outlives its server may abort the process at its end.
            async with asyncio.timeout(_READY_WITHIN), httpx.AsyncClient(trust_env=False) as http:
                while not await self._knows_our_attributes(http, http_port):
                    if not child.running:
                        raise ChildCrashed(child)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise TemporalUnusable(
                f"the Temporal server on port {self.port} was not ready after {_READY_WITHIN:.0f} s; the end of its log:\n"
                f"{child.log_tail()}"
            ) from None

    async def _knows_our_attributes(self, http: httpx.AsyncClient, http_port: int) -> bool:
        url = f"http://127.0.0.1:{http_port}/api/v1/namespaces/{self.namespace}/search-attributes"
        try:
            answer = await http.get(url)
        except httpx.TransportError:
            return False
        return answer.is_success and SEARCH_ATTRIBUTES.keys() <= answer.json().get("customAttributes", {}).keys()


async def register_search_attributes(client: Client) -> None:
    """Adds the search attributes of cases that the client's namespace does not have yet.

    Raises TemporalUnusable for one that exists with another type, or where the server refuses.
    """
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        wanted = {name: _INDEXED[kind] for name, kind in SEARCH_ATTRIBUTES.items()}
        for name in wanted.keys() & known.custom_attributes.keys():
            if known.custom_attributes[name] != wanted[name]:
                raise TemporalUnusable(
                    f"search attribute {name} of namespace {client.namespace} has another type; "
                    f"it has to be {SEARCH_ATTRIBUTES[name]}: use another namespace"
                )
        missing = {name: kind for name, kind in wanted.items() if name not in known.custom_attributes}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        raise TemporalUnusable(
            f"search attributes cannot be registered in namespace {client.namespace}: {error.message}; "
            f"have them registered: {', '.join(f'{name}={kind}' for name, kind in SEARCH_ATTRIBUTES.items())}"
        ) from error


async def require_time_skipping(client: Client, address: str) -> None:
    """Raises TemporalUnusable if the server cannot skip time. Found out by a workflow that nobody works on."""
    remedy = (
        "the demo and `replay` need a server 1.32 or newer with frontend.WorkflowTimeSkippingEnabled=true; "
        "leave TEMPORAL_ADDRESS unset to have one started"
    )
    skipper = TimeSkipper(client)
    try:
        # No task queue of ours: it is only started to be asked.
        probe = await skipper.client.start_workflow(
            "time-skipping-probe", id=f"time-skipping-probe-{uuid.uuid4()}", task_queue=f"nobody-{uuid.uuid4()}",
            execution_timeout=timedelta(minutes=5),
        )  # fmt: skip
    except RPCError as error:
        raise TemporalUnusable(f"the server at {address} refuses to skip time ({error.message}); {remedy}") from error
    try:
        skips = await skipper.get_time_skipping_info(probe) is not None
    finally:
        with contextlib.suppress(RPCError):
            await probe.terminate("only asked whether this server can skip time")
    if not skips:
        raise TemporalUnusable(f"the server at {address} cannot skip time; {remedy}")
