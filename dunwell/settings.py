"""Settings of every process, by environment. Temporal's own (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY, TEMPORAL_TLS_...) are read as the Temporal SDK documents them.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
CHANNEL_QUEUES = ("sms", "email", "voice", "letter", "legal", "agency")


class SettingsError(SystemExit):
    """Settings that cannot be used; the message names each variable, never its value."""


class Settings(BaseSettings):
    """Every setting has the prefix DUNWELL_."""

    model_config = SettingsConfigDict(env_prefix="DUNWELL_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="PostgreSQL of the cases, postgresql://user:password@host/database")
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
    build_id: str = Field("dev", description="version of this deployment, for rolling deploys")
    deployment: str | None = Field(None, description="name of the worker deployment; empty: unversioned")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

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
        problems = "\n".join(f"  DUNWELL_{'_'.join(map(str, p['loc'])).upper()}: {p['msg']}" for p in e.errors())
        raise SettingsError(f"settings that cannot be used:\n{problems}\ndocs/settings.md lists them all") from None
