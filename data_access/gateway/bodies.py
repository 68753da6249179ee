"""Bodies that come in: read as strictly as they are signed, and no longer than any request of ours.

Python's own reader takes what another reader of the same bytes would take otherwise or not at all: of two equal keys
it keeps the last in silence, so that one of two measures called `n` would be dropped and paid for; it knows NaN; it
guesses UTF-16; and it hands on halves of surrogate pairs, which no reply could be written with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_access.errors import MalformedRequest, RequestTooLarge

MAX_BODY_BYTES = 1_000_000
#: Read on so far, and dropped: whoever is still sending sees a broken connection instead of the refusal.
_DROPPED_BYTES = 10 * MAX_BODY_BYTES


def read_json(body: bytes) -> Any:
    """JSON in UTF-8 (RFC 8259) whose keys are distinct (RFC 7493). Raises MalformedRequest."""
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_number)
        # Written once more: an infinity that was spelt 1e400, and half a surrogate pair, show themselves.
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise MalformedRequest(where="body") from None
    return document


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError("JSON has no NaN and no infinities")


class StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """Reads bodies with `read_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


class BodyLimit:
    """Stops reading a body that is larger than any request of ours: it is read before anybody is recognised."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                while message.get("more_body") and taken < _DROPPED_BYTES:
                    message = await receive()
                    taken += len(message.get("body", b""))
                raise RequestTooLarge(maximum=MAX_BODY_BYTES)
            return message

        await self._app(scope, counted, send)
