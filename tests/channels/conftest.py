"""The sandbox provider as a process of its own, called over real HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dunwell.channels.http_provider import HttpChannel
from dunwell.channels.protocol import Dispatch

TOKEN = "a-token-for-tests"
PATIENCE = timedelta(seconds=0.5)


class Provider:
    """A running sandbox; it can be killed and started again on the same store and port."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._port = "0"
        self._client = httpx.Client(headers={"authorization": f"Bearer {TOKEN}"})
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dunwell.channels.sandbox"]  # noqa: RUF005 (a command and its options)
            + ["--port", self._port, "--store", str(self.store), "--token-env", "SANDBOX_TOKEN"],
            env={**os.environ, "SANDBOX_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip().removeprefix("sandbox provider on ")
        assert self.address, "the sandbox did not start"
        self._port = self.address.rpartition(":")[2]

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        status = self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def control(self, what: str, **told: Any) -> None:
        self._client.post(f"{self.address}/control/{what}", json=told).raise_for_status()

    def read(self, path: str, **query: Any) -> Any:
        return self._client.get(f"{self.address}{path}", params=query).raise_for_status().json()

    def status(self, path: str) -> int:
        return self._client.get(f"{self.address}{path}").status_code

    def received(self) -> int:
        total: int = self.read("/control/counts")["total"]
        return total

    def channel(
        self,
        name: str = "sms",
        *,
        secret: str | None = TOKEN,
        honours_keys: bool = True,
        can_look_up: bool = True,
        deadline: timedelta = PATIENCE,
    ) -> HttpChannel:
        return HttpChannel(
            self.address,
            name,
            secret,
            honours_keys=honours_keys,
            can_look_up=can_look_up,
            keeps_keys_for=timedelta(days=1),
            deadline=deadline,
        )

    def close(self) -> None:
        self._client.close()
        if self.process.poll() is None:
            self.kill()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    running = Provider(tmp_path_factory.mktemp("provider") / "sandbox.sqlite")
    yield running
    running.close()


@pytest.fixture
def provider(sandbox: Provider) -> Provider:
    """The sandbox as on its first day."""
    if sandbox.process.poll() is not None:
        sandbox.start()
    sandbox.control("reset")
    return sandbox


@pytest.fixture
def message() -> Callable[..., Dispatch]:
    def write(**changes: Any) -> Dispatch:
        said = {
            "key": str(uuid4()),
            "channel": "sms",
            "to": "+447700900123",
            "text": "Your instalment of 50.00 GBP was due on 3 March.",
            "subject": None,
            "language": "en-GB",
            "purpose": "reminder",
            "expires_at": datetime.now(UTC) + timedelta(hours=1),
        }
        return Dispatch(**{**said, **changes})

    return write
