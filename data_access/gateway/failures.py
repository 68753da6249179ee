"""One envelope for every failure: {"code", "message", "remedy", "request_id"}.

The sentences come from `templates/locale/*/errors.po`; what the exception carries beyond its public facts
goes nowhere. An unforeseen fault is logged by its type and place alone, since its text may hold a value.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_access.canonical import random_id
from data_access.errors import CivicError, Fact, InternalFault, MalformedRequest, NotFound, Phrase
from data_access.gateway.bodies import BodyLimit
from data_access.texts import Language, preferred_language, text

log = logging.getLogger("civic.gateway")


def envelope(error: CivicError, language: Language, request_id: str) -> dict[str, str]:
    facts = {name: _in_words(fact, language) for name, fact in error.facts.items()}
    return {
        "code": error.code,
        "message": text(language, "errors", f"{error.code}.message", **facts),
        "remedy": text(language, "errors", f"{error.code}.remedy", **facts),
        "request_id": request_id,
    }


def _in_words(fact: Fact, language: Language) -> str | int:
    if isinstance(fact, Phrase):
        return text(language, fact.domain, fact.key, **dict(fact.facts))
    if isinstance(fact, str):
        # A name of the asker's own comes back in its refusal: what turns the direction of a line, moves the cursor
        # of a terminal, or cannot be written in UTF-8 at all, does not.
        return "".join(letter if letter.isprintable() else "?" for letter in fact)
    return fact


def add_failure_handlers(app: FastAPI) -> None:
    app.add_exception_handler(CivicError, _civic)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(BodyLimit)
    app.add_middleware(Unforeseen)


def _respond(request: Request, error: CivicError) -> JSONResponse:
    request_id = random_id("req")
    if error.status >= 500:
        log.warning("%s %s %s", request_id, error.code, request.method)
    language = preferred_language(request.headers.get("accept-language"))
    return JSONResponse(
        envelope(error, language, request_id), status_code=error.status, headers={"Cache-Control": "no-store"}
    )


async def _civic(request: Request, error: Exception) -> JSONResponse:
    return _respond(request, error if isinstance(error, CivicError) else InternalFault())


async def _validation(request: Request, error: Exception) -> JSONResponse:
    where = "body"
    if isinstance(error, RequestValidationError) and error.errors():
        where = ".".join(str(part) for part in error.errors()[0]["loc"])[:80]
    return _respond(request, MalformedRequest(where=where))


async def _http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if isinstance(error.__cause__, CivicError):
        # Raised while a body was read, where FastAPI wraps whatever comes.
        return _respond(request, error.__cause__)
    return _respond(request, NotFound() if status in (404, 405) else MalformedRequest(where="request"))


class Unforeseen:
    """The last net. Not a handler for `Exception`: Starlette calls that one and raises the exception again, and
    the server then logs the whole traceback with the text of the exception.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            log.error("%s at %s", type(error).__name__, place_of(error))
            if scope["type"] != "http" or started:
                return
            await _respond(Request(scope), InternalFault())(scope, receive, send)


def place_of(error: BaseException) -> str:
    """`answering.py:212 in _run`: where it happened, without any value that was there."""
    frames: Any = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno} in {last.name}" if last else "unknown"
