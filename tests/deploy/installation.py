"""Our services run natively, each by the command, environment and health check that docker-compose.yml gives it."""

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from dunwell.local.processes import free_port
from dunwell.settings import CHECKOUT
from tests.deploy.compose_file import ComposeFile

_PLACES = re.compile(
    r"\b(?P<name>postgres|temporal|provider):\d+|0\.0\.0\.0|\b(?P<port>8080|8700|9090)\b|/var/lib/dunwell"
)


class Running:
    """One process of a service, its output in a file."""

    def __init__(self, service: str, process: asyncio.subprocess.Process, output: Path) -> None:
        self.service, self.process, self.output = service, process, output

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    async def ended(self, within: float) -> int:
        async with asyncio.timeout(within):
            return await self.process.wait()


@dataclass
class Installation:
    """The parts around our services are real: PostgreSQL made ready by deploy/postgres, and a Temporal server."""

    compose: ComposeFile
    folder: Path
    postgres_port: int
    temporal_address: str
    superuser: str = field(repr=False)
    started: list[Running] = field(default_factory=list)
    _ports: dict[tuple[str, int], int] = field(default_factory=dict)

    def port(self, service: str, inside: int) -> int:
        """The native port that stands for a port inside the service's container."""
        return self._ports.setdefault((service, inside), free_port())

    def here(self, service: str, text: str) -> str:
        """A text of the file, with the places inside containers replaced by those on this machine."""

        def place(found: re.Match[str]) -> str:
            match found["name"]:
                case "postgres":
                    return f"127.0.0.1:{self.postgres_port}"
                case "temporal":
                    return self.temporal_address
                case "provider":
                    return f"127.0.0.1:{self.port('provider', 8700)}"
            if found["port"]:
                return str(self.port(service, int(found["port"])))
            return "127.0.0.1" if found[0] == "0.0.0.0" else str(self.folder / "var")

        return _PLACES.sub(place, text)

    def environment(self, service: str) -> dict[str, str]:
        """Exactly what the file gives, and a PATH."""
        told: Mapping[str, str] = self.compose.services[service]["environment"]
        return {"PATH": os.environ["PATH"], **{name: self.here(service, value) for name, value in told.items()}}

    async def start(self, service: str, **more: str) -> Running:
        """Starts the service's command; `more` comes on top of its environment."""
        command = self.compose.services[service]["command"]
        return await self._begin(service, service, command, {**self.environment(service), **more})

    async def run(self, service: str, **more: str) -> tuple[int, str]:
        """Runs a service that ends by itself: its exit status and what it said."""
        running = await self.start(service, **more)
        return await running.ended(60), running.said()

    async def health(self, service: str) -> tuple[int, str]:
        """One run of the service's health check: its exit status and what it said."""
        kind, *command = self.compose.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        check = await self._begin(service, f"{service}-health", command, {"PATH": os.environ["PATH"]})
        return await check.ended(30), check.said()

    async def healthy(self, *services: str, within: float = 60) -> None:
        """Waits until every health check passes, asking as often as a container engine would in a hurry."""
        async with asyncio.timeout(within):
            for service in services:
                while (await self.health(service))[0] != 0:
                    running = [r for r in self.started if r.service == service and r.output.stem == service]
                    assert running[-1].process.returncode is None, running[-1].said()
                    await asyncio.sleep(0.3)

    async def answer(self, service: str, inside: int, path: str) -> httpx.Response | None:
        """What the service answers at a port of its container; None if nobody listens."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            with contextlib.suppress(httpx.TransportError):
                return await http.get(f"http://127.0.0.1:{self.port(service, inside)}{path}")
        return None

    async def stop(self, running: Running) -> int:
        """SIGTERM; its exit status. Raises TimeoutError after the grace that the file gives."""
        grace = float(self.compose.services[running.service].get("stop_grace_period", "10s").removesuffix("s"))
        running.process.terminate()
        return await running.ended(grace)

    async def clear(self) -> None:
        for running in self.started:
            if running.process.returncode is None:
                running.process.kill()
                await running.process.wait()

    async def owner(self) -> asyncpg.Connection:
        """A superuser's connection to the database of the cases."""
        return await asyncpg.connect(self.superuser)

    async def _begin(self, service: str, name: str, command: list[str], environment: Mapping[str, str]) -> Running:
        program, *options = [self.here(service, part) for part in command]
        assert program == "python"
        output = self.folder / f"{name}.log"
        with output.open("wb" if name != service else "ab") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *options, cwd=CHECKOUT, env=environment, stdout=sink, stderr=sink,
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        running = Running(service, process, output)
        self.started.append(running)
        return running


async def until(condition: Callable[[], Awaitable[object]], within: float = 30) -> float:
    """Waits until the awaited condition holds; the seconds it took."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.1)
    return time.monotonic() - began
