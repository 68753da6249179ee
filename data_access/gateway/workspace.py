"""The app behind the Hub's login: catalog, price, answers, releases. Its pages are added by pages.py.

Endpoints are plain functions, so that each runs in a worker thread. There are forty for all of them, and a new
answer keeps hers until the beat on which it leaves; so answers have threads of their own, and a workshop that asks
at once delays nobody's price.

Annotations are evaluated here (no `from __future__ import annotations`): FastAPI reads them, and it could not
resolve names of an enclosing function from their text.
"""

from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, Header, Query
from fastapi.responses import JSONResponse, Response

from data_access.compose import Parts
from data_access.errors import MalformedRequest
from data_access.flows.answering import Answered
from data_access.gateway.approvals import WAITS, approval_routes
from data_access.gateway.arrow import answer_response
from data_access.gateway.bodies import StrictRoute
from data_access.gateway.failures import add_failure_handlers
from data_access.gateway.identity import ASK, READ, Caller, Identity, bearer
from data_access.gateway.metrics import CONTENT_TYPE, READ_METRICS, Metrics
from data_access.gateway.public import public_routes
from data_access.gateway.shapes import (
    MOST_TWIN_ROWS,
    ApprovalBody,
    QuestionBody,
    ReleaseBody,
    answer_document,
    answer_line,
    catalog_document,
    dataset_document,
    price_document,
    twin_document,
)

RELEASE = "custom:civic:release"
#: More would wait for one another anyway: the ledger is written by one at a time.
ANSWERS_AT_ONCE = 40
#: Any of these may hand in an approval; its authority is the signature, not the one who carries it.
APPROVE = ("custom:civic:approve:city", "custom:civic:approve:cso", RELEASE)


def workspace_app(parts: Parts, identity: Identity, prefix: str = "/services/data") -> FastAPI:
    """`prefix` is where the proxy mounts the service."""
    app = FastAPI(
        title="Civic data gateway",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Else `/answers/` is answered with an address that is built from the asker's own Host header.
        redirect_slashes=False,
    )
    add_failure_handlers(app)

    def caller(authorization: Annotated[str | None, Header()] = None) -> Caller:
        return identity.caller(bearer(authorization))

    app.include_router(_routes(parts, caller), prefix=f"{prefix}/v1")
    app.include_router(public_routes(parts), prefix=f"{prefix}/v1")

    @app.get(f"{prefix}/health", include_in_schema=False)
    def health() -> dict[str, str]:
        with parts.database.reading():
            return {"status": "ok"}

    metrics = Metrics(parts)
    app.add_middleware(metrics.counting)

    @app.get(f"{prefix}/metrics", include_in_schema=False)
    def figures(who: Annotated[Caller, Depends(caller)]) -> Response:
        who.check_any((READ_METRICS,))
        return Response(metrics.text(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    return app


def _routes(parts: Parts, caller: Any) -> APIRouter:
    routes = APIRouter(route_class=StrictRoute)
    answering = CapacityLimiter(ANSWERS_AT_ONCE)

    def allowed(*scopes: str) -> Any:
        """Any of `scopes` is enough. A dependency, so that it refuses before the body is looked at."""

        def check(who: Annotated[Caller, Depends(caller)]) -> Caller:
            who.check_any(scopes)
            return who

        return Depends(check)

    @routes.get("/me")
    def me(who: Annotated[Caller, allowed(READ)]) -> dict[str, Any]:
        """Who the asker is here, the teams she may spend for, and the name she has in public records."""
        return {
            "name": who.asker.name,
            "public_name": parts.releasing.public_name(who.asker.name),
            "teams": sorted(who.asker.teams),
        }

    @routes.get("/catalog")
    def catalog(who: Annotated[Caller, allowed(READ)]) -> dict[str, Any]:
        """What exists, and what is open."""
        with parts.database.reading() as connection:
            return catalog_document(parts, connection)

    @routes.get("/datasets/{dataset}")
    def dataset(dataset: str, who: Annotated[Caller, allowed(READ)]) -> dict[str, Any]:
        """What may be asked of a dataset, and what the asker's teams have left."""
        with parts.database.reading() as connection:
            return dataset_document(parts, connection, who.asker, dataset)

    @routes.get("/datasets/{dataset}/twin")
    def twin(
        dataset: str,
        who: Annotated[Caller, allowed(READ)],
        rows: Annotated[int, Query(ge=1, le=MOST_TWIN_ROWS)] = 1_000,
        after: Annotated[int, Query(ge=0, lt=2**40)] = 0,
        seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    ) -> JSONResponse:
        """Dummy rows `after` to `after + rows`, made from signed metadata alone: free, and true of nobody."""
        with parts.database.reading() as connection:
            # Not left to the framework's encoder, which would look at each of the values once more.
            return JSONResponse(twin_document(parts, connection, dataset, rows=rows, after=after, seed=seed))

    @routes.post("/price")
    def price(body: QuestionBody, who: Annotated[Caller, allowed(ASK)]) -> dict[str, Any]:
        """Exact cost and expected error of a question. Touches no data."""
        _check_body(body)
        return price_document(parts.asking.price(who.asker, body.request()), body.team)

    @routes.post("/answers", response_model=dict[str, Any], responses=WAITS)
    async def ask(
        body: QuestionBody, who: Annotated[Caller, allowed(ASK)], accept: Annotated[str, Header()] = ""
    ) -> Response:
        """A signed answer, charged before it is computed; a stored one is free. 202 where a person decides first."""
        _check_body(body)

        def answer() -> Response:
            answered = parts.asking.answer(who.asker, body.request())
            if isinstance(answered, Answered):
                return answer_response(answer_document(answered), accept)
            with parts.database.reading() as connection:
                waiting = parts.approving.document(connection, answered, who.asker)
            return JSONResponse(waiting, status_code=202)

        return await to_thread.run_sync(answer, limiter=answering)

    @routes.get("/answers")
    def answers(who: Annotated[Caller, allowed(READ)]) -> list[dict[str, Any]]:
        """The questions of the asker's teams, newest first."""
        with parts.database.reading() as connection:
            found = parts.shelf.of_teams(connection, who.asker.teams)
        return [answer_line(each) for each in found]

    @routes.get("/answers/{answer_id}", response_model=dict[str, Any])
    def answer(
        answer_id: str, who: Annotated[Caller, allowed(READ)], accept: Annotated[str, Header()] = ""
    ) -> Response:
        """The same bytes again, at no cost."""
        return answer_response(answer_document(parts.asking.reopen(who.asker, answer_id)), accept)

    @routes.post("/releases")
    def submit(body: ReleaseBody, who: Annotated[Caller, allowed(RELEASE)]) -> dict[str, Any]:
        """Hand in a release record. The author is the one who hands it in."""
        return parts.releasing.submit(who.asker, body.record)

    @routes.post("/releases/{release}/approvals")
    def approve(
        release: str, body: ApprovalBody, who: Annotated[Caller, allowed(*APPROVE)]
    ) -> dict[str, Any]:
        """One side's signature over the record's canonical bytes."""
        return parts.releasing.approve(release, body.signature())

    routes.include_router(approval_routes(parts, allowed))
    return routes


def _check_body(body: QuestionBody) -> None:
    if (body.plan is None) is (body.sql is None):
        raise MalformedRequest(where="plan or sql")
