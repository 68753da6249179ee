"""The workspace's log stays bounded: moved aside when it is long, by whoever watches the workspace.

Hub, proxy, services and template all write to the file that they were started with, so it cannot be renamed under
them: it is copied and emptied. All of them append, hence go on at its beginning. What is written in the milliseconds
between copy and emptying is lost; a pipe through a writer of our own would lose everything when that writer dies.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from pathlib import Path

#: 60 MB altogether: some weeks of a busy workspace.
MOST_BYTES, KEPT = 10_000_000, 5
#: A log grows by megabytes only where something fails in a loop.
EVERY_SECONDS = 5.0
_HEXADECIMAL = re.compile(r"[0-9a-f]{32,}")
_QUERY = re.compile(r"(/[^\s?\"']*)\?[^\s\"')]*")


class Logs:
    """Keeps `file` under about `most` bytes, and `kept` older ones beside it: file.1 is the newest of them."""

    def __init__(self, file: Path, *, most: int = MOST_BYTES, kept: int = KEPT) -> None:
        self._file, self._most, self._kept = file, most, kept
        self._next = 0.0

    def keep(self) -> None:
        """Called again and again; looks every few seconds. A full disk or a missing file is no reason to stop."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        try:
            if self._file.stat().st_size > self._most:
                self.rotate()
        except OSError:
            return

    def rotate(self) -> None:
        """Raises OSError; the log itself is emptied also where it could not be copied: it must not fill the disk."""
        for number in range(self._kept, 1, -1):
            older = self._older(number - 1)
            if older.exists():
                older.replace(self._older(number))
        try:
            with self._file.open("rb") as source, open(self._older(1), "wb", opener=_private) as copy:
                shutil.copyfileobj(source, copy, 2**20)
        finally:
            os.truncate(self._file, 0)

    def _older(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}")


class WithoutSecrets(logging.Filter):
    """Takes what follows a `?` out of addresses, and long hexadecimal words out of everything.

    JupyterHub hides parameters by their names, and a link whose `#` somebody's messenger made a `?` has none of these.
    It also writes down each new cookie against forged requests, which holds the one that marks a browser's session."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        record.msg, record.args = _HEXADECIMAL.sub("…", _QUERY.sub(r"\1?…", message)), ()
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
