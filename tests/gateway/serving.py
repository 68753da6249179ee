"""A real server in a thread: uvicorn on a free port of the loopback, and at a socket in a folder where one is named."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn


@contextmanager
def served(app: Any, path: Path | None = None) -> Iterator[str]:
    """The address of `app` while it is served; at the socket `path` too, for runs that have no other network."""
    # With its protocol named, or asyncio does not send small answers at once and each waits 40 ms for nothing.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener, socket.socket(socket.AF_UNIX) as beside:
        listener.bind(("127.0.0.1", 0))
        sockets = [listener]
        if path is not None:
            path.unlink(missing_ok=True)
            beside.bind(str(path))
            path.chmod(0o666)
            sockets.append(beside)
        for one in sockets:
            one.listen(128)
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(20)
