"""Connections and migrations."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeAlias, TypeVar

import asyncpg

T = TypeVar("T")
# Either kind works everywhere; as a string, for the driver's classes take no parameters at run time.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
# Any number, the same everywhere: two processes that migrate take turns.
_MIGRATION_LOCK = 0x44554E57

# Every statement looks rows up by key: planned once for a connection is as good as planned each time.
_SESSION = {"plan_cache_mode": "force_generic_plan", "jit": "off"}


async def _keep_session(connection: Connection) -> None:
    """No reset query on release: it would count as a commit of its own, and sets nothing here."""


async def connect(dsn: str, size: int = 10) -> asyncpg.Pool:
    """A pool of at most `size` connections. Statements are given up after 20 seconds."""
    return await asyncpg.create_pool(
        dsn, min_size=1, max_size=size, reset=_keep_session, command_timeout=20, server_settings=_SESSION
    )


def _scripts() -> list[Traversable]:
    folder = files("dunwell.store").joinpath("migrations")
    return sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)


async def missing_migrations(pool: asyncpg.Pool) -> list[str]:
    """Names of the migrations that this release needs and the database does not have yet."""
    try:
        known = {r["name"] for r in await pool.fetch("select name from migration")}
    except asyncpg.UndefinedTableError:
        known = set()
    return [script.name for script in _scripts() if script.name not in known]


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing, in order, each file in a transaction; returns the names applied."""
    connection = await asyncpg.connect(dsn)
    applied = []
    try:
        await connection.execute("select pg_advisory_lock($1)", _MIGRATION_LOCK)
        await connection.execute(
            "create table if not exists migration (name text primary key, at timestamptz default now())"
        )
        known = {r["name"] for r in await connection.fetch("select name from migration")}
        scripts = _scripts()
        for script in scripts:
            if script.name in known:
                continue
            async with connection.transaction():
                await connection.execute(script.read_text(encoding="utf-8"))
                await connection.execute("insert into migration (name) values ($1)", script.name)
            applied.append(script.name)
    finally:
        await connection.close()
    return applied


_REPEATED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_TRIES = 5


async def whole(pool: asyncpg.Pool, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` in one transaction; where PostgreSQL says it lost a race, all of it again."""
    for left in reversed(range(_TRIES)):
        try:
            async with pool.acquire() as connection, connection.transaction():
                return await work(connection)
        except _REPEATED:
            if not left:
                raise
    raise AssertionError("unreachable")
