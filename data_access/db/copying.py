"""Copies of the whole database as of one moment, and putting one back. PostgreSQL's own programs do it there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url

from data_access.db.engine import Database
from data_access.errors import LedgerUnavailable

#: An address on a command line is seen by every user of the machine; libpq reads these from the environment.
_WORDS = {"host": "PGHOST", "port": "PGPORT", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


@contextmanager
def snapshot(database: Database, url: str, to: Path) -> Iterator[Connection]:
    """Writes the database into the new file `to`; what the connection reads is what was written, whatever is charged
    meanwhile. Raises LedgerUnavailable."""
    if not url.startswith("sqlite"):
        with database.reading() as connection:
            moment = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            options = ["--format=custom", "--no-owner", "--no-privileges"]
            _run(["pg_dump", *options, f"--snapshot={moment}", f"--file={to}"], url)
            yield connection
        return
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with (
            closing(_open(make_url(url).database or "", "ro")) as source,
            closing(sqlite3.connect(to)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error:
        raise LedgerUnavailable() from None
    # Immutable: a journal beside the copy would be one file more than was copied.
    engine = create_engine("sqlite://", creator=lambda: _open(str(to), "ro&immutable=1"))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def put_back(url: str, source: Path) -> None:
    """The database of `snapshot` in place of the one at `url`; a file of SQLite must have been moved away. Raises
    LedgerUnavailable."""
    if not url.startswith("sqlite"):
        options = ["--clean", "--if-exists", "--single-transaction", "--no-owner", "--no-privileges"]
        _run(["pg_restore", *options, f"--dbname={make_url(url).database}", str(source)], url)
        return
    to = Path(make_url(url).database or "")
    new = to.with_name(f".{to.name}.new")
    new.unlink(missing_ok=True)
    with (
        open(source, "rb") as read_from,
        os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as copy,
    ):
        shutil.copyfileobj(read_from, copy, 2**20)
        copy.flush()
        os.fsync(copy.fileno())
    os.link(new, to)  # never over another one
    new.unlink()


def _open(path: str, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=30)


def _run(command: list[str], url: str) -> None:
    parsed = make_url(url)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PGDATABASE": parsed.database or ""}
    given = {**parsed.query, "host": parsed.host or parsed.query.get("host"), "port": parsed.port}
    env |= {name: str(given[word]) for word, name in _WORDS.items() if given.get(word)}
    env |= {"PGUSER": parsed.username} if parsed.username else {}
    env |= {"PGPASSWORD": str(parsed.password)} if parsed.password else {}
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(command, env=env, stdin=nothing, stdout=nothing, stderr=nothing, check=False)
    except FileNotFoundError:
        raise LedgerUnavailable() from None
    if done.returncode != 0:
        raise LedgerUnavailable()
