"""Routes of what waits for a person, and of what seats may spend without asking one.

Annotations are evaluated here, as in workspace.py.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from data_access.compose import Parts
from data_access.flows.allowing import Wish, parse_moment
from data_access.gateway.bodies import StrictRoute
from data_access.gateway.identity import ASK, FACILITATE, READ, Caller
from data_access.gateway.shapes import Body

#: Any of these may come with a decision; which of them is enough depends on what waits.
DECIDE = (ASK, FACILITATE)
#: Said of `POST /v1/answers` in the HTTP document.
WAITS: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Nothing is charged and nothing read: the question waits for a person. The body is that of "
        "`GET /v1/approvals/{approval}`; once its state is `approved`, the same question asked again goes through."
    }
}
#: An allowance of more is no allowance; and the product of both still fits the ledger's integers.
MOST_SEATS, MOST_NANO = 10_000, 10**12


class DecisionBody(Body):
    decision: Literal["approve", "refuse"]


class AllowanceBody(Body):
    """`rho` is nano-ρ for each seat and each period. With `dry_run` nothing is set."""

    team: str = Field(max_length=64)
    dataset: str = Field(max_length=40)
    seats: int = Field(ge=1, le=MOST_SEATS)
    rho: int = Field(ge=0, le=MOST_NANO)
    from_: str | None = Field(None, alias="from", max_length=40)
    until: str | None = Field(None, max_length=40)
    dry_run: bool = False

    def wish(self) -> Wish:
        return Wish(
            self.team,
            self.dataset,
            self.seats,
            self.rho,
            parse_moment(self.from_, "from"),
            parse_moment(self.until, "until"),
        )


def approval_routes(parts: Parts, allowed: Callable[..., Any]) -> APIRouter:
    """`allowed(scope, …)` is a dependency that lets pass whoever has one of them."""
    routes = APIRouter(route_class=StrictRoute)

    @routes.get("/approvals")
    def approvals(who: Annotated[Caller, allowed(READ)]) -> list[dict[str, Any]]:
        """What waits in the asker's teams, in words and with its price, and what became of it; newest first."""
        return parts.approving.list(who.asker)

    @routes.get("/approvals/{approval}")
    def approval(approval: str, who: Annotated[Caller, allowed(READ)]) -> dict[str, Any]:
        """One of them: its state, and the answer once it was asked again."""
        return parts.approving.get(who.asker, approval)

    @routes.post("/approvals/{approval}")
    def decide(approval: str, body: DecisionBody, who: Annotated[Caller, allowed(*DECIDE)]) -> dict[str, Any]:
        """Let it be asked once, or not. A room's question is a member's to decide, a seat's the facilitator's."""
        return parts.approving.decide(who.asker, approval, body.decision)

    @routes.get("/allowances")
    def allowances(who: Annotated[Caller, allowed(READ)]) -> list[dict[str, Any]]:
        """What each seat of the asker's teams may spend without asking, and what the asker has spent of it."""
        return parts.allowing.list(who.asker)

    @routes.post("/allowances")
    def allow(body: AllowanceBody, who: Annotated[Caller, allowed(FACILITATE)]) -> dict[str, Any]:
        """Set it; all seats together may not have more than the team has left."""
        return parts.allowing.set(who.asker, body.wish(), dry_run=body.dry_run)

    return routes
