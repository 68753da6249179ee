"""Transactions that are serialisable on both databases, and that fail closed.

One writer at a time on both: BEGIN IMMEDIATE on SQLite (WAL, synchronous=FULL), a table lock before the
first statement of a SERIALIZABLE transaction on PostgreSQL. The audit chain would serialise writers anyway,
since each event names the one before; queueing at the door spares retries of failed serialisation, which
every transaction body would have to be written for, and which starve under many askers.

The writers of one process queue before they come to the database at all. SQLite has no queue: who finds it
locked looks again after a while, and whoever comes by at the right moment goes first; among forty threads some
then find it locked for many seconds, though each holds it for a few milliseconds. On PostgreSQL those who wait
would hold every connection of the pool, and nobody could read.

Any fault of the database itself (locked for too long, read-only, full, gone) becomes LedgerUnavailable: a
question that cannot be charged is not asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from data_access.errors import LedgerUnavailable

#: For what other processes hold.
_BUSY_MILLISECONDS = 30_000
#: For the writers of this process before one: also on a machine that is busy with something else.
_TURN_SECONDS = 60.0
_CONNECT_SECONDS = 10
#: A server may be tuned to lose its last commits in a crash; a charge that was promised may not be among them.
_POSTGRESQL_OPTIONS = f"-c synchronous_commit=on -c lock_timeout={_BUSY_MILLISECONDS} -c timezone=UTC"
_POSTGRESQL_READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
#: Any number: it tells this lock from others in the same database.
_MIGRATION_LOCK = 20_260_801


@dataclass(frozen=True)
class Transaction:
    """Proof of being inside a writing transaction. Functions that record something take one."""

    connection: Connection


class Database:
    def __init__(self, url: str, *, create: bool = True) -> None:
        """Without `create` an SQLite file that is not there is a fault: an empty new ledger in its place would
        give every budget a second time.
        """
        self._is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._writers = _Queue()
        if not self._is_sqlite:
            self._engine = create_engine(
                _postgresql_url(url),
                isolation_level="SERIALIZABLE",
                connect_args={"options": _POSTGRESQL_OPTIONS, "connect_timeout": _CONNECT_SECONDS},
                # A server that was restarted costs one reconnection and no question.
                pool_pre_ping=True,
                pool_timeout=_BUSY_MILLISECONDS / 1000,
            )
            event.listen(self._engine, "checkout", _obey_server)
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
        with self._faults(), self._engine.connect() as connection:
            if not self._is_sqlite:
                # READ COMMITTED: whoever waited for the lock must see the schema that the other one made.
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                if not self._is_sqlite:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit on leaving, roll back on any exception. Raises LedgerUnavailable for faults of the database."""
        with self._faults(), self._writers.turn(), self._engine.begin() as connection:
            if not self._is_sqlite:
                # As the first statement, since a serialisable transaction sees what was there at its first
                # query: locked later, it would queue and then fail. This table is there to be locked: only
                # migrations write to it, so no vacuum ever waits for a writer.
                connection.exec_driver_sql("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
            yield Transaction(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent snapshot for reads. Raises LedgerUnavailable."""
        # REPEATABLE READ: writers queue, so any snapshot is the state between two of them, and a reader is
        # never aborted for a dependency that could not arise.
        options = {"civic_reading": True} if self._is_sqlite else _POSTGRESQL_READING
        with self._faults(), self._engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout):
            # The driver's text may carry bound values, so it goes no further than this line.
            raise LedgerUnavailable() from None

    def close(self) -> None:
        self._engine.dispose()


class _Queue:
    """One at a time, in the order of coming: a lock alone lets a newcomer overtake those who wait."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._busy = False
        self._waiting: deque[Lock] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises LedgerUnavailable where the turn does not come in time."""
        called = Lock()
        called.acquire()
        with self._guard:
            if self._busy:
                self._waiting.append(called)
            else:
                self._busy = True
                called.release()
        if not called.acquire(timeout=_TURN_SECONDS):
            with self._guard:
                # Called between the two lines above: then it is her turn all the same, and must be passed on.
                if called in self._waiting:
                    self._waiting.remove(called)
                    raise LedgerUnavailable()
        try:
            yield
        finally:
            with self._guard:
                if self._waiting:
                    self._waiting.popleft().release()
                else:
                    self._busy = False


def _create_file(url: str) -> None:
    try:
        Path(make_url(url).database or "").touch(mode=0o600)
    except OSError:
        raise LedgerUnavailable() from None


def _postgresql_url(url: str) -> URL:
    """With the driver that is installed, which `postgresql://` alone does not name."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _sqlite_url(url: str) -> URL:
    """With `mode=rw`, which never makes a file."""
    parsed = make_url(url)
    path = quote(parsed.database or "", safe="/")
    return parsed.set(database=f"file:{path}", query={"mode": "rw", "uri": "true"})


def _obey_server(connection: Any, _record: object, _proxy: object) -> None:
    # A connection that was used for reading comes back as READ WRITE, which overrides a server that was told to
    # take nothing: whether a charge is refused would depend on which connection it got.
    connection.read_only = None


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
