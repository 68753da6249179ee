"""A PostgreSQL server of the tests' own: a temporary folder, a unix socket, no port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

#: Debian's package makes it; the server refuses to run as root.
_ACCOUNT = "postgres"
#: Without fsync: what these tests kill is the gateway, never the server.
_FAST = "-c fsync=off -c full_page_writes=off -c max_connections=200 -c listen_addresses="


@dataclass
class Server:
    folder: Path
    #: `pg_ctl` with this server's data: "start", or "stop" with its mode.
    control: Callable[..., None]
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, name: str) -> str:
        return f"postgresql://civic@/{name}?host={self.folder}"

    def create(self, template: str | None = None) -> str:
        """The address of a new database: empty, or a copy of `template`, to which nobody may be connected."""
        name = f"vault_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}" + (f" TEMPLATE {_name(template)}" if template else ""))
        return self.url(name)

    def rename(self, url: str, name: str) -> None:
        self.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(url)}'",
            f"ALTER DATABASE {_name(url)} RENAME TO {name}",
        )

    def run(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def _name(url: str) -> str:
    return url.partition("/")[2].lstrip("/").removeprefix("civic@/").partition("?")[0]


def find_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them off the PATH, one folder a version."""
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return found.parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def serving(programs: Path) -> Iterator[Server]:
    as_root = os.geteuid() == 0
    # Not under pytest's own folder: that is closed to the account of the server, and too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="civic-pg-"))
    account = (
        {"user": _ACCOUNT, "group": pwd.getpwnam(_ACCOUNT).pw_gid, "extra_groups": []} if as_root else {}
    )
    if as_root:
        shutil.chown(folder, _ACCOUNT)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        subprocess.run(  # type: ignore[call-overload]
            command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60, **account
        )

    data = str(folder / "data")

    def control(order: str, *more: str) -> None:
        options = ("-l", str(folder / "log"), "-o", f"{_FAST} -k {folder}") if order == "start" else ()
        run("pg_ctl", "-D", data, "-w", *options, *more, order)

    try:
        run("initdb", "-D", data, "-U", "civic", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        control("start")
        try:
            yield Server(folder, control)
        finally:
            control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
