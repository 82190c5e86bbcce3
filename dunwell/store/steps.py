"""The two transactions of a step, for every activity. The domain decides; this locks, loads, saves.

A   lock person, loan, case; keep what was heard; ask the domain; write the intent, or be done
    (the effect happens between, with the intent's key)
B   lock the same; only if the intent is still planned: outcome, next step, journal
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from dunwell.domain import events as ev
from dunwell.domain import step
from dunwell.domain.case import CaseState
from dunwell.domain.facts import Facts, LiftHold, LosePoint, PlaceHold, ReverseCredit
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import Answer, Ask, NextStep, PaymentReceived, PaymentReversed, Undecodable, decode
from dunwell.domain.outlook import next_step
from dunwell.domain.strategy import Book
from dunwell.store import ledger, outbox, people
from dunwell.store.database import Connection, whole
from dunwell.store.reading import CaseRow, lock, read_facts, read_facts_and_waiting, shown
from dunwell.store.saving import save
from dunwell.store.sealing import Personal, read_content, read_personal, seal, seal_words

Clock = Callable[[], datetime]
# What is sent is rendered inside transaction A and kept, so that a retry sends the same bytes.
Render = Callable[[step.Intent, Personal, CaseState], "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """What is said, and where to. Personal: it never leaves activity and store."""

    to: str
    subject: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ToSend:
    """An intent that is written: send this, with this key, before it expires.

    `found`: an earlier attempt wrote it and did not conclude; look it up before sending.
    `changed`: it changed what the case shows of itself, which its workflow does not know yet.
    """

    key: UUID
    attempt: int
    channel: str
    purpose: str
    text: Text
    language: str
    made_at: datetime
    expires_at: datetime
    found: bool
    changed: bool


class Steps:
    """Locks, loads and saves. `signal_sources`: whose payments a plain signal may carry."""

    def __init__(
        self, pool: asyncpg.Pool, book: Book, render: Render, signal_sources: frozenset[str] = frozenset()
    ) -> None:
        self._pool, self._book, self._render, self._signal_sources = pool, book, render, signal_sources

    async def begin(self, ask: Ask, clock: Clock, run_id: str | None = None) -> NextStep | ToSend:
        """Transaction A. A next step when nothing is to be sent (any more), else what to send."""

        async def a(c: Connection) -> NextStep | ToSend:
            return await self._begin(c, ask, clock, run_id, careful=False)

        async def message_by_message(c: Connection) -> NextStep | ToSend:
            return await self._begin(c, ask, clock, run_id, careful=True)

        try:
            return await whole(self._pool, a)
        except step.DOMAIN_ERRORS:
            # Perhaps one message is poison: then it stops only itself.
            return await whole(self._pool, message_by_message)

    async def may_send(self, ask: Ask, sending: ToSend, clock: Clock) -> str | None:
        """Ask the gate again for an intent that an earlier attempt left.

        None: it may go out. Else the code of what forbids it on today's facts.
        """

        async def again(c: Connection) -> str | None:
            row = await lock(c, UUID(ask.case_id))
            now = _not_behind(clock(), row)
            if row.state.intended is None:
                return "settled_elsewhere"
            if now >= sending.expires_at:
                return "expired"
            if await c.fetchval("select 1 from message where case_id = $1 and taken_at is null limit 1", row.id):
                return "message_waiting"
            facts = await read_facts(c, row.person_id, row.loan_id, now, self._book)
            verdict = step.regate(row.state, _not_counting(facts, sending), now)
            return None if verdict.answer == "allow" else verdict.code

        return await whole(self._pool, again)

    async def conclude(
        self,
        ask: Ask,
        sending: ToSend,
        outcome: step.Outcome,
        code: str,
        provider_id: str | None,
        clock: Clock,
        run_id: str | None = None,
    ) -> NextStep:
        """Transaction B. Whoever comes second finds the intent settled and changes nothing."""

        async def b(c: Connection) -> NextStep:
            row = await lock(c, UUID(ask.case_id))
            now = _not_behind(clock(), row)
            settled = await c.fetchval(
                """update intent set state = $2, code = $3, provider_id = $4, settled_at = $5
                   where key = $1 and state = 'planned' returning 1""",
                sending.key, outcome, code, provider_id, now,
            )  # fmt: skip
            facts = await read_facts(c, row.person_id, row.loan_id, now, self._book)
            if settled is None:
                late = await _late_truth(c, row, sending, outcome, provider_id)
                if late is None:
                    return next_step(row.state, facts, now, [], changed=True)
                corrected = step.correct(row.state, facts, now, late)
                return await self._save(c, row, corrected, now, run_id, ask, changed=True)
            worked = step.conclude(row.state, facts, now, outcome, code)
            return await self._save(c, row, worked, now, run_id, ask, changed=sending.changed)

        return await whole(self._pool, b)

    async def attend(self, ask: Ask, code: str, why: str, clock: Clock, run_id: str | None = None) -> NextStep:
        """Something could not be handled: the case waits for a person. Needs no more than that."""

        async def raise_it(c: Connection) -> NextStep:
            row = await lock(c, UUID(ask.case_id))
            now = _not_behind(clock(), row)
            await _keep(c, row, ask, now)
            facts = await read_facts(c, row.person_id, row.loan_id, now, self._book)
            # What could not be judged was not seen: its wake-ups stay, and it is judged when that can be done.
            row.loan_version, row.person_version = row.seen_loan, row.seen_person
            worked = step.attend(row.state, facts, now, code, why)
            return await self._save(c, row, worked, now, run_id, ask)

        return await whole(self._pool, raise_it)

    async def _begin(
        self, c: Connection, ask: Ask, clock: Clock, run_id: str | None, *, careful: bool
    ) -> NextStep | ToSend:
        row = await lock(c, UUID(ask.case_id))
        now = _not_behind(clock(), row)
        await _keep(c, row, ask, now)
        if row.state.intended is not None:
            found = await _found(c, row)
            if found is not None:
                return found
        facts, waiting = await read_facts_and_waiting(c, row, now, self._book)
        if not waiting and _done_already(ask, row):
            await outbox.seen(c, row.id, row.seen_loan, row.seen_person)
            # A workflow that is not where the case is may not know what the case shows either.
            behind = ask.sequence != row.state.sequence
            return next_step(row.state, facts, now, await _answers(c, row, ask), changed=behind)
        stale = ask.sequence is not None and ask.sequence != row.state.sequence
        earlier: list[Credit] = []
        heard = [await self._checked(c, row, w, earlier) for w in waiting]
        kind = "absorb" if stale else ask.kind
        worked = step.begin(row.state, facts, now, kind, heard, careful=careful)
        if waiting:
            await _took(c, row, [w.id for w in waiting], worked.answers, now)
        if worked.intent is None:
            return await self._save(c, row, worked, now, run_id, ask, changed=stale)
        return await self._intend(c, row, worked, worked.intent, now, run_id)

    async def _intend(
        self, c: Connection, row: CaseRow, worked: step.Worked, intent: step.Intent, now: datetime, run_id: str | None
    ) -> ToSend:
        """The intent is on record, and counts against the caps, before anything leaves the house."""
        key = uuid4()
        personal, persons_key = await read_personal(c, row.person_id)
        text = self._render(intent, personal, row.state)
        kept = {"to": text.to, "subject": text.subject, "text": text.text, "language": intent.language}
        await c.execute(
            """with kept as (insert into content (id, person_id, at, sealed) values ($1, $3, $8, $10))
               insert into intent (key, case_id, person_id, loan_id, number, channel, purpose, state, made_at, expires_at)
               values ($1, $2, $3, $4, $5, $6, $7, 'planned', $8, $9)""",
            key, row.id, row.person_id, row.loan_id, intent.number, intent.channel, intent.purpose, now,
            intent.expires_at, seal(persons_key, row.person_id, json.dumps(kept).encode()),
        )  # fmt: skip
        await _write(c, row, worked, now)
        await save(c, row, worked.events, now, run_id, seen=False)
        return ToSend(
            key, 1, intent.channel, intent.purpose, text, intent.language, now, intent.expires_at,
            found=False, changed=row.shown != shown(row.state),
        )  # fmt: skip

    async def _checked(self, c: Connection, row: CaseRow, said: step.Said, earlier: list[Credit]) -> step.Said:
        """Money by signal must come from a source that may, and clash with nothing posted or heard before it."""
        if said.name not in ("payment_received", "payment_reversed"):
            return said
        try:
            message = decode(said.name, said.raw)
        except Undecodable:
            return said
        source = str(getattr(message, "source", ""))
        clash = None
        if source not in self._signal_sources:
            return replace(said, problem="signals from this source may not move money")
        if isinstance(message, PaymentReceived):
            credit = Credit(message.source, message.payment_id, message.value_date, message.amount)
            clash = await ledger.conflict(c, row.loan_id, credit)
            twins = [e for e in earlier if (e.value_date, e.amount) == (credit.value_date, credit.amount)]
            if any(e.source != credit.source for e in twins):
                return replace(said, problem="the same amount and value date came from another source already")
            earlier.append(credit)
        elif isinstance(message, PaymentReversed):
            back = ReverseCredit(message.source, message.payment_id, message.reversal_id, message.on)
            clash = await ledger.reversal_conflict(c, row.loan_id, back)
        if clash is not None and clash.result == "review":
            return replace(said, problem=clash.says)
        return said

    async def _save(
        self,
        c: Connection,
        row: CaseRow,
        worked: step.Worked,
        now: datetime,
        run_id: str | None,
        ask: Ask,
        *,
        changed: bool = False,
    ) -> NextStep:
        """Writes, journal, snapshot, and the versions seen; all of it or nothing."""
        await _write(c, row, worked, now)
        await save(c, row, worked.events, now, run_id, seen=True)
        facts = worked.facts
        assert facts is not None
        answers = [*worked.answers, *await _earlier(c, row, ask, worked.answers)]
        return next_step(row.state, facts, now, answers, changed=changed or row.shown != shown(row.state))


async def _late_truth(
    c: Connection, row: CaseRow, sending: ToSend, outcome: step.Outcome, provider_id: str | None
) -> ev.ContactIntended | None:
    """An overtaken attempt learned that its message did leave: what it was, if the record says otherwise."""
    if outcome != "sent":
        return None
    number = await c.fetchval(
        """update intent set state = 'sent', provider_id = $2
           where key = $1 and state in ('abandoned', 'unknown') returning number""",
        sending.key,
        provider_id,
    )
    lines = await c.fetch(
        "select bytes from journal where case_id = $1 and kind = 'contact_intended' order by number desc", row.id
    )
    told = (ev.decode("contact_intended", json.loads(r["bytes"])["body"]) for r in lines)
    return next((t for t in told if isinstance(t, ev.ContactIntended) and t.number == number), None)


def _not_behind(now: datetime, row: CaseRow) -> datetime:
    """Now never goes behind the journal."""
    return max(now, row.last_at) if row.last_at else now


def _not_counting(facts: Facts, sending: ToSend) -> Facts:
    """The reservation of this very intent is no earlier contact."""
    others = tuple(c for c in facts.person.contacts if c.at != sending.made_at)
    return replace(facts, person=replace(facts.person, contacts=others))


async def _keep(c: Connection, row: CaseRow, ask: Ask, now: datetime) -> None:
    """Messages first, each by its own id: a retry may bring more of them than the first try."""
    with_content = [n for n in ask.heard if n.raw is not None]
    if with_content:
        said = await seal_words(c, row.person_id, [(n.raw or "").encode() for n in with_content])
        await c.execute(
            """insert into message (case_id, id, name, raw, arrived_at)
               select $1, i, n, r, $2 from unnest($3::text[], $4::text[], $5::bytea[]) as t(i, n, r)
               on conflict do nothing""",
            row.id, now, [n.id for n in with_content], [n.name for n in with_content],
            said,
        )  # fmt: skip


def _done_already(ask: Ask, row: CaseRow) -> bool:
    """Nothing is new: the step was done by an earlier attempt, or the wake-up tells nothing."""
    seen = (row.seen_loan, row.seen_person) == (row.loan_version, row.person_version)
    if not seen or row.state.last_at is None:
        return False
    if ask.sequence is not None and ask.sequence != row.state.sequence:
        return True
    asked_to_look = any(n.name in ("look_again", "opened") for n in ask.heard)
    # The first look of a run, or a mere wake-up: what was planned stands, and is taken when it is due.
    idle = ask.sequence is None or ask.kind == "absorb"
    return idle and not asked_to_look and (row.state.closed or row.state.next is not None)


async def _found(c: Connection, row: CaseRow) -> ToSend | None:
    """An intent without an outcome: an attempt died, or is slow. This attempt takes over."""
    intent = await c.fetchrow(
        """update intent set attempts = attempts + 1 where case_id = $1 and state = 'planned'
           returning key, attempts, channel, purpose, made_at, expires_at""",
        row.id,
    )
    if intent is None:
        return None
    kept = json.loads(await read_content(c, intent["key"]))
    return ToSend(
        intent["key"], intent["attempts"], intent["channel"], intent["purpose"],
        Text(kept["to"], kept["subject"], kept["text"]), kept["language"],
        intent["made_at"], intent["expires_at"], found=True, changed=True,
    )  # fmt: skip


async def _took(c: Connection, row: CaseRow, ids: Sequence[str], answers: Sequence[Answer], now: datetime) -> None:
    said = {a.id: a.model_dump_json() for a in answers}
    await c.execute(
        """update message m set taken_at = $2, answer = t.a::jsonb
           from unnest($3::text[], $4::text[]) as t(i, a) where m.case_id = $1 and m.id = t.i""",
        row.id, now, list(ids), [said.get(i) for i in ids],
    )  # fmt: skip


async def _answers(c: Connection, row: CaseRow, ask: Ask) -> list[Answer]:
    """What was answered when these messages were first taken."""
    if not ask.heard:
        return []
    rows = await c.fetch(
        "select answer from message where case_id = $1 and id = any($2) and answer is not null",
        row.id,
        [n.id for n in ask.heard],
    )
    return [Answer.model_validate_json(r["answer"]) for r in rows]


async def _earlier(c: Connection, row: CaseRow, ask: Ask, fresh: Sequence[Answer]) -> list[Answer]:
    """Answers that an attempt before this one gave, and could not deliver."""
    new = {a.id for a in fresh}
    missing = [n for n in ask.heard if n.raw is not None and n.id not in new]
    if not missing:
        return []
    return [a for a in await _answers(c, row, ask) if a.id not in new]


async def _write(c: Connection, row: CaseRow, worked: step.Worked, now: datetime) -> None:
    for change in worked.writes:
        if isinstance(change, (PlaceHold, LiftHold, LosePoint)):
            if await people.write(c, row.person_id, change):
                row.person_version += 1
                await people.wake_cases(c, row.person_id, "person_changed", str(uuid4()), now, but=row.id)
            continue
        currency = worked.facts.money.currency if worked.facts else ""
        await ledger.write(c, row.loan_id, currency, change, now)
    if worked.writes:
        row.loan_version = await c.fetchval("select version from loan where id = $1", row.loan_id)
    closed = [e for e in worked.events if isinstance(e, ev.EpisodeClosed) and e.opened_on is not None]
    if closed:
        await c.execute("update person set past_episodes = past_episodes + 1 where id = $1", row.person_id)
