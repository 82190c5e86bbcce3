"""What the sandbox provider remembers: messages, its channels' modes, and delivery reports, in one SQLite file."""

import random
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

CHANNELS = ("sms", "email", "voice", "letter", "legal", "agency")
Mode = Literal["honours_keys", "looks_up", "neither"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, key TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT NOT NULL,
    subject TEXT, language TEXT NOT NULL, purpose TEXT NOT NULL, expires_at TEXT NOT NULL,
    state TEXT NOT NULL, code TEXT NOT NULL, provider_id TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_by_key ON message (channel, key);
CREATE INDEX IF NOT EXISTS message_by_recipient ON message (recipient);
CREATE TABLE IF NOT EXISTS report (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, key TEXT NOT NULL, provider_id TEXT NOT NULL, state TEXT NOT NULL,
    code TEXT NOT NULL, due_at REAL NOT NULL, place INTEGER
);
CREATE INDEX IF NOT EXISTS report_by_place ON report (channel, place);
CREATE INDEX IF NOT EXISTS report_waiting ON report (channel, due_at) WHERE place IS NULL;
CREATE TABLE IF NOT EXISTS conduct (channel TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class Letter(BaseModel):
    """A message as it arrives at the provider."""

    to: str
    text: str
    subject: str | None
    language: str
    purpose: str
    expires_at: AwareDatetime


class Conduct(BaseModel):
    """How a channel behaves when nothing is wrong; kept over restarts.

    `refuses_expired` goes by the wall clock, so it is off for cases that live in another year.
    """

    model_config = ConfigDict(extra="forbid")

    mode: Mode = "honours_keys"
    refuses_expired: bool = False
    reports: bool = False
    undelivered_share: float = Field(default=0.0, ge=0, le=1)


class Outcome(NamedTuple):
    """What became of one message; `at` is ISO 8601 in UTC."""

    state: str
    code: str
    provider_id: str
    at: str


class KeyReusedError(Exception):
    """The key already stands for a message with other words or for somebody else."""


class PostOffice:
    """The provider's memory. One process owns the file; each message is committed before anyone is told of it.

    Raises:
        ValueError: the file cannot be opened, is no SQLite database, or belongs to a running sandbox.
    """

    def __init__(self, file: Path) -> None:
        try:
            # Requests run one by one on the loop's thread, and nothing awaits between a check and its insert.
            self._sql = sqlite3.connect(file, isolation_level=None, timeout=2)
            # Exclusive: a second sandbox on the same file would not see the first one's keys.
            self._sql.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._sql.execute("PRAGMA journal_mode = WAL")
            # Enough to survive the kill of the process, which is what this provider is for.
            self._sql.execute("PRAGMA synchronous = NORMAL")
            self._sql.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise ValueError(f"store {file}: {error}; give a writable file that no other sandbox uses") from error
        self._conduct = {channel: Conduct() for channel in CHANNELS}
        for channel, body in self._sql.execute("SELECT channel, body FROM conduct"):
            self._conduct[channel] = Conduct.model_validate_json(body)

    def close(self) -> None:
        """Write everything into the file itself and let it go."""
        self._sql.close()

    def conduct_of(self, channel: str) -> Conduct:
        """How the channel behaves."""
        return self._conduct[channel]

    def behave(self, channel: str, conduct: Conduct) -> None:
        """Change how the channel behaves, from the next message on."""
        self._sql.execute("INSERT OR REPLACE INTO conduct VALUES (?, ?)", (channel, conduct.model_dump_json()))
        self._conduct[channel] = conduct

    def forget_everything(self) -> None:
        """Begin anew: no messages, no reports, every channel's conduct as at first."""
        self._sql.executescript("BEGIN; DELETE FROM message; DELETE FROM report; DELETE FROM conduct; COMMIT")
        self._conduct = {channel: Conduct() for channel in CHANNELS}

    def let_leave(self, channel: str, key: str, letter: Letter, *, refused: bool, report_delay: float) -> Outcome:
        """Send the message to its person, or refuse it; `report_delay` in seconds.

        Raises:
            KeyReusedError: the channel honours keys and this one stands for another message.
        """
        conduct = self._conduct[channel]
        if conduct.mode == "honours_keys" and (earlier := self._earlier(channel, key, letter)):
            return earlier
        now = datetime.now(UTC)
        code = "refused" if refused else _objection(channel, letter, now if conduct.refuses_expired else None)
        outcome = Outcome("failed" if code else "sent", code or "accepted", str(uuid4()), now.isoformat())
        expires_at = letter.expires_at.isoformat()
        message = (channel, key, letter.to, letter.text, letter.subject, letter.language, letter.purpose, expires_at)
        with self._sql:
            self._sql.execute("BEGIN")
            self._sql.execute(
                "INSERT INTO message (channel, key, recipient, text, subject, language, purpose, expires_at, "
                "state, code, provider_id, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*message, *outcome),
            )
            if conduct.reports and outcome.state == "sent":
                self._promise_report(channel, key, outcome, conduct.undelivered_share, report_delay)
        return outcome

    def look_up(self, channel: str, key: str) -> Outcome | None:
        """What became of a key; if several attempts, the one that reached somebody."""
        row = self._sql.execute(
            "SELECT state, code, provider_id, at FROM message WHERE channel = ? AND key = ? "
            "ORDER BY state = 'sent' DESC, id LIMIT 1",
            (channel, key),
        ).fetchone()
        return Outcome(*row) if row else None

    def reports_after(self, channel: str, place: int, limit: int) -> list[dict[str, Any]]:
        """The reports that are due, in the order in which they became due, after the given place."""
        # Places are given when reports fall due, so a late one cannot slip in behind a reader's cursor.
        self._sql.execute(
            "UPDATE report SET place = due.place FROM (SELECT id, row_number() OVER (ORDER BY due_at, id) + "
            "(SELECT coalesce(max(place), 0) FROM report WHERE channel = :channel) AS place FROM report "
            "WHERE channel = :channel AND place IS NULL AND due_at <= :now) AS due WHERE report.id = due.id",
            {"channel": channel, "now": time.time()},
        )
        return self._rows(
            "SELECT place, key, provider_id, state, code, due_at FROM report WHERE channel = ? AND place > ? "
            "ORDER BY place LIMIT ?",
            (channel, place, limit),
        )

    def messages(self, to: str | None, limit: int) -> list[dict[str, Any]]:
        """The latest messages, newest first, to one recipient or to all."""
        return self._rows(
            'SELECT channel, key, recipient AS "to", text, subject, language, purpose, expires_at, state, code, '
            "provider_id, at FROM message WHERE :to IS NULL OR recipient = :to ORDER BY id DESC LIMIT :limit",
            {"to": to, "limit": limit},
        )

    def counts(self) -> dict[str, Any]:
        """What people received: in all, by channel, and what came to them more than once."""
        by_channel = dict(
            self._sql.execute("SELECT channel, count(*) FROM message WHERE state = 'sent' GROUP BY channel").fetchall()
        )
        most, twice_by_key = self._sql.execute(
            "SELECT coalesce(max(n), 0), coalesce(sum(n - 1), 0) FROM "
            "(SELECT count(*) AS n FROM message WHERE state = 'sent' GROUP BY channel, key)"
        ).fetchone()
        (twice_by_content,) = self._sql.execute(
            "SELECT coalesce(sum(n - 1), 0) FROM "
            "(SELECT count(*) AS n FROM message WHERE state = 'sent' GROUP BY recipient, text)"
        ).fetchone()
        (failed,) = self._sql.execute("SELECT count(*) FROM message WHERE state = 'failed'").fetchone()
        return {
            "total": sum(by_channel.values()),
            "by_channel": by_channel,
            "max_per_key": most,
            "duplicates_by_key": twice_by_key,
            "duplicates_by_content": twice_by_content,
            "failed": failed,
        }

    def _earlier(self, channel: str, key: str, letter: Letter) -> Outcome | None:
        row = self._sql.execute(
            "SELECT recipient, text, state, code, provider_id, at FROM message WHERE channel = ? AND key = ? "
            "ORDER BY state = 'sent' DESC, id LIMIT 1",
            (channel, key),
        ).fetchone()
        if row is None:
            return None
        if row[:2] != (letter.to, letter.text):
            raise KeyReusedError(key)
        return Outcome(*row[2:])

    def _promise_report(self, channel: str, key: str, outcome: Outcome, undelivered_share: float, delay: float) -> None:
        # Seeded by the key, so that a run repeated with the same keys reports the same.
        undelivered = random.Random(key).random() < undelivered_share  # noqa: S311 (a trial, to be repeated)
        state, code = ("failed", "undelivered") if undelivered else ("delivered", "delivered")
        self._sql.execute(
            "INSERT INTO report (channel, key, provider_id, state, code, due_at) VALUES (?, ?, ?, ?, ?, ?)",
            (channel, key, outcome.provider_id, state, code, time.time() + delay),
        )

    def _rows(self, query: str, values: tuple[Any, ...] | dict[str, Any]) -> list[dict[str, Any]]:
        found = self._sql.execute(query, values)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]


def _objection(channel: str, letter: Letter, now: datetime | None) -> str | None:
    if not _could_exist(channel, letter.to):
        return "invalid_address"
    return "expired" if now is not None and now >= letter.expires_at else None


def _could_exist(channel: str, address: str) -> bool:
    if channel in ("sms", "voice"):
        digits = address.removeprefix("+")
        return address.startswith("+") and digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15
    if channel == "email":
        name, at, domain = address.partition("@")
        return bool(name and at and domain) and not any(c.isspace() for c in address)
    return bool(address.strip())
