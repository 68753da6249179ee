"""Backups of the workspace's side: its tables and JupyterHub's, homes and rooms, keys, published pages.

Made while everybody works. Tables are copied by their database as of one moment. A home is read by a process that
has become its owner: root that walked through a folder of somebody else's could be led out of it by a link, and
would then put what it found there into her own home at the next restore. Files that change meanwhile are as they were
when they were read.

The vault has a backup of its own (`civic vault backup`): whoever may read a ledger need not be able to read homes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hub_config.errors import BackupRefused
from hub_config.operations.postgresql import dump, load
from hub_config.settings import Settings

MANIFEST = "manifest.json"
FORMAT = "civic-hub-backup-1"
#: Files of the Hub's own tables, below hub/.
TABLES = ("jupyterhub.sqlite", "workspace.sqlite")
#: Below CIVIC_HOME. Without cards.key no card opens anything, without cookie_secret everybody signs in anew.
KEYS = ("hub/cards.key", "hub/cookie_secret", "hub/monitor.token", "hub/proxy.token", "reports.token")
#: Folders of folders, each of these one archive with its owner.
OWNED = ("homes", "rooms")
#: Folders that are one archive each. Of the runs the releases alone: the site is built from them after their approval.
WHOLE = ("site", "public", "runs/releases")
#: Made anew at each start, or wrong by the time of a restore: a store of collaboration that is older than its notebook
#: would put old cells beside new ones.
_LEFT_OUT = (".tmp", ".cache", ".server.log", ".collaboration", ".local/share/jupyter/runtime")
_LEFT_OUT_ALSO = (".local/share/jupyter/file_id_manager.db*", "*/.ipynb_checkpoints")

Say = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Part:
    """One file of a backup. `owner` is an offset from CIVIC_UID_BASE for homes and rooms, -1 where root owns it."""

    file: str
    sha256: str
    size: int
    owner: int = -1


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `made_at` in seconds since 1970; `tables` is `sqlite` or `postgresql`."""

    made_at: int
    tables: str
    parts: tuple[Part, ...]

    def of(self, folder: str) -> list[Part]:
        return [part for part in self.parts if part.file.startswith(f"{folder}/")]


def make(settings: Settings, folder: Path, say: Say = lambda *_: None) -> Path:
    """A new backup below `folder`, closed to others; its path. Complete or absent: it is built under another name.

    Raises BackupRefused: `exists`, `cannot_write`, `tables` (the database did not give a copy), `home` (an archive
    could not be made)."""
    now = int(time.time())
    name = time.strftime("civic-%Y%m%d-%H%M%S", time.gmtime(now))
    made, new = folder / name, folder / f".{name}.new"
    if made.exists():
        raise BackupRefused(reason="exists")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        kind = _copy_tables(settings, new / "tables")
        _copy_keys(settings, new / "keys")
        owners = _archive(settings, new, say)
        parts = tuple(
            Part(name, *_digest(path), owners.get(name, -1))
            for path in sorted(new.rglob("*"))
            if path.is_file() and (name := path.relative_to(new).as_posix())
        )
        document = {
            "format": FORMAT,
            "made_at": now,
            "tables": kind,
            "parts": [asdict(part) for part in parts],
        }
        (new / MANIFEST).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        new.rename(made)
    except OSError:
        raise BackupRefused(reason="cannot_write") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return made


def read(backup: Path) -> Manifest:
    """What the backup says of itself. Raises BackupRefused (`unreadable`)."""
    try:
        document = json.loads((backup / MANIFEST).read_text("utf-8"))
        if document["format"] != FORMAT:
            raise ValueError
        parts = tuple(Part(**part) for part in document["parts"])
        if any(Path(p.file).is_absolute() or ".." in Path(p.file).parts for p in parts):
            raise ValueError
        return Manifest(int(document["made_at"]), str(document["tables"]), parts)
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupRefused(reason="unreadable") from None


def check(backup: Path, say: Say = lambda *_: None) -> Manifest:
    """Every file is there with its bytes, every archive opens, every table file is whole. Raises BackupRefused."""
    manifest = read(backup)
    for number, part in enumerate(manifest.parts, 1):
        say("check", number, len(manifest.parts))
        path = backup / part.file
        try:
            found = _digest(path)
        except OSError:
            raise BackupRefused(reason="damaged", file=part.file) from None
        whole = found == (part.sha256, part.size)
        if whole and part.file.endswith(".tar.gz"):
            whole = _run(["tar", "--list", "--gzip", "--file", str(path)], None, subprocess.DEVNULL)
        if whole and part.file.endswith(".sqlite"):
            whole = _is_whole(path)
        if not whole:
            raise BackupRefused(reason="damaged", file=part.file)
    return manifest


def replaced(settings: Settings, manifest: Manifest) -> list[str]:
    """What a restore would take the place of: files and folders below CIVIC_HOME, and `database`."""
    files = [*KEYS, *(f"hub/{name}" for name in TABLES if manifest.tables == "sqlite")]
    found = [name for name in files if (settings.home / name).exists()]
    for top in OWNED:
        homes = [part.file.removesuffix(".tar.gz") for part in manifest.of(top)]
        found += [name for name in homes if (settings.home / name).exists()]
    found += [name for name in WHOLE if any((settings.home / name).glob("*"))]
    return [*found, "database"] if manifest.tables == "postgresql" else found


def restore(settings: Settings, backup: Path, say: Say = lambda *_: None) -> Path | None:
    """Puts everything of a checked backup back; nothing may run. What stood there is moved to a folder below
    CIVIC_HOME, which is returned (None: nothing stood there); tables of PostgreSQL are replaced in one transaction.

    Raises BackupRefused, also `other_database` where the workspace keeps its tables in another kind."""
    manifest = check(backup, say)
    kind = "postgresql" if settings.hub_database_url else "sqlite"
    if manifest.tables != kind:
        raise BackupRefused(reason="other_database")
    aside = settings.home / time.strftime("replaced-%Y%m%d-%H%M%S", time.gmtime())
    try:
        moved = [
            _move_aside(settings, name, aside) for name in replaced(settings, manifest) if name != "database"
        ]
        # Journals of the tables that were moved; with another table beside it one is read as that one's.
        for name in TABLES:
            for journal in (f"hub/{name}-wal", f"hub/{name}-shm", f"hub/{name}-journal"):
                if (settings.home / journal).exists():
                    _move_aside(settings, journal, aside)
        if kind == "postgresql" and not load(settings.hub_database_url, backup / "tables" / "tables.dump"):
            raise BackupRefused(reason="tables")
        for name in TABLES if kind == "sqlite" else ():
            with suppress(FileNotFoundError):  # of a workspace whose Hub never ran
                _copy(backup / "tables" / name, settings.home / "hub" / name)
        for name in KEYS:
            with suppress(FileNotFoundError):  # an older workspace had fewer
                _copy(backup / "keys" / Path(name).name, settings.home / name)
        archives = [part for top in OWNED for part in manifest.of(top)]
        for number, part in enumerate(archives, 1):
            say("restore", number, len(archives))
            _unpack_home(settings, backup / part.file, part)
        for top in WHOLE:
            _unpack_whole(settings, backup / _archive_of(top), top)
    except OSError:
        raise BackupRefused(reason="cannot_write") from None
    return aside if moved else None


def _copy_tables(settings: Settings, to: Path) -> str:
    to.mkdir(mode=0o700)
    if settings.hub_database_url:
        if not dump(settings.hub_database_url, to / "tables.dump"):
            raise BackupRefused(reason="tables")
        return "postgresql"
    for name in TABLES:
        path = settings.home / "hub" / name
        if path.exists():
            os.close(os.open(to / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to / name)) as copy:
                    source.backup(copy)
            except sqlite3.Error:
                raise BackupRefused(reason="tables") from None
    return "sqlite"


def _copy_keys(settings: Settings, to: Path) -> None:
    to.mkdir(mode=0o700)
    for name in KEYS:
        if (settings.home / name).exists():
            _copy(settings.home / name, to / Path(name).name)


def _copy(source: Path, to: Path) -> None:
    with open(source, "rb") as read_from, open(to, "xb", opener=_private) as write_to:
        shutil.copyfileobj(read_from, write_to, 2**20)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _archive(settings: Settings, new: Path, say: Say) -> dict[str, int]:
    """Archives of all homes, rooms and folders; file → offset of its owner."""
    homes = [home for top in OWNED for home in _folders(settings.home / top)]
    owners = {}
    for number, home in enumerate(homes, 1):
        say("make", number, len(homes))
        (new / home.parent.name).mkdir(mode=0o700, exist_ok=True)
        file, uid = f"{home.parent.name}/{home.name}.tar.gz", home.lstat().st_uid
        owners[file] = uid - settings.uid_base if settings.is_root else -1
        left_out = [f"--exclude=./{name}" for name in (*_LEFT_OUT, *_LEFT_OUT_ALSO)]
        _pack(home, new / file, uid if settings.is_root else None, left_out)
    for top in WHOLE:
        if (settings.home / top).is_dir():
            uid = (settings.home / top).lstat().st_uid
            _pack(settings.home / top, new / _archive_of(top), uid if settings.is_root else None, [])
    return owners


def _folders(parent: Path) -> Iterator[Path]:
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield path


def _pack(folder: Path, to: Path, uid: int | None, more: list[str]) -> None:
    """Raises BackupRefused. tar ends with 1 where a file changed while it was read, which is no fault; what the owner
    cannot read is somebody else's, and stays out."""
    command = ["tar", "--create", "--gzip", "--one-file-system", "--ignore-failed-read", *more, "."]
    with open(to, "xb", opener=_private) as file:
        if not _run(command, uid, file, cwd=folder, also=(1,)):
            raise BackupRefused(reason="home", file=to.name.removesuffix(".tar.gz"))


def _unpack_home(settings: Settings, archive: Path, part: Part) -> None:
    home = settings.home / part.file.removesuffix(".tar.gz")
    home.mkdir(mode=0o700, parents=True)
    uid = settings.uid_base + part.owner if settings.is_root else None
    if uid is not None:
        if not 0 <= part.owner < 20_000:  # persons and rooms: nothing else owns a home
            raise BackupRefused(reason="damaged", file=part.file)
        os.chown(home, uid, uid)
    _unpack(archive, home, uid)


def _archive_of(top: str) -> str:
    return f"{top.replace('/', '-')}.tar.gz"


def _unpack_whole(settings: Settings, archive: Path, top: str) -> None:
    if not archive.exists():
        return
    folder = settings.home / top
    if not folder.exists():
        folder.mkdir(mode=0o755)
        above = folder.parent.stat()
        os.chown(folder, above.st_uid, above.st_gid)
    _unpack(archive, folder, folder.lstat().st_uid if settings.is_root else None)


def _unpack(archive: Path, folder: Path, uid: int | None) -> None:
    # As its owner, into her own folder: whatever the archive says, it can do no more than she could.
    with open(archive, "rb") as file:
        command = ["tar", "--extract", "--gzip", "--no-same-owner", "--preserve-permissions"]
        if not _run(command, uid, subprocess.DEVNULL, cwd=folder, stdin=file):
            raise BackupRefused(reason="damaged", file=archive.name)


def _move_aside(settings: Settings, name: str, aside: Path) -> str:
    to = aside / name
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = settings.home / name
    if name in WHOLE:
        # The folder itself stays, with its owner: only what is in it goes.
        to.mkdir(mode=0o700)
        for path in source.iterdir():
            path.rename(to / path.name)
    else:
        source.rename(to)
    return name


def _run(
    command: list[str],
    uid: int | None,
    out: object,
    *,
    cwd: Path | None = None,
    stdin: object = subprocess.DEVNULL,
    also: tuple[int, ...] = (),
) -> bool:
    """Whether it ended well. As `uid`, with no group but hers. What it says names files of hers, so nobody hears."""
    who = {} if uid is None else {"user": uid, "group": os.stat(cwd or "/").st_gid or uid, "extra_groups": []}
    done = subprocess.run(  # type: ignore[call-overload]
        command,
        cwd=cwd,
        stdin=stdin,
        stdout=out,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        check=False,
        **who,
    )
    return done.returncode in (0, *also)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _is_whole(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except sqlite3.Error:
        return False
