"""The HTTP interface, under the service's prefix.

    GET    /v1/reports                         what can be run: names, labels, schemas of parameters
    POST   /v1/runs/price                      what it would cost; touches no data, costs nothing
    POST   /v1/runs                            202: runs, at most at the price agreed to
    GET    /v1/runs, /v1/runs/{id}             mine; how far one is
    DELETE /v1/runs/{id}                       cancels what is not over
    POST   /v1/runs/{id}/resume                runs what is not done
    GET    /v1/runs/{id}/pages/{n}/{path}      a page's files, and partial.ipynb

Whoever comes shows a Hub token in the header, so there is nothing that another site could make a browser send. Every
failure is the gateway's envelope: {"code", "message", "remedy", "request_id"}.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from civic_kernel.errors import (
    Absent,
    BadRequest,
    CivicError,
    Conflict,
    DatasetClosed,
    Forbidden,
    InternalFault,
    MalformedRequest,
    NotFound,
    NotSignedIn,
    ReportFailed,
    RequestTooLarge,
    Unavailable,
)
from civic_kernel.reports.batch import place_of
from civic_kernel.reports.service.desk import Desk
from civic_kernel.reports.service.identity import Caller, Identity, refusal
from civic_kernel.reports.service.shapes import (
    Ordered,
    Wanted,
    batch_document,
    batch_line,
    report_line,
)
from civic_kernel.texts import Language

log = logging.getLogger("civic.reports")
#: Bytes of a body: parameters are short.
MOST_BODY = 65_536
STATUS: tuple[tuple[type[CivicError], int], ...] = (
    (RequestTooLarge, 413),
    (BadRequest, 400),
    (NotSignedIn, 401),
    (Forbidden, 403),
    (Absent, 404),
    (Conflict, 409),
    (DatasetClosed, 423),
    (Unavailable, 503),
    (ReportFailed, 422),
)
#: What one person made and another opens could be anything; a preview may at most draw.
PREVIEW = {
    "Content-Security-Policy": "sandbox allow-scripts",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Body = TypeVar("Body", bound=BaseModel)
Answer = Callable[[Caller, Language, Request, bytes], Response]


def reports_app(desk: Desk, identity: Identity, prefix: str) -> Starlette:
    """The app; `prefix` is where the proxy mounts it."""
    routes = _Routes(desk)

    def route(path: str, method: str, answer: Answer, runs: bool = False) -> Route:
        return Route(path, _endpoint(answer, identity, runs), methods=[method])

    return Starlette(
        routes=[
            Mount(
                prefix.rstrip("/") or "/",
                routes=[
                    Route("/health", lambda _request: JSONResponse({"status": "ok"})),
                    route("/v1/reports", "GET", routes.reports),
                    route("/v1/runs/price", "POST", routes.price, runs=True),
                    route("/v1/runs", "POST", routes.order, runs=True),
                    route("/v1/runs", "GET", routes.mine),
                    route("/v1/runs/{id}", "GET", routes.one),
                    route("/v1/runs/{id}", "DELETE", routes.cancel),
                    route("/v1/runs/{id}/resume", "POST", routes.resume, runs=True),
                    route("/v1/runs/{id}/pages/{n:int}/{path:path}", "GET", routes.page),
                ],
            )
        ],
        exception_handlers={404: _absent, 405: _absent},
    )


class _Routes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def reports(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        return _json({"reports": [report_line(schema) for schema in self._desk.reports()]})

    def price(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        return _json(self._desk.price(caller, _parsed(Wanted, body, language), language))

    def order(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        ordered = _parsed(Ordered, body, language)
        try:
            ordered.nano  # noqa: B018 - looked at for its refusal
        except ValueError:
            raise refusal(MalformedRequest, language, "runs.malformed") from None
        batch = self._desk.order(caller, ordered, language)
        return _json(batch_document(batch, self._desk.ahead(batch)), 202)

    def mine(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        return _json({"runs": [batch_line(batch) for batch in self._desk.mine(caller)]})

    def one(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        batch = self._desk.batch(caller, request.path_params["id"], language)
        return _json(batch_document(batch, self._desk.ahead(batch)))

    def cancel(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        batch = self._desk.batch(caller, request.path_params["id"], language)
        self._desk.cancel(batch)
        return _json(batch_document(batch, 0))

    def resume(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        batch = self._desk.batch(caller, request.path_params["id"], language)
        batch = self._desk.resume(caller, batch, language)
        return _json(batch_document(batch, self._desk.ahead(batch)), 202)

    def page(self, caller: Caller, language: Language, request: Request, body: bytes) -> Response:
        wanted = request.path_params
        batch = self._desk.batch(caller, wanted["id"], language)
        path = self._desk.file(batch, wanted["n"], wanted["path"], language)
        is_shown = path.suffix == ".html"
        return FileResponse(
            path,
            media_type="text/html; charset=utf-8" if is_shown else None,
            # What is no page is saved, never shown.
            filename=None if is_shown else path.name,
            headers=PREVIEW,
        )


def _endpoint(answer: Answer, identity: Identity, runs: bool) -> Any:
    async def endpoint(request: Request) -> Response:
        language = _language(request)
        try:
            body = await _body(request, language)

            def work() -> Response:
                caller = identity.caller(request.headers.get("authorization"), language)
                if runs:
                    caller.check_may_run(language)
                return answer(caller, language, request, body)

            return await anyio.to_thread.run_sync(work)
        except CivicError as error:
            return _failure(error)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            # Its text may hold a value; where it was does not.
            log.error("%s at %s", type(error).__name__, place_of(error))
            return _failure(refusal(InternalFault, language, "runs.fault"))

    return endpoint


async def _body(request: Request, language: Language) -> bytes:
    got = b""
    async for chunk in request.stream():
        got += chunk
        if len(got) > MOST_BODY:
            raise refusal(RequestTooLarge, language, "runs.too_large")
    return got


def _parsed(model: type[Body], body: bytes, language: Language) -> Body:
    try:
        return model.model_validate_json(body)
    except (ValidationError, ValueError, RecursionError):
        raise refusal(MalformedRequest, language, "runs.malformed") from None


def _language(request: Request) -> Language:
    return "en" if request.headers.get("accept-language", "").lower().startswith("en") else "ko"


def _json(document: Any, status: int = 200) -> Response:
    text = json.dumps(document, ensure_ascii=False)
    return Response(text, status, {"Cache-Control": "no-store"}, "application/json")


def _failure(error: CivicError) -> Response:
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    envelope = error.as_dict() | {"request_id": error.request_id or f"req-{secrets.token_hex(8)}"}
    return _json(envelope, status)


def _absent(request: Request, _error: Exception) -> Response:
    return _failure(refusal(NotFound, _language(request), "runs.not_found"))
