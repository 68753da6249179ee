"""Messages between a run's asker and the run, over a socket: JSON, each behind its length."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

#: Bytes of one message: a notebook with some maps is 5 MB.
MOST_BYTES = 64_000_000


class Channel:
    """One end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False).encode("utf-8")
        self._connection.sendall(struct.pack("!I", len(body)) + body)

    def receive(self) -> dict[str, Any] | None:
        """None at the end. Raises ValueError for what is no message, TimeoutError where the socket has a timeout."""
        head = self._exactly(4)
        if head is None:
            return None
        (size,) = struct.unpack("!I", head)
        if size > MOST_BYTES:
            raise ValueError("too long a message")
        body = self._exactly(size)
        if body is None:
            raise ValueError("a message without its end")
        message = json.loads(body)
        if not isinstance(message, dict):
            raise ValueError("no message")
        return message

    def _exactly(self, size: int) -> bytes | None:
        got = bytearray()
        while len(got) < size:
            more = self._connection.recv(min(size - len(got), 1 << 20))
            if not more:
                return None
            got += more
        return bytes(got)
