"""The ledger: each money event once, by its source's id, with balanced entries beside it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dunwell.domain.facts import PostCredit, Reschedule, ReverseCredit
from dunwell.domain.ledger import Credit, position
from dunwell.store.database import Connection
from dunwell.store.reading import read_money

Posting = Literal["posted", "known", "review"]

# What each kind of credit is booked against, beside the person's debt.
_AGAINST = {
    "payment": "cash",
    "settlement_discount": "relief",
    "write_off": "written_off",
    "sale": "sold",
    "hand_over": "handed_over",
    "withdrawal": "withdrawn",
}


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a money event, and why in words."""

    result: Posting
    says: str


async def lock_loan(connection: Connection, loan_id: str) -> str:
    """Lock the loan's row in a statement of its own; returns its currency.

    Raises: LookupError when there is no such loan.
    """
    currency = await connection.fetchval("select currency from loan where id = $1 for no key update", loan_id)
    if currency is None:
        raise LookupError(f"no loan {loan_id}")
    return str(currency)


async def conflict(connection: Connection, loan_id: str, credit: Credit) -> Posted | None:
    """What stands against posting a credit: known already, or to be looked at by a person."""
    found = await connection.fetch(
        """select loan_id, value_date, amount, kind, null as twin from money_event
           where source = $1 and external_id = $2
           union all (select loan_id, value_date, amount, kind, source from money_event
               where loan_id = $3 and value_date = $4 and amount = $5 and $6::text = 'payment'
               and source <> $1 and kind = 'payment' and reversed_on is null limit 1)""",
        credit.source, credit.id, loan_id, credit.value_date, credit.amount, credit.kind,
    )  # fmt: skip
    same_id = next((r for r in found if r["twin"] is None), None)
    if same_id is not None:
        if tuple(same_id)[:4] == (loan_id, credit.value_date, credit.amount, credit.kind):
            return Posted("known", f"{credit.source} {credit.id} is posted already")
        return Posted("review", f"{credit.source} {credit.id} was posted with other content")
    if found:
        return Posted("review", f"the same amount and value date came from {found[0]['twin']} already")
    return None


async def post(connection: Connection, loan_id: str, currency: str, credit: Credit, at: datetime) -> Posted:
    """Post a credit on a loan that is locked: event, balanced entries, version. Once."""
    stands = await conflict(connection, loan_id, credit)
    if stands is not None:
        if stands.result == "review":
            await _review(connection, loan_id, currency, credit, at, stands.says)
        return stands
    await _book(connection, loan_id, credit, at, reverses=None)
    await _raise_version(connection, loan_id, at)
    return Posted("posted", f"posted {credit.source} {credit.id}")


async def reverse(connection: Connection, loan_id: str, currency: str, back: ReverseCredit, at: datetime) -> Posted:
    """Take a wrong booking back, as if it had never been made; the entries of both stay."""
    stands = await reversal_conflict(connection, loan_id, back)
    if stands is not None:
        if stands.result == "review":
            unsure = Credit(back.source, back.reversal_id, back.on, 0)
            await _review(connection, loan_id, currency, unsure, at, stands.says)
        return stands
    amount = await connection.fetchval(
        """update money_event set reversed_on = $3 where source = $1 and external_id = $2 returning amount""",
        back.source,
        back.payment_id,
        back.on,
    )
    undone = Credit(back.source, back.reversal_id, back.on, amount)
    await _book(connection, loan_id, undone, at, reverses=back.payment_id)
    await _raise_version(connection, loan_id, at)
    return Posted("posted", f"reversed {back.source} {back.payment_id}")


async def reversal_conflict(connection: Connection, loan_id: str, back: ReverseCredit) -> Posted | None:
    """What stands against a reversal: done already, or to be looked at by a person."""
    rows = await connection.fetch(
        """select external_id, loan_id, kind, reverses, reversed_on from money_event
           where source = $1 and external_id = any($2)""",
        back.source,
        [back.payment_id, back.reversal_id],
    )
    known = {r["external_id"]: r for r in rows}
    same = known.get(back.reversal_id)
    if same is not None:
        if (same["kind"], same["reverses"]) == ("reversal", back.payment_id):
            return Posted("known", f"{back.source} {back.reversal_id} is booked already")
        return Posted("review", f"{back.source} {back.reversal_id} is the id of something else")
    payment = known.get(back.payment_id)
    if payment is None or payment["loan_id"] != loan_id or payment["kind"] == "reversal":
        return Posted("review", f"{back.source} {back.payment_id} is not posted on loan {loan_id}")
    if payment["reversed_on"] is not None:
        return Posted("known", f"{back.source} {back.payment_id} is reversed already")
    return None


async def write(
    connection: Connection, loan_id: str, currency: str, change: PostCredit | ReverseCredit | Reschedule, at: datetime
) -> None:
    """Do what a case asked of the ledger. Raises: ValueError when the ledger knows better than the case."""
    if isinstance(change, Reschedule):
        await reschedule(connection, loan_id, change, at)
        return
    if isinstance(change, PostCredit):
        posted = await post(connection, loan_id, currency, change.credit, at)
    else:
        posted = await reverse(connection, loan_id, currency, change, at)
    if posted.result == "review":
        raise ValueError(posted.says)


async def reschedule(connection: Connection, loan_id: str, change: Reschedule, at: datetime) -> None:
    """Put a new schedule in force from a date on; the ones before it stay readable."""
    money = (await read_money(connection, loan_id)).rescheduled(change.on, change.instalments)
    version = len(money.schedules) - 1
    await connection.execute(
        "insert into schedule (loan_id, version, from_on, covered) values ($1, $2, $3, $4)",
        loan_id,
        version,
        change.on,
        money.schedules[-1].covered,
    )
    await connection.executemany(
        "insert into instalment (loan_id, version, number, due_on, amount) values ($1, $2, $3, $4, $5)",
        [(loan_id, version, i.number, i.due_on, i.amount) for i in change.instalments],
    )
    await _raise_version(connection, loan_id, at)


async def _book(connection: Connection, loan_id: str, credit: Credit, at: datetime, reverses: str | None) -> None:
    kind = "reversal" if reverses else credit.kind
    sign = -1 if reverses else 1
    await connection.execute(
        """with event as (
               insert into money_event (source, external_id, loan_id, kind, value_date, amount, arrived_at, reverses)
               values ($1, $2, $3, $4, $5, $6, $7, $8))
           insert into ledger_entry (loan_id, source, external_id, account, amount, value_date, booked_at)
           values ($3, $1, $2, 'debt', $9, $5, $7), ($3, $1, $2, $10, -$9::bigint, $5, $7)""",
        credit.source, credit.id, loan_id, kind, credit.value_date, credit.amount, at, reverses,
        -sign * credit.amount, _AGAINST[credit.kind],
    )  # fmt: skip


async def _review(connection: Connection, loan_id: str, currency: str, credit: Credit, at: datetime, why: str) -> None:
    await connection.execute(
        """insert into money_review (source, external_id, loan_id, why, value_date, amount, currency, arrived_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing""",
        credit.source, credit.id, loan_id, why, credit.value_date, credit.amount or None, currency, at,
    )  # fmt: skip


async def _raise_version(connection: Connection, loan_id: str, at: datetime) -> None:
    """A new version, and the oldest unpaid due date that the daily sweep looks by."""
    money = await read_money(connection, loan_id)
    today = await connection.fetchval(
        """select ($2::timestamptz at time zone coalesce(nullif(p.time_zone, ''), 'UTC'))::date
           from loan l join person p on p.id = l.person_id where l.id = $1""",
        loan_id,
        at,
    )
    there = position(money, today)
    await connection.execute(
        "update loan set version = version + 1, oldest_unpaid_due_on = $2 where id = $1",
        loan_id,
        there.oldest_unpaid_due_on,
    )
