"""docker-compose.yml as a program may read it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dunwell.settings import CHECKOUT

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<rest>[^}]*))?\}")


class UnsetVariable(ValueError):
    """A variable without which compose refuses to start."""


@dataclass(frozen=True)
class ComposeFile:
    """The services, with variables filled in."""

    services: Mapping[str, Mapping[str, Any]]
    volumes: Mapping[str, Any]

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "ComposeFile":
        """Raises UnsetVariable, as compose does."""

        def filled(found: re.Match[str]) -> str:
            value = variables.get(found["name"], "")
            if found["kind"] == "?" and not value:
                raise UnsetVariable(found["name"])
            return value or (found["rest"] if found["kind"] == "-" else "") or ""

        raw = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
        whole = _filled(raw, lambda text: _VARIABLE.sub(filled, text))
        return cls(whole["services"], whole["volumes"])

    def ours(self) -> dict[str, Mapping[str, Any]]:
        """The services that run our own image."""
        return {name: s for name, s in self.services.items() if s["image"].startswith("dunwell:")}

    def once(self) -> set[str]:
        """Services that end by themselves."""
        return {name for name, s in self.services.items() if s["restart"].startswith("on-failure")}


def _filled(part: Any, fill: Any) -> Any:
    if isinstance(part, dict):
        return {key: _filled(value, fill) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, fill) for value in part]
    return fill(part) if isinstance(part, str) else part


def example_variables() -> dict[str, str]:
    """What deploy/example.env names, optional ones included."""
    lines = (CHECKOUT / "deploy" / "example.env").read_text().splitlines()
    assigned = [re.match(r"(?:# )?([A-Z_]+)=(.*)", line) for line in lines]
    return {found[1]: found[2] for found in assigned if found}
