"""Copying tables with PostgreSQL's own programs, which know every type and write one moment."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sqlalchemy import make_url

#: Address words → what libpq reads from the environment: an address on a command line is seen by every user.
_WORDS = {"host": "PGHOST", "port": "PGPORT", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


def dump(url: str, to: Path) -> bool:
    """Writes the database into `to`; whether that worked."""
    return _run(["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={to}"], url)


def load(url: str, source: Path) -> bool:
    """Replaces the tables that `source` has, in one transaction; whether that worked."""
    options = ["--clean", "--if-exists", "--single-transaction", "--no-owner", "--no-privileges"]
    return _run(["pg_restore", *options, f"--dbname={make_url(url).database}", str(source)], url)


def _run(command: list[str], url: str) -> bool:
    parsed = make_url(url)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PGDATABASE": parsed.database or ""}
    given = {**parsed.query, "host": parsed.host or parsed.query.get("host"), "port": parsed.port}
    env |= {name: str(given[word]) for word, name in _WORDS.items() if given.get(word)}
    env |= {"PGUSER": parsed.username} if parsed.username else {}
    env |= {"PGPASSWORD": str(parsed.password)} if parsed.password else {}
    try:
        # What they say names the server; the caller has one sentence of its own.
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0
