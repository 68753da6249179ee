"""Transactions that are serialisable on both databases, and that fail closed.

SQLite: one writer at a time through BEGIN IMMEDIATE, WAL, synchronous=FULL. PostgreSQL: SERIALIZABLE. Any
fault of the database itself (locked for too long, read-only, full, gone) becomes LedgerUnavailable: a
question that cannot be charged is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from data_access.errors import LedgerUnavailable

_BUSY_MILLISECONDS = 10_000


@dataclass(frozen=True)
class Transaction:
    """Proof of being inside a writing transaction. Functions that record something take one."""

    connection: Connection


class Database:
    def __init__(self, url: str, *, create: bool = True) -> None:
        """Without `create` an SQLite file that is not there is a fault: an empty new ledger in its place would
        give every budget a second time.
        """
        if make_url(url).get_backend_name() != "sqlite":
            self._engine = create_engine(url, isolation_level="SERIALIZABLE")
            return
        # No pool: each transaction opens the file by its name, so one that was moved away or replaced is
        # noticed at once; a kept connection would go on charging a ledger that nobody can find.
        if create:
            _create_file(url)
        self._engine = create_engine(_sqlite_url(url), poolclass=NullPool)
        event.listen(self._engine, "connect", _configure_sqlite)
        event.listen(self._engine, "begin", _begin_immediate)

    def migrate(self) -> None:
        """Bring the schema to the newest version (Alembic). Raises LedgerUnavailable."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self.transaction() as tx:
            config.attributes["connection"] = tx.connection
            command.upgrade(config, "head")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit on leaving, roll back on any exception. Raises LedgerUnavailable for faults of the database."""
        try:
            with self._engine.begin() as connection:
                yield Transaction(connection)
        except (DBAPIError, PoolTimeout):
            # The driver's text may carry bound values, so it goes no further than this line.
            raise LedgerUnavailable() from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent snapshot for reads. Raises LedgerUnavailable."""
        try:
            with self._engine.connect().execution_options(civic_reading=True) as connection:
                yield connection
        except (DBAPIError, PoolTimeout):
            raise LedgerUnavailable() from None

    def close(self) -> None:
        self._engine.dispose()


def _create_file(url: str) -> None:
    try:
        Path(make_url(url).database or "").touch(mode=0o600)
    except OSError:
        raise LedgerUnavailable() from None


def _sqlite_url(url: str) -> URL:
    """With `mode=rw`, which never makes a file."""
    parsed = make_url(url)
    path = quote(parsed.database or "", safe="/")
    return parsed.set(database=f"file:{path}", query={"mode": "rw", "uri": "true"})


def _configure_sqlite(connection: Any, _record: object) -> None:
    # SQLAlchemy emits BEGIN itself (below): the driver's own deferred BEGIN would let two writers both read
    # the same balance before either writes.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        # First, since changing the journal may have to wait as well.
        f"busy_timeout={_BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    reading = connection.get_execution_options().get("civic_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
