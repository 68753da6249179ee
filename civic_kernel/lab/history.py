"""Earlier contents of notebooks: one SQLite file in the home of whoever owns them, bounded in bytes.

A content is kept once, under its SHA-256, however many versions have it. Versions grow sparser with age: all of the
last ten minutes (a room saves each second while somebody types, and what was there before a slip is one of those),
then the newest of every ten seconds, minute, ten minutes, hour, day. Rejected: Git (a process for each save, and a
repository in somebody's home that she did not make), and JupyterLab's own checkpoints (one for each file).
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MINUTE, HOUR, DAY = 60, 3_600, 86_400
#: (age up to which, seconds of which the newest version stays); older ones: a day; younger ones: all.
SLOTS = ((HOUR, 10), (2 * HOUR, MINUTE), (DAY, 10 * MINUTE), (7 * DAY, HOUR))
ALL = 10 * MINUTE
#: Compressed bytes of one home's history.
MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class Version:
    """One content that `path` (relative, with slashes) had at `taken_at` (seconds since 1970)."""

    id: int
    path: str
    taken_at: int
    sha256: bytes


class History:
    """One thread at a time. Raises sqlite3.Error where the disk is full or the file was damaged."""

    def __init__(self, file: Path, now: Callable[[], float], most: int = MOST_BYTES) -> None:
        self._now, self._most = now, most
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._db = _open(file)
        except sqlite3.DatabaseError:
            # It lies in a home, where anything may have been written over it. What it was stays beside.
            file.replace(file.with_suffix(".damaged"))
            self._db = _open(file)

    def close(self) -> None:
        self._db.close()

    def keep(self, path: str, content: bytes) -> bool:
        """Keep `content` as the newest of `path`; False where it is that already."""
        digest = hashlib.sha256(content).digest()
        newest = self._db.execute(
            "SELECT sha256 FROM version WHERE path = ? ORDER BY id DESC LIMIT 1", (path,)
        ).fetchone()
        if newest and newest[0] == digest:
            return False
        now = int(self._now())
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO content VALUES (?, ?)", (digest, zlib.compress(content, 6))
            )
            self._db.execute(
                "INSERT INTO version (path, taken_at, sha256) VALUES (?, ?, ?)", (path, now, digest)
            )
            self._thin(path, now)
            self._make_room()
        return True

    def paths(self) -> list[Version]:
        """The newest version of each notebook, the latest first."""
        return self._versions("id IN (SELECT max(id) FROM version GROUP BY path)", ())

    def versions(self, path: str) -> list[Version]:
        """Newest first."""
        return self._versions("path = ?", (path,))

    def version(self, number: int) -> Version | None:
        return next(iter(self._versions("id = ?", (number,))), None)

    def before(self, version: Version) -> Version | None:
        """The version of the same notebook that came before."""
        earlier = self._versions("path = ? AND id < ?", (version.path, version.id))
        return earlier[0] if earlier else None

    def content(self, version: Version) -> bytes:
        """Raises LookupError where it made room for newer ones meanwhile."""
        row = self._db.execute("SELECT data FROM content WHERE sha256 = ?", (version.sha256,)).fetchone()
        if row is None:
            raise LookupError(version.id)
        return zlib.decompress(row[0])

    def move(self, old: str, new: str) -> None:
        """A notebook, or a folder with notebooks in it, has another name now."""
        with self._db:
            self._db.execute("UPDATE version SET path = ? WHERE path = ?", (new, old))
            self._db.execute(
                "UPDATE version SET path = ? || substr(path, ?) WHERE substr(path, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, old + "/"),
            )

    def _versions(self, where: str, values: tuple[object, ...]) -> list[Version]:
        rows = self._db.execute(
            f"SELECT id, path, taken_at, sha256 FROM version WHERE {where} ORDER BY id DESC", values
        )
        return [Version(*row) for row in rows]

    def _thin(self, path: str, now: int) -> None:
        seen: set[tuple[int, int]] = set()
        extra = []
        for version in self.versions(path):
            if now - version.taken_at < ALL:
                continue
            width = next((width for age, width in SLOTS if now - version.taken_at < age), DAY)
            slot = (width, version.taken_at // width)
            if slot in seen:
                extra.append(version)
            seen.add(slot)
        self._drop(extra)

    def _make_room(self) -> None:
        """Older versions go first, a notebook's only one last."""
        while self._bytes() > self._most:
            found = self._versions("id NOT IN (SELECT max(id) FROM version GROUP BY path)", ())
            found = found or self.paths()[1:]
            if not found:
                return
            self._drop(found[-max(1, len(found) // 10) :])

    def _bytes(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(length(data)), 0) FROM content").fetchone()[0])

    def _drop(self, versions: list[Version]) -> None:
        self._db.executemany("DELETE FROM version WHERE id = ?", [(version.id,) for version in versions])
        self._db.executemany(
            "DELETE FROM content WHERE sha256 = ?1 AND NOT EXISTS (SELECT 1 FROM version WHERE sha256 = ?1)",
            [(version.sha256,) for version in versions],
        )


def _open(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, check_same_thread=False)
    db.executescript(
        """
        PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS content (sha256 BLOB PRIMARY KEY, data BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS version (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            path TEXT NOT NULL,
            taken_at INTEGER NOT NULL,
            sha256 BLOB NOT NULL
        );
        CREATE INDEX IF NOT EXISTS version_path ON version (path, id);
        CREATE INDEX IF NOT EXISTS version_content ON version (sha256);
        """
    )
    file.chmod(0o600)
    return db
