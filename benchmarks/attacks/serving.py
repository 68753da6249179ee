"""The gateway as it runs: a real server on a free port of this machine, and all that it logs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from benchmarks.workspace import ASKER, TEAM, Workspace
from data_access.gateway.identity import Caller, Identity
from data_access.gateway.workspace import workspace_app

PREFIX = "/services/data/v1"
ANSWERS = f"{PREFIX}/answers"


class AnyToken:
    """The Hub's identity, the one part of a gateway that is replaced: everybody is the same analyst."""

    def caller(self, token: str) -> Caller:
        return Caller(ASKER, frozenset({"custom:civic:ask", "custom:civic:read"}))


@contextmanager
def served(made: Workspace, identity: Identity | None = None) -> Iterator[httpx.Client]:
    """A client of `made`'s workspace app."""
    app = workspace_app(made.parts, identity or AnyToken())
    # As `data_access.gateway` configures it, but for the port.
    config = uvicorn.Config(app, port=0, access_log=False, log_config=None, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        headers = {"Authorization": "token any", "Content-Type": "application/json"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def question(plan: dict[str, object], rho: str) -> dict[str, object]:
    """The body of POST /v1/answers."""
    return {"plan": plan, "spend": {"rho": rho}, "team": TEAM, "purpose": "exploration"}


@contextmanager
def logged() -> Iterator[list[str]]:
    """Every line that any logger writes from INFO up, tracebacks included; the web client's own left out."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("httpx", "httpcore", "asyncio")):
                lines.append(self.format(record))

    root, keeper = logging.getLogger(), Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(keeper)
