"""What people typed in the second before their room's server died is there when it comes back.

Each change goes into the store of shared documents at once and into the file a second later. When a document is opened,
jupyter-server-ydoc 3.0 compares the two and lets the file win: after `kill -9` it would take the last second back, also
from the browsers that still show it. So where the store was written after the file was last touched, the file is
brought up to the store first. Touched means its inode (ctime): a file that was moved into place is newer than the store
however old its content is.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import Any


def save_what_the_store_has() -> None:
    """Once for each process."""
    from jupyter_server_ydoc.rooms import DocumentRoom

    if hasattr(DocumentRoom.initialize, "__wrapped__"):
        return
    initialize = DocumentRoom.initialize

    @wraps(initialize)
    async def save_and_initialize(room: Any) -> None:
        if not room.ready and room.ystore is not None:
            try:
                await _bring_up(room)
            except Exception as fault:
                # Whatever it was, the room opens as it would without us.
                room.log.warning("civic: an unsaved change was not looked for (%s)", type(fault).__name__)
        await initialize(room)

    DocumentRoom.initialize = save_and_initialize


async def _bring_up(room: Any) -> None:
    from jupyter_ydoc import ydocs
    from pycrdt import Doc
    from pycrdt.store import YDocNotFound

    store, file = room.ystore, room._file
    async with store.start_lock:
        if not store.started.is_set():
            room.create_task(store.start())
            await store.started.wait()
    newest = await store.newest()
    model = await file.load_content(room.file_format, room.file_type)
    if newest <= os.stat(file._contents_manager._get_os_path(file.path)).st_ctime:
        return
    doc: Any = Doc()
    try:
        await store.apply_updates(doc)
    except YDocNotFound:
        return
    content = await ydocs.get(room.file_type, ydocs["file"])(doc).aget()
    if content != model["content"]:
        await file.maybe_save_content(
            {"type": room.file_type, "format": room.file_format, "content": content}
        )
