"""Who ran which cell: noted in the cell, which everybody in the room and its observers see, and in a list of the room.

Known from the browser's session with the Hub, not from what the browser says of itself. It is for people who work
together and not evidence: notebook and list belong to the room, and so does a kernel, which may write both.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

SEOUL = ZoneInfo("Asia/Seoul")
V1 = "v1.kernel.websocket.jupyter.org"
#: Bytes of the list, after which it begins anew; the one before stays beside it.
LONGEST_LIST = 2_000_000


class Attributed(ZMQChannelsWebsocketConnection):
    """A browser's connection to a kernel, which notes whose each execution is before it passes it on."""

    def handle_incoming_message(self, incoming_msg: str) -> None:
        try:
            self._note(incoming_msg)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            # Garbage is the next line's to refuse; a cell is run whether or not it could be noted.
            self.log.debug("civic: a message of a browser was not understood")
        super().handle_incoming_message(incoming_msg)

    def _note(self, incoming: Any) -> None:
        if self.subprotocol == V1:
            _, (header, _, metadata, content, *_) = deserialize_msg_from_ws_v1(incoming)
            message = {
                "header": json.loads(header),
                "metadata": json.loads(metadata),
                "content": json.loads(content),
            }
        else:
            message = json.loads(incoming)
        asked = message["content"]
        if message["header"]["msg_type"] != "execute_request" or asked.get("silent"):
            return
        cell = str(message["metadata"].get("cellId", ""))[:64]
        person = self.websocket_handler.current_user
        noting = asyncio.ensure_future(self._write(cell, str(asked["code"]), person))
        _noting.add(noting)
        noting.add_done_callback(_noting.discard)

    async def _write(self, cell: str, code: str, person: Any) -> None:
        now = datetime.now(SEOUL)
        server = self.websocket_handler.serverapp
        path = await _notebook_of(server, self.kernel_id)
        line = {
            "at": now.isoformat(timespec="seconds"),
            "person": person.username,
            "notebook": path,
            "cell": cell,
            "code_sha256": hashlib.sha256(code.encode("utf-8")).hexdigest(),
        }
        append(Path.home() / ".collaboration" / "ran.jsonl", line)
        if path and cell:
            note = {"ran_by": person.display_name or person.username, "ran_at": f"{now:%m-%d %H:%M}"}
            await _mark(server, path, cell, note)


#: A task that nothing refers to may be collected while it waits.
_noting: set[asyncio.Future[None]] = set()


def append(file: Path, line: dict[str, str]) -> None:
    """One line of JSON at the end of the list."""
    try:
        if file.stat().st_size > LONGEST_LIST:
            file.replace(file.with_suffix(".1.jsonl"))
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with open(os.open(file, flags, 0o600), "a", encoding="utf-8") as opened:
        opened.write(json.dumps(line, ensure_ascii=False) + "\n")


async def _notebook_of(server: Any, kernel: str) -> str:
    """The path of the notebook that the kernel runs for; empty for a console or none."""
    for session in await server.session_manager.list_sessions():
        if session["kernel"] and session["kernel"]["id"] == kernel and session["type"] == "notebook":
            return str(session["path"])
    return ""


async def _mark(server: Any, path: str, cell: str, note: dict[str, str]) -> None:
    """Into the shared document, if somebody has it open."""
    for app in server.extension_manager.extension_apps.get("jupyter_server_ydoc", ()):
        document = await app.get_document(path=path, content_type="notebook", file_format="json", copy=False)
        if document is None:
            continue
        for shared in document.ycells:
            if shared.get("id") == cell:
                shared["metadata"]["civic"] = note
                return
