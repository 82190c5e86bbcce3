"""The person's stream: holds, contact points, and how often they were late before."""

from datetime import datetime
from uuid import UUID

from dunwell.domain.facts import LiftHold, LosePoint, PlaceHold
from dunwell.store.database import Connection
from dunwell.store.outbox import queue


async def lock_person(connection: Connection, person_id: str) -> None:
    """Lock the person's row in a statement of its own. Raises: LookupError."""
    if await connection.fetchval("select 1 from person where id = $1 for no key update", person_id) is None:
        raise LookupError(f"no person {person_id}")


async def write(connection: Connection, person_id: str, change: PlaceHold | LiftHold | LosePoint) -> bool:
    """Change the person's stream; False when it stood so already."""
    done = None
    match change:
        case PlaceHold(hold):
            done = await connection.fetchval(
                """insert into hold (id, person_id, loan_id, kind, channel, placed_at, ends_on)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning 1""",
                hold.id, person_id, hold.loan_id, hold.kind, hold.channel, hold.placed_at, hold.ends_on,
            )  # fmt: skip
        case LiftHold(kind, loan_id, at):
            done = await connection.fetchval(
                """with lifted as (
                       update hold set lifted_at = $4 where person_id = $1 and kind = $2
                       and loan_id is not distinct from $3 and lifted_at is null returning 1)
                   select count(*) from lifted""",
                person_id, kind, loan_id, at,
            )  # fmt: skip
        case LosePoint(channel):
            done = await connection.fetchval(
                """update person set points = array_remove(points, $2)
                   where id = $1 and $2 = any(points) returning 1""",
                person_id,
                channel,
            )
    if not done:
        return False
    await connection.execute("update person set version = version + 1 where id = $1", person_id)
    return True


async def wake_cases(
    connection: Connection, person_id: str, name: str, message_id: str, at: datetime, but: UUID | None = None
) -> None:
    """Every open case of the person looks again, for what touches the person touches them all."""
    cases = await connection.fetch(
        """select c.id, p.version from collection_case c join person p on p.id = c.person_id
           where c.person_id = $1 and c.stage <> 'closed' and c.id is distinct from $2 order by c.id""",
        person_id,
        but,
    )
    for case in cases:
        await queue(connection, case["id"], name, message_id, at, person_version=case["version"])
