"""People and loans of a bench, and a catalogue whose contacts fall due at once."""

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from dunwell.domain.ledger import Instalment
from dunwell.intake.importing import NewLoan, NewPerson, import_loans, import_people
from dunwell.settings import CHECKOUT
from dunwell.store.sealing import Personal

OWED = 20_000  # pence: two instalments
_OLD, _YOUNG = 40, 2  # days past due: contacts begin on day 10, so that a young loan only waits


def write_catalogue(folder: Path) -> Path:
    """Our own rules and texts, with windows and caps wide open and contacts that follow each other at once.

    Whoever was never late before gets four contacts, whoever was gets two; then nothing for 30 days.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT / "templates", folder / "templates")
    (folder / "rules").mkdir()
    (folder / "strategies").mkdir()
    house = yaml.safe_load((CHECKOUT / "rules" / "house.yaml").read_text())
    every_day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    channels = ["sms", "email", "voice", "letter"]
    house["windows"] = [{"channels": channels, "days": every_day, "opens": "00:00", "closes": "23:59"}]
    house["guard_minutes_before_close"] = 0
    house["caps"] = [{"id": "week", "dates": 7, "max": 1000}]
    _write(folder / "rules" / "house.yaml", house)
    _write(folder / "strategies" / "segments.yaml", {"rules": [
        {"path": "short", "when": ["repeat"], "why": "two contacts"}, {"path": "full", "why": "four contacts"},
    ]})  # fmt: skip
    _write(folder / "strategies" / "full.yaml", _path("full", [
        ("reminder", "remind", "collection_demand", "first_reminder", "sms"),
        ("reminder", "remind", "collection_demand", "second_reminder", "email"),
        ("contact", "contact", "first_contact", "first_contact", "voice"),
        ("contact", "contact", "first_contact", "formal_contact", "letter"),
    ]))  # fmt: skip
    _write(folder / "strategies" / "short.yaml", _path("short", [
        ("reminder", "remind", "collection_demand", "first_reminder", "sms"),
        ("reminder", "remind", "collection_demand", "second_reminder", "email"),
    ]))  # fmt: skip
    return folder


def _path(name: str, contacts: Sequence[tuple[str, str, str, str, str]]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    later = ("reminder", "remind", "collection_demand", "second_reminder", "letter")
    for n, (stage, kind, purpose, template, channel) in enumerate([*contacts, later], start=1):
        due = {"offset_days": 10} if n == 1 else {"after_days": 30 if n > len(contacts) else 0}
        steps.append({
            "id": f"{name}_{n}", "title": f"contact {n}", "stage": stage, "kind": kind, "purpose": purpose,
            "template": template, "channels": [channel], **due,
        })  # fmt: skip
    return {"name": name, "title": f"{name} path", "tone": "friendly", "then": None, "steps": steps}


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False))


async def bring_in(pool: asyncpg.Pool, names: Sequence[str], today: date, *, repeat: bool, waiting: bool) -> None:
    """A person with one loan for each name. `repeat`: late before, so two contacts; `waiting`: not ripe for any."""
    people = [NewPerson(n, Personal("Ann Lee", "+447700900086", "ann@example.com"), "en", "GB", "UTC") for n in names]
    due = today - timedelta(days=_YOUNG if waiting else _OLD)
    dues = (Instalment(1, due, OWED // 2), Instalment(2, due + timedelta(days=1), OWED // 2))
    await import_people(pool, people)
    await import_loans(pool, [NewLoan(n, n, "loan", "GBP", dues) for n in names])
    if repeat:
        await pool.execute("update person set past_episodes = 1 where id = any($1)", list(names))
