"""The same ledger on PostgreSQL: one quick case here, the whole set with `make test-postgres`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect, text

from data_access.db import Database, engine
from data_access.errors import LedgerUnavailable
from tests.factories import ANN, BEN, BY_GU, PERIODS, Workspace, copy_workspace, make_workspace
from tests.ledger.test_charging import RHO
from tests.ledger.test_faults import MeanwhileNoise, records
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


@pytest.fixture
def on_server(postgresql: Server, tmp_path: Path) -> Iterator[Workspace]:
    made = make_workspace(tmp_path / "home", server=postgresql)
    yield made
    made.parts.close()


def test_a_server_that_stops_in_the_middle_gives_no_answer_and_charges_once(
    postgresql: Server, on_server: Workspace
) -> None:
    # Killed as a power cut would, between the charge and the answer.
    on_server.reopen(noise=MeanwhileNoise(lambda: postgresql.control("stop", "-m", "immediate")))
    try:
        with pytest.raises(LedgerUnavailable):
            on_server.ask()
        with pytest.raises(LedgerUnavailable):
            on_server.ask()
    finally:
        postgresql.control("start")
    assert records(on_server) == (1, 0)
    assert on_server.ask().charged == 0
    assert ([on_server.spent(period=period) for period in PERIODS], records(on_server)) == ([RHO] * 3, (1, 1))


def test_a_server_that_takes_nothing_or_is_held_by_another_is_refused_and_nothing_is_read(
    postgresql: Server, on_server: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = on_server.ask(ANN, BY_GU)
    name = on_server.parts.database._engine.url.database
    noise = MeanwhileNoise(lambda: None)
    postgresql.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    on_server.parts.close()
    # What begins now finds it read-only, as after a failover to a standby.
    with pytest.raises(LedgerUnavailable):
        on_server.ask(ANN, BY_GU, fresh=True)
    postgresql.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    monkeypatch.setattr(engine, "_POSTGRESQL_OPTIONS", "-c lock_timeout=200")
    on_server.reopen(noise=noise)
    with psycopg.connect(on_server.database_url) as other:
        other.execute("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(LedgerUnavailable):
            on_server.ask(ANN, BY_GU, fresh=True)
        assert on_server.ask(ANN, BY_GU).answer == first.answer
    assert (noise.calls, records(on_server)) == (0, (1, 1))
    assert on_server.ask(ANN, BY_GU, fresh=True).charged == 3 * RHO


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
