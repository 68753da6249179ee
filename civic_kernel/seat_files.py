"""The files of a seat as JupyterLab opens them: one too large to open is refused, before it is read.

Opening means reading all of it, more than once over, in the seat's server: a notebook of 200 MB ended the server and
with it every kernel. Listing, renaming and deleting it go on, and code reads what it likes within its own memory.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from civic_kernel.settings import read_settings
from civic_kernel.texts import text

MEGABYTE = 1_000_000
#: A notebook is read, parsed, checked and written out again: some eight times its size. Another file: four times.
MOST_NOTEBOOK, MOST_FILE = 50 * MEGABYTE, 100 * MEGABYTE


class SeatFiles(AsyncLargeFileManager):
    """`--ServerApp.contents_manager_class` of every seat and room."""

    async def get(self, path: str, content: bool = True, *more: Any, **named: Any) -> dict[str, Any]:
        """As the base class's; HTTPError 413 with a sentence for whoever opens what is too large."""
        if content:
            await asyncio.to_thread(self._check_size, path)
        model: dict[str, Any] = await super().get(path, content, *more, **named)  # type: ignore[no-untyped-call]
        return model

    def _check_size(self, path: str) -> None:
        name: str = self._get_os_path(path)  # type: ignore[no-untyped-call]
        is_notebook = name.endswith(".ipynb")
        most = MOST_NOTEBOOK if is_notebook else MOST_FILE
        if os.path.isfile(name) and os.path.getsize(name) > most:
            key = "too_large.notebook" if is_notebook else "too_large.file"
            facts = {"megabytes": os.path.getsize(name) // MEGABYTE, "most": most // MEGABYTE}
            raise HTTPError(413, reason=None, log_message=text(read_settings().language, "lab", key, **facts))
