"""The embedded PostgreSQL is as durable as one in production, and says clearly why it cannot start."""

import socket
from pathlib import Path

import asyncpg
import psutil
import pytest

from dunwell.local.postgres import EmbeddedPostgres, NoPostgres
from dunwell.local.processes import PortTaken


async def test_committed_rows_survive_a_crash_and_uncommitted_ones_do_not(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as server:
        connection = await asyncpg.connect(server.dsn())
        assert await connection.fetchval("show fsync") == "on"
        await connection.execute("create table payment (id int)")
        await connection.execute("insert into payment values (1)")
        unfinished = connection.transaction()
        await unfinished.start()
        await connection.execute("insert into payment values (2)")
        port = server.port

        await server.crash()
        connection.terminate()
        await server.start()

        assert server.port == port
        connection = await asyncpg.connect(server.dsn())
        assert await connection.fetchval("select array_agg(id) from payment") == [1]
        await connection.close()


async def test_a_folder_keeps_its_rows_for_the_next_server_and_no_process_stays(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as first:
        connection = await asyncpg.connect(first.dsn())
        await connection.execute("create table loan as select 7 as id")
        await connection.close()
        pid = first.pid
    assert not psutil.pid_exists(pid)

    async with EmbeddedPostgres(tmp_path) as second:
        connection = await asyncpg.connect(second.dsn())
        assert await connection.fetchval("select id from loan") == 7
        await connection.close()


async def test_a_folder_in_use_is_refused_with_the_remedy(postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(NoPostgres, match="in use by another PostgreSQL"):
        await EmbeddedPostgres(postgres_server.folder).start()


async def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"PostgreSQL: port {port} .* is taken .* name another port"):
            await EmbeddedPostgres(tmp_path, port=port).start()


async def test_without_the_password_nobody_gets_in(postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=postgres_server.port, user="dunwell", password="guess")


async def test_two_hundred_connections_fit_and_their_cpu_is_counted(postgres_server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres_server.dsn())
    assert await connection.fetchval("show max_connections") == "200"
    before = postgres_server.cpu_seconds()
    await connection.execute("select sum(sqrt(n)) from generate_series(1, 1000000) n")
    await connection.close()

    assert postgres_server.cpu_seconds() > before
