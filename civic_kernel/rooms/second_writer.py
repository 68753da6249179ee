"""Another program writes a notebook that people have open (a run, a terminal, `git checkout`): its content replaces
theirs, as everybody sees at once. What they had, the last second included, is first kept where the restore page finds
it: nobody merges two notebooks by hand in the middle of a workshop, and nobody loses one either.

Refusing the file's new content was rejected: the room would save its own over it a second later, and what the program
wrote would be lost without anybody seeing it.

jupyter-server-ydoc 3.0 notices such a write in two places, when it looks at the file each second and when it saves, and
can be told of no other class for either; hence two methods of its classes are wrapped. tests/rooms fails where a later
version does this elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from functools import wraps
from pathlib import Path
from typing import Any

from civic_kernel.lab.history import History

_log = logging.getLogger("civic")


def keep_before_overwriting() -> None:
    """Once for each process."""
    from jupyter_server_ydoc.loaders import FileLoader
    from jupyter_server_ydoc.rooms import DocumentRoom
    from jupyter_server_ydoc.utils import OutOfBandChanges

    if hasattr(DocumentRoom._on_outofband_change, "__wrapped__"):
        return
    overwrite, save = DocumentRoom._on_outofband_change, FileLoader.maybe_save_content

    @wraps(overwrite)
    async def keep_and_overwrite(room: Any) -> None:
        pending = room._saving_document
        if pending is not None and not pending.done():
            # It has the old content in its hand and takes the file's new date for its own.
            pending.cancel()
        _keep(room._file.path, room.file_type, await room._document.aget())
        await overwrite(room)
        model = await room._file.load_content(room.file_format, room.file_type)
        if model["content"] != await room._document.aget():  # it was past being cancelled
            room._saving_document = asyncio.create_task(room._maybe_save_document(None))

    @wraps(save)
    async def keep_if_refused(file: Any, model: dict[str, Any]) -> Any:
        try:
            return await save(file, model)
        except OutOfBandChanges:
            _keep(file.path, model["type"], model["content"])
            raise

    DocumentRoom._on_outofband_change = keep_and_overwrite
    FileLoader.maybe_save_content = keep_if_refused


def _keep(path: str, kind: str, content: object) -> None:
    """Into the history behind the restore page. A fault here must not stop the room."""
    if kind != "notebook":
        return
    # As the contents manager writes it: the same content is then the same version.
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    try:
        history = History(Path.home() / ".civic" / "history.sqlite", time.time)
        try:
            history.keep(path.strip("/"), text.encode("utf-8"))
        finally:
            history.close()
    except (OSError, sqlite3.Error, ValueError) as fault:
        _log.warning("what was open was not kept (%s)", type(fault).__name__)
