"""A provider to try things on: a process of its own that delays, fails, reports late and counts what people received.

python -m dunwell.channels.sandbox --port 8090 --store FILE [--host ADDRESS] [--token-env NAME]
"""

import argparse
import asyncio
import hmac
import logging
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
import uvicorn
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from dunwell.channels.post_office import CHANNELS, Conduct, KeyReusedError, Letter, Outcome, PostOffice

FaultKind = Literal["refuse", "busy", "error_before", "error_after", "hang_before", "hang_after"]
ChannelName = Literal["sms", "email", "voice", "letter", "legal", "agency"]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[int, Field(ge=0)]


class Faults(BaseModel):
    """What goes wrong on a channel, until told otherwise or restarted. Before and after mean the message's leaving.

    `chances` are shares of the requests; which ones follows from seed, key and attempt, not from arrival order.
    `times` limits all of it to the next so many requests.
    """

    model_config = ConfigDict(extra="forbid")

    delay_before_ms: Milliseconds = 0
    delay_after_ms: Milliseconds = 0
    report_delay_ms: Milliseconds = 0
    chances: dict[FaultKind, Share] = Field(default_factory=dict)
    seed: int = 0
    times: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _chances_fit(self) -> Self:
        if sum(self.chances.values()) > 1 + 1e-9:
            raise ValueError("chances: together more than 1; lower them")
        return self


class FaultsTold(Faults):
    """Faults for one channel, or for all."""

    channel: ChannelName | None = None


class ConductTold(Conduct):
    """The conduct of one channel, or of all."""

    channel: ChannelName | None = None


class Trouble:
    """Decides what goes wrong with which request."""

    def __init__(self) -> None:
        self._faults = {channel: Faults() for channel in CHANNELS}
        self._left = dict.fromkeys(CHANNELS, 0)
        self._attempts: Counter[tuple[str, str]] = Counter()

    def tell(self, channel: str, faults: Faults) -> None:
        self._faults[channel] = faults
        self._left[channel] = faults.times or 0
        for known in [known for known in self._attempts if known[0] == channel]:
            del self._attempts[known]

    def meet(self, channel: str, key: str) -> tuple[Faults, FaultKind | None]:
        """The delays for this request, and the fault that hits it, if one does."""
        faults = self._faults[channel]
        if faults.times is not None:
            if self._left[channel] == 0:
                return Faults(), None
            self._left[channel] -= 1
        return faults, self._draw(faults, channel, key) if faults.chances else None

    def _draw(self, faults: Faults, channel: str, key: str) -> FaultKind | None:
        self._attempts[channel, key] += 1
        ticket = f"{faults.seed}/{channel}/{key}/{self._attempts[channel, key]}"
        lot = random.Random(ticket).random()  # noqa: S311 (a trial, to be repeated)
        for kind, chance in faults.chances.items():
            lot -= chance
            if lot < 0:
                return kind
        return None


class Desk:
    """Takes messages in, lets them leave and answers, each step as disturbed as it was told to be."""

    def __init__(self, office: PostOffice) -> None:
        self.office = office
        self.trouble = Trouble()
        # In memory on purpose: what had not left when the process died never will.
        self._not_left_yet: Counter[tuple[str, str]] = Counter()

    async def take(self, channel: str, key: str, request: Request) -> Response:
        letter = Letter.model_validate_json(await request.body())
        faults, fault = self.trouble.meet(channel, key)
        if self._not_left_yet[channel, key] and self.office.conduct_of(channel).mode == "honours_keys":
            return _refusal(409, "in_progress")
        with self._holding_back(channel, key):
            await asyncio.sleep(faults.delay_before_ms / 1000)
            if stopped := await _stopped_before_leaving(fault, request):
                return stopped
            try:
                outcome = self.office.let_leave(
                    channel, key, letter, refused=fault == "refuse", report_delay=faults.report_delay_ms / 1000
                )
            except KeyReusedError:
                return _refusal(409, "key_reused")
        await asyncio.sleep(faults.delay_after_ms / 1000)
        return await _stopped_after_leaving(fault, request) or _said(201 if outcome.state == "sent" else 422, outcome)

    @contextmanager
    def _holding_back(self, channel: str, key: str) -> Iterator[None]:
        self._not_left_yet[channel, key] += 1
        try:
            yield
        finally:
            self._not_left_yet[channel, key] -= 1
            if not self._not_left_yet[channel, key]:
                del self._not_left_yet[channel, key]

    def look_up(self, channel: str, key: str) -> Response:
        if self.office.conduct_of(channel).mode == "neither":
            return _refusal(501, "no_look_up")
        outcome = self.office.look_up(channel, key)
        if self._not_left_yet[channel, key] and (outcome is None or outcome.state == "failed"):
            return _refusal(202, "in_progress")
        return _said(200, outcome) if outcome else _refusal(404, "unknown_key")


class Doorkeeper:
    """Lets in who shows the token; the health check needs none."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz":
            shown = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(shown, self._expected):
                await _refusal(401, "wrong_token")(scope, receive, send)
                return
        await self._app(scope, receive, send)


def open_sandbox(office: PostOffice, token: str | None) -> FastAPI:
    """The provider's HTTP side. With a token, everything but /healthz asks for it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if token is not None:
        app.add_middleware(Doorkeeper, token=token)
    desk = Desk(office)
    _serve_senders(app, desk)
    _serve_whoever_is_in_control(app, desk)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _serve_senders(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/{channel}/messages", response_model=None)
    async def send(channel: ChannelName, request: Request) -> Response:
        key = request.headers.get("idempotency-key")
        if not key:
            return _refusal(400, "no_idempotency_key")
        try:
            return await desk.take(channel, key, request)
        except ValidationError:
            return _refusal(400, "malformed_message")

    @app.get("/v1/{channel}/messages/{key}", response_model=None)
    async def look_up(channel: ChannelName, key: str) -> Response:
        return desk.look_up(channel, key)

    @app.get("/v1/{channel}/reports", response_model=None)
    async def reports(
        channel: ChannelName, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 500
    ) -> Response:
        found = desk.office.reports_after(channel, after, limit)
        return _json(200, {"reports": found, "cursor": found[-1]["place"] if found else after})


def _serve_whoever_is_in_control(app: FastAPI, desk: Desk) -> None:
    office = desk.office

    @app.post("/control/modes", response_model=None)
    async def set_modes(told: ConductTold) -> Response:
        for channel in [told.channel] if told.channel else CHANNELS:
            office.behave(channel, Conduct(**told.model_dump(exclude={"channel"})))
        return _json(200, {channel: office.conduct_of(channel).model_dump() for channel in CHANNELS})

    @app.post("/control/faults", response_model=None)
    async def set_faults(told: FaultsTold) -> Response:
        for channel in [told.channel] if told.channel else CHANNELS:
            desk.trouble.tell(channel, told)
        return _json(200, told.model_dump())

    @app.post("/control/reset", response_model=None)
    async def reset() -> Response:
        office.forget_everything()
        for channel in CHANNELS:
            desk.trouble.tell(channel, Faults())
        return _json(200, {})

    @app.get("/control/counts", response_model=None)
    async def counts() -> Response:
        return _json(200, office.counts())

    @app.get("/control/messages", response_model=None)
    async def messages(to: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Response:
        return _json(200, {"messages": office.messages(to, limit)})


async def _stopped_before_leaving(fault: FaultKind | None, request: Request) -> Response | None:
    match fault:
        case "busy":
            return _refusal(503, "busy")
        case "error_before":
            return _refusal(500, "internal_error")
        case "hang_before":
            return await _never_answer(request)
    return None


async def _stopped_after_leaving(fault: FaultKind | None, request: Request) -> Response | None:
    match fault:
        case "error_after":
            return _refusal(500, "internal_error")
        case "hang_after":
            return await _never_answer(request)
    return None


async def _never_answer(request: Request) -> Response:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=500)


def _said(status: int, outcome: Outcome) -> Response:
    return _json(status, outcome._asdict())


def _refusal(status: int, code: str) -> Response:
    return _json(status, {"code": code})


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def main() -> None:
    """Serve until SIGTERM or SIGINT; prints one line with the address as soon as it can be called."""
    parser = argparse.ArgumentParser("python -m dunwell.channels.sandbox", description="A provider to try things on.")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--store", type=Path, required=True, help="SQLite file, made if absent")
    parser.add_argument("--token-env", metavar="NAME", help="environment variable that holds the bearer token")
    asked = parser.parse_args()
    try:
        token = _token_from(asked.token_env)
        door = _listen(asked.host, asked.port, guarded=token is not None)
        office = PostOffice(asked.store)
    except ValueError as error:
        sys.exit(f"sandbox provider: {error}")
    # uvicorn raises the signal again once it has stopped; a stop that was asked for is a success.
    for asked_to_stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked_to_stop, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        open_sandbox(office, token),
        log_level="error",
        access_log=False,
        timeout_keep_alive=75,  # longer than clients keep a connection, so that none is closed under a request
        timeout_graceful_shutdown=1,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_call_cut_off_by_the_stop)
    host, port = door.getsockname()[:2]
    print(f"sandbox provider on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    try:
        uvicorn.Server(config).run(sockets=[door])
    finally:
        office.close()


def _is_no_call_cut_off_by_the_stop(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _token_from(name: str | None) -> str | None:
    if name is None:
        return None
    token = os.environ.get(name)
    if not token:
        raise ValueError(f"--token-env {name}: that variable is empty; set it, or leave the option out")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    if not guarded and not _is_loopback(host):
        raise ValueError(f"--host {host}: reachable from outside, so it needs a token; add --token-env")
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except (OSError, OverflowError) as error:
        raise ValueError(f"--host {host} --port {port}: {error}; choose another, 0 takes a free port") from error


if __name__ == "__main__":
    main()
