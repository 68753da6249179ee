"""Writers of one process take turns: SQLite has no queue, and among many threads it would let some starve."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from data_access.db import Database, engine
from data_access.errors import LedgerUnavailable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'data.db'}")
    made.migrate()
    yield made
    made.close()


def in_line(database: Database) -> int:
    return len(database._writers._waiting)


def until(wanted: int, database: Database) -> None:
    deadline = time.monotonic() + 20
    while in_line(database) != wanted:
        assert time.monotonic() < deadline, f"{in_line(database)} writers wait, not {wanted}"
        time.sleep(0.001)


def test_writers_come_in_the_order_in_which_they_came(database: Database) -> None:
    order: list[int] = []

    def write(number: int) -> None:
        with database.transaction():
            order.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(30)]
    with database.transaction():
        for place, thread in enumerate(threads, 1):
            thread.start()
            until(place, database)
    for thread in threads:
        thread.join()
    assert order == list(range(30))


def test_who_waits_too_long_is_refused_and_leaves_the_line(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_TURN_SECONDS", 0.05)
    with database.transaction():
        with pytest.raises(LedgerUnavailable), database.transaction():
            raise AssertionError("two writers at once")
        assert in_line(database) == 0
    with database.transaction() as tx:
        assert tx.connection.scalar(text("SELECT 1")) == 1


def test_a_fault_inside_a_turn_gives_the_turn_on(database: Database) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), database.transaction():
            raise ZeroDivisionError
        with pytest.raises(LedgerUnavailable), database.transaction() as tx:
            tx.connection.execute(text("SELECT nothing FROM nowhere"))


def test_readers_do_not_stand_in_line(database: Database) -> None:
    with database.transaction(), database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM charges")) == 0
