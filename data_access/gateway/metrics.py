"""Figures of the gateway for Prometheus: how many requests on which route, and whether the ledger answers.

No asker, team, dataset or id: a route stands there as it is written in the code. And no time, memory or processor use:
how long a private question took depends on the data, which is why its answer waits for a beat (gateway/workspace.py);
a histogram would say what the beat hides. For the same reason the library's own figures of the process are left out.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_access.audit.chain import head
from data_access.compose import Parts
from data_access.errors import LedgerUnavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: JupyterHub's own scope for its figures; the Hub's service `monitor` holds it.
READ_METRICS = "read:metrics"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Metrics:
    """One gateway's figures; `app` counts what passes through it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "civic_gateway_requests",
            "Requests that were answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._waiting = Gauge(
            "civic_gateway_requests_in_progress", "Requests that wait", registry=self._registry
        )
        self._up = Gauge("civic_gateway_ledger_up", "1 where the ledger answers", registry=self._registry)
        self._events = Gauge("civic_gateway_audit_events", "Length of the chain", registry=self._registry)

    def text(self) -> bytes:
        """Prometheus' text format."""
        try:
            with self._parts.database.reading() as connection:
                self._events.set(head(connection).seq)
            self._up.set(1)
        except LedgerUnavailable:
            self._up.set(0)
        return generate_latest(self._registry)

    def counting(self, app: ASGIApp) -> ASGIApp:
        """`app`, its requests counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = 500

            async def watched(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            with self._waiting.track_inprogress():
                try:
                    await app(scope, receive, watched)
                finally:
                    method = scope["method"] if scope["method"] in _METHODS else "other"
                    self._requests.labels(method, _route(scope), str(status)).inc()

        return counted


def _route(scope: Scope) -> str:
    """As written in the code, `/answers/{answer_id}`; `none` for an address that leads nowhere: anybody could
    fill the table with addresses of her own."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "none"
