"""The app for anybody: ledger, audit head and events, witnesses, policies, parties, releases. No login, no cookie.

The one thing that it takes is a witnessed head, whose authority is its signature.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Query

from data_access.answers import lost_share_documents
from data_access.audit.chain import head, read_events
from data_access.compose import Parts
from data_access.gateway.bodies import StrictRoute
from data_access.gateway.failures import add_failure_handlers
from data_access.gateway.shapes import WitnessBody
from data_access.ledger.book import public_ledger


def public_app(parts: Parts) -> FastAPI:
    app = FastAPI(
        title="Civic public records",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    add_failure_handlers(app)
    app.include_router(public_routes(parts), prefix="/v1")
    return app


def public_routes(parts: Parts) -> APIRouter:
    routes = APIRouter(route_class=StrictRoute)

    @routes.get("/ledger")
    def ledger() -> dict[str, Any]:
        """Every budget and every charge, in order."""
        with parts.database.reading() as connection:
            last = head(connection)
            return {
                "periods": public_ledger(connection),
                "head": {"seq": last.seq, "hash": last.hash},
            }

    @routes.get("/lost-shares")
    def lost_shares() -> list[dict[str, Any]]:
        """Of each period and row bound how much the bound leaves out: noisy, signed, published once."""
        with parts.database.reading() as connection:
            return lost_share_documents(connection)

    @routes.get("/audit/head")
    def audit_head() -> dict[str, Any]:
        """The last event's place and hash: what anybody may keep to expose a rewritten chain."""
        with parts.database.reading() as connection:
            last = head(connection)
        return {"seq": last.seq, "hash": last.hash, "gateway_key": parts.gateway_public_key}

    @routes.get("/audit/events")
    def audit_events(after: int = Query(0, ge=0, lt=2**31)) -> dict[str, Any]:
        """Signed events after a place in the chain, at most 1,000 at a time."""
        with parts.database.reading() as connection:
            return {"events": [e.document() for e in read_events(connection, after, limit=1000)]}

    @routes.get("/audit/witnesses")
    def witnesses() -> dict[str, Any]:
        """Heads that the parties' own computers have signed, and the days on which a side signed none."""
        with parts.database.reading() as connection:
            return parts.witnessing.document(connection)

    @routes.post("/audit/witnesses")
    def witness(body: WitnessBody) -> dict[str, Any]:
        """Hand in a signed head. A witness key of the register is the authority; at most 24 a day and key."""
        return parts.witnessing.add(body.statement, body.signature())

    @routes.get("/policies")
    def policies() -> list[dict[str, Any]]:
        """Every policy that ever took effect, with its signatures."""
        with parts.database.reading() as connection:
            return parts.governing.documents(connection)

    @routes.get("/parties")
    def parties() -> dict[str, Any]:
        """The signed register of parties and keys."""
        with parts.database.reading() as connection:
            return parts.governing.register_document(connection)

    @routes.get("/releases")
    def releases() -> list[dict[str, Any]]:
        """Release records and their approvals, newest first."""
        return parts.releasing.list()

    @routes.get("/releases/{release}")
    def release(release: str) -> dict[str, Any]:
        return parts.releasing.get(release)

    return routes
