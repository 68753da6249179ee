"""When a notebook's content is kept: at each save, just before something else is overwritten, and every minute.

The last is for what another program writes (a run, a terminal, a second server): nobody tells us of that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from civic_kernel.lab.history import History

#: Seconds between two looks at the notebooks that were opened here.
EVERY = 60.0
#: Bytes. A larger notebook is kept without its outputs, one larger than the second not at all: reading it would
#: keep everybody in the room waiting.
MOST_WITH_OUTPUTS, MOST = 8_000_000, 64_000_000
#: Notebooks that are looked at; somebody who opened more had the last of them in front of her.
MOST_WATCHED = 200


class Keeper:
    """Keeps what happens to notebooks under `root`. Nothing here may make a save fail: each fault is logged, and the
    restore page says that the last attempt failed.
    """

    def __init__(self, history: History, root: Path, log: logging.Logger) -> None:
        self.history = history
        self.failed = False
        self.root, self._log = root, log
        #: path -> (nanoseconds of its last change, bytes), as they were when it was looked at
        self._seen: dict[str, tuple[int, int]] = {}

    def before_save(self, *, path: str, **_: Any) -> None:
        """Hook of the contents manager: what lies there was perhaps written by somebody else."""
        self.look_at(path.strip("/"))

    def after_save(self, *, os_path: str, **_: Any) -> None:
        """Hook of the contents manager. A fault that left it would be told as a failed save."""
        path = self._path_of(os_path)
        if path is not None:
            self.look_at(path, at_once=True)

    async def told(self, logger: object, schema_id: str, data: dict[str, Any]) -> None:
        """Listener of the contents manager's events."""
        path = str(data["path"]).strip("/")
        if data["action"] == "get":
            self.look_at(path)
        elif data["action"] == "rename":
            old = str(data["source_path"]).strip("/")
            self._guarded(lambda: self.history.move(old, path))
            self._seen = {
                path + seen.removeprefix(old) if seen == old or seen.startswith(old + "/") else seen: state
                for seen, state in self._seen.items()
            }

    async def look_every_minute(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            for path in list(self._seen):
                self.look_at(path)
                await asyncio.sleep(0)

    def look_at(self, path: str, at_once: bool = False) -> None:
        """Keep the notebook's content if it has changed since it was last looked at. `at_once`: without comparing."""
        if not path.endswith(".ipynb"):
            return
        self._guarded(lambda: self._look_at(path, at_once))

    def is_there(self, path: str) -> bool:
        """Whether the notebook exists now; of one that was deleted there is only history."""
        return (self.root / path).is_file()

    def _look_at(self, path: str, at_once: bool) -> None:
        with _opened(self.root / path) as descriptor:
            if descriptor is None:
                return
            told = os.fstat(descriptor)
            state = (told.st_mtime_ns, told.st_size)
            if not at_once and self._seen.get(path) == state:
                return
            if told.st_size > MOST:
                self._log.warning("civic: a notebook of %d bytes is too large to be kept", told.st_size)
                self.failed = True
            else:
                content = _read(descriptor, told.st_size)
                self.history.keep(path, content if told.st_size <= MOST_WITH_OUTPUTS else _bare(content))
                self.failed = False
        self._seen.pop(path, None)
        self._seen[path] = state  # the last of the dictionary: the latest
        while len(self._seen) > MOST_WATCHED:
            del self._seen[next(iter(self._seen))]

    def _guarded(self, act: Any) -> None:
        try:
            act()
        except (OSError, sqlite3.Error, ValueError, TypeError, KeyError) as fault:
            # Its kind alone: the text may quote a path.
            self._log.warning("civic: a notebook's content was not kept (%s)", type(fault).__name__)
            self.failed = True

    def _path_of(self, os_path: str) -> str | None:
        try:
            return Path(os_path).relative_to(self.root).as_posix()
        except ValueError:
            return None


class _opened:
    """The descriptor of a regular file, or None: a pipe called `x.ipynb` would be waited for, for ever."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> int | None:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return self._descriptor if stat.S_ISREG(os.fstat(self._descriptor).st_mode) else None

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _read(descriptor: int, size: int) -> bytes:
    return b"".join(_pieces(descriptor, size))


def _pieces(descriptor: int, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := os.read(descriptor, min(size, 1 << 20))):
        size -= len(piece)
        yield piece


def _bare(content: bytes) -> bytes:
    """The notebook without its outputs. Raises ValueError, TypeError or KeyError for what is no notebook."""
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if "outputs" in cell:
            cell["outputs"], cell["execution_count"] = [], None
    return json.dumps(notebook, ensure_ascii=False).encode()
