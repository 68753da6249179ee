"""The same ledger on PostgreSQL: one quick case here, the whole set with `make test-postgres`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from data_access.db import Database
from data_access.errors import LedgerUnavailable
from tests.factories import ANN, BEN, BY_GU, PERIODS, copy_workspace, make_workspace
from tests.postgresql import Server

pytestmark = pytest.mark.postgresql


def test_a_question_is_charged_and_answered_on_postgresql_as_on_sqlite(
    postgresql: Server, tmp_path: Path
) -> None:
    template = make_workspace(tmp_path / "template", server=postgresql)
    template.parts.close()
    made = copy_workspace(template, tmp_path / "home", server=postgresql)
    first = made.ask(key="once")
    assert (first.charged, made.spent()) == (30_000_000, 10_000_000)
    assert made.ask(BEN, None, team="walk").answer.statement == first.answer.statement
    with pytest.raises(LedgerUnavailable), made.parts.database.transaction() as tx:
        tx.connection.execute(text("DELETE FROM charges"))
    # A server that lost the database is noticed, and nothing is asked.
    postgresql.rename(made.database_url, "lost")
    with pytest.raises(LedgerUnavailable):
        made.ask(ANN, BY_GU, fresh=True)
    postgresql.run(f"ALTER DATABASE lost RENAME TO {made.database_url.split('@/')[1].split('?')[0]}")
    assert made.ask().answer.id == first.answer.id
    assert [made.spent(period=period) for period in PERIODS] == [10_000_000] * 3
    made.parts.close()


def test_writers_queue_and_none_fails_or_reads_what_another_changed(postgresql: Server) -> None:
    database = Database(postgresql.create())
    database.migrate()

    def add(_: int) -> None:
        with database.transaction() as tx:
            last = tx.connection.scalar(text("SELECT coalesce(max(version), 0) FROM registers"))
            tx.connection.execute(
                text("INSERT INTO registers VALUES (:version, :hash, '', '', '2026')"),
                {"version": last + 1, "hash": str(last)},
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM registers")) == 40
        with pytest.raises(LedgerUnavailable), database.reading() as other:
            other.execute(text("INSERT INTO registers VALUES (0, 'x', '', '', '')"))
    database.close()


def test_processes_that_start_at_once_make_the_schema_once(postgresql: Server) -> None:
    databases = [Database(postgresql.create())]
    url = databases[0]._engine.url.render_as_string()
    databases += [Database(url) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, databases))
    with databases[0].reading() as connection:
        assert inspect(connection).has_table("charges")
    for database in databases:
        database.close()


def test_writers_who_wait_leave_connections_to_the_readers(postgresql: Server) -> None:
    database = Database(postgresql.create())
    database.migrate()

    def write(_: int) -> None:
        with database.transaction() as tx:
            tx.connection.execute(text("SELECT 1"))

    with ThreadPoolExecutor(40) as pool:
        with database.transaction():
            waiting = [pool.submit(write, number) for number in range(40)]
            deadline = time.monotonic() + 20
            while len(database._writers._waiting) < 40:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            began = time.monotonic()
            with database.reading() as connection:
                assert connection.scalar(text("SELECT count(*) FROM charges")) == 0
            assert time.monotonic() - began < 5
        for each in waiting:
            each.result()
    database.close()
