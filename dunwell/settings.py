"""Settings of every process, by environment. Temporal's own (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY, TEMPORAL_TLS_...) are read as the Temporal SDK documents them.
"""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "DUNWELL_"
CHANNEL_QUEUES = ("sms", "email", "voice", "letter", "legal", "agency")


class SettingsError(SystemExit):
    """Settings that cannot be used; the message names each variable, and never the value of a secret."""


class Settings(BaseSettings):
    """Every setting has the prefix DUNWELL_. An empty variable is one that is not set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr = Field(
        description="PostgreSQL of the cases, postgresql://user:password@host/database; PGPASSWORD may hold the password instead"
    )
    database_pool: int = Field(10, ge=2, le=30, description="connections of each process")
    provider_url: str = Field("http://127.0.0.1:8700", description="the provider of messages, calls and letters")
    provider_token: SecretStr | None = Field(None, description="bearer token for the provider")
    provider_honours_keys: bool = Field(True, description="the provider sends one key once")
    provider_looks_up: bool = Field(True, description="the provider can say whether it has a key")
    provider_keeps_keys_hours: int = Field(72, ge=0, description="how long the provider keeps keys")
    lender: str = Field("Dunwell Demo Bank", description="who writes, in every text")
    reply_to: str = Field("care@example.com", description="where people can answer, in every text")
    catalogue: Path = Field(CHECKOUT, description="folder that holds rules/, strategies/ and templates/")
    lists: Path = Field(CHECKOUT / "build" / "overdue", description="folder for the daily overdue lists")
    task_queues: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="queues this worker serves, by comma: cases, sms, email, voice, letter, legal, agency; empty: all",
    )
    signal_sources: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="systems whose payments may come by a plain signal, by comma"
    )
    relay: bool = Field(True, description="whether this process also delivers wake-ups to cases")
    virtual_time: bool = Field(False, description="only for demo and replay: runs begin at the date of what woke them")
    health_host: str = Field("127.0.0.1", description="address of /livez and /readyz")
    health_port: int = Field(0, ge=0, le=65535, description="port of /livez and /readyz; 0: none")
    metrics_address: str | None = Field(None, description="address of the Prometheus metrics, such as 0.0.0.0:9090")
    slots: int = Field(100, ge=1, le=1000, description="steps at once on each queue")
    cached_cases: int = Field(1000, ge=100, description="cases kept warm in memory")
    graceful_seconds: int = Field(30, ge=1, description="how long a stop waits for steps that run")
    build_id: str = Field("dev", min_length=1, description="version of this deployment, for rolling deploys")
    deployment: str | None = Field(None, description="name of the worker deployment; empty: unversioned")
    log_level: str = Field(
        "INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="DEBUG, INFO, WARNING or ERROR; JSON lines in any case",
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
            raise ValueError("should look like postgresql://user:password@host:5432/database")
        return url

    @field_validator("provider_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("should look like https://provider.example")
        if parts.password is not None:
            raise ValueError("holds a password; give it as DUNWELL_PROVIDER_TOKEN")
        return url

    @field_validator("task_queues", "signal_sources", mode="before")
    @classmethod
    def _by_comma(cls, value: object) -> object:
        return [v.strip() for v in value.split(",") if v.strip()] if isinstance(value, str) else value

    @field_validator("task_queues")
    @classmethod
    def _known_queues(cls, queues: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(queues) - {"cases", *CHANNEL_QUEUES}
        if unknown:
            raise ValueError(f"no such queue: {', '.join(sorted(unknown))}; use cases, {', '.join(CHANNEL_QUEUES)}")
        return queues

    @property
    def queues(self) -> tuple[str, ...]:
        """Full task queue names this worker serves: `dunwell` and `dunwell-<channel>`."""
        chosen = self.task_queues or ("cases", *CHANNEL_QUEUES)
        return tuple("dunwell" if q == "cases" else f"dunwell-{q}" for q in chosen)


def load() -> Settings:
    """The settings of this process.

    Raises: SettingsError that names every variable that is missing or wrong.
    """
    try:
        return Settings()
    except ValidationError as e:
        problems = "\n".join(f"  {_problem(str(p['loc'][0]), p['msg'], p['type'])}" for p in e.errors())
        raise SettingsError(f"settings that cannot be used:\n{problems}\ndocs/settings.md lists them all") from None


def unknown_variables() -> list[str]:
    """Variables with our prefix that are no setting: most likely a slip of the pen."""
    known = {_variable(field) for field in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _problem(field: str, message: str, kind: str) -> str:
    variable = _variable(field)
    if kind == "missing":
        return f"{variable}: is not set; it is the {Settings.model_fields[field].description}"
    shown = "" if _may_hold_a_secret(field) else f"={os.environ.get(variable, '')[:60]}"
    return f"{variable}{shown}: {message.removeprefix('Value error, ')}"


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _may_hold_a_secret(field: str) -> bool:
    return field.endswith(("_url", "_token"))
