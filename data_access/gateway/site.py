"""`python -m data_access.gateway.site`: the citizen site on an origin of its own.

It serves the public folder and passes the public `/v1` routes on to the gateway's public app: reading, and the one
hand-in that needs no login, a witnessed head. It holds no token, sets no cookie, and runs as a user who can read
the public folder and nothing else of the workspace.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from data_access.canonical import random_id
from data_access.compose import Settings, read_settings
from data_access.errors import CivicError, HubUnavailable, RequestTooLarge
from data_access.gateway.failures import envelope
from data_access.texts import preferred_language

#: Pages carry a stricter policy of their own inside; this is what they have at least.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline' 'self'; "
    "style-src 'unsafe-inline'; img-src data: 'self'; frame-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


#: A signed head has some 400 bytes.
_WITNESS_BYTES = 4_000


class _Headers(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def site_app(settings: Settings) -> Starlette:
    settings.public_folder.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.public_port}", timeout=10.0
        ) as client:
            app.state.client = client
            yield

    def failure(request: Request, error: CivicError) -> Response:
        spoken = preferred_language(request.headers.get("accept-language"))
        return JSONResponse(envelope(error, spoken, random_id("req")), status_code=error.status)

    async def passed_on(request: Request, body: bytes | None = None) -> Response:
        """Only what the public app offers; no header of the reader's goes along but her language."""
        headers = {"Accept-Language": request.headers.get("accept-language", "ko")}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = await request.app.state.client.request(
                request.method, request.url.path, params=request.query_params, content=body, headers=headers
            )
        except httpx.HTTPError:
            return failure(request, HubUnavailable())
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def records(request: Request) -> Response:
        return await passed_on(request)

    async def witness(request: Request) -> Response:
        """A signed head goes on to the public app, which judges it; nothing longer than one can be."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _WITNESS_BYTES:
                return failure(request, RequestTooLarge(maximum=_WITNESS_BYTES))
        return await passed_on(request, body)

    return Starlette(
        routes=[
            Route("/v1/audit/witnesses", witness, methods=["POST"]),
            Route("/v1/{path:path}", records, methods=["GET"]),
            Mount("/", StaticFiles(directory=settings.public_folder, html=True, follow_symlink=True)),
        ],
        middleware=[Middleware(_Headers)],
        lifespan=lifespan,
    )


def main() -> int:
    settings = read_settings()
    uvicorn.run(
        site_app(settings),
        host=settings.bind,
        port=settings.site_port,
        access_log=False,
        log_level="warning",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
