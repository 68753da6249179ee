"""The store of a room's shared documents, bounded: a cell that prints for ten minutes must not fill the disk.

The store holds every update since a document was opened, so that somebody whose laptop slept can be told what changed.
Each line that a cell prints is an update. The file in the room's folder is the document; of the store, only the present
state and the last minutes matter.
"""

from __future__ import annotations

from typing import Any

from jupyter_server_ydoc.stores import SQLiteYStore

#: Megabytes past which histories are pressed together, the one that rested longest first.
PRESS_ABOVE = 24.0
#: Seconds of history that are kept one by one.
KEEP = 600


def _unchanged(data: bytes) -> bytes:
    return data


class BoundedStore(SQLiteYStore):  # type: ignore[misc]  # has no types
    """As jupyter-server-ydoc's own, with bounds.

    pycrdt-store 0.1.5 takes up a stored update while it presses a history together only if it also unpacks updates
    (`if self._decompress:` encloses one line too many); without, what is left is an empty document, and whoever was
    away then comes back to every cell twice. So there is something to unpack with, which changes nothing. Real
    compression would run into the other half of that fault: what is read when a document opens is not unpacked."""

    squash_history_older_than = KEEP
    cleanup_when_db_size_above = PRESS_ABOVE
    _compress = staticmethod(_unchanged)
    _decompress = staticmethod(_unchanged)
    _press_above = 0.0

    async def _cleanup_if_needed(self) -> bool:
        """Past the bound, once; then not before the store has doubled. Documents that are as large as the bound would
        else be pressed together at every key that somebody presses."""
        if await self._get_database_size_mb() <= max(self._press_above, self.cleanup_when_db_size_above):
            return False
        done: Any = await super()._cleanup_if_needed()
        self._press_above = max(self.cleanup_when_db_size_above, 2 * await self._get_database_size_mb())
        return bool(done)

    async def newest(self) -> float:
        """When the document was last written here, in seconds since 1970; 0 where it never was."""
        await self.db_initialized.wait()
        async with self.lock, self._db:
            cursor = await self._db.cursor()
            await cursor.execute("SELECT MAX(timestamp) FROM yupdates WHERE path = ?", (self.path,))
            row = await cursor.fetchone()
        return float(row[0] or 0)
