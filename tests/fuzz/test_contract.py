"""Every route of docs/openapi.json, walked from the document itself: what it says of requests and replies holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from data_access.clock import timestamp
from tests.factories import BY_GU
from tests.fuzz.conftest import ROOM, World, signed
from tests.fuzz.replies import OPERATIONS, PUBLIC, call

QUESTION: dict[str, Any] = {"plan": BY_GU, "team": "bike", "purpose": "research"}


def _record(world: World) -> dict[str, Any]:
    answer = _made(world, "POST /v1/answers")
    hashed = "0" * 64
    return {
        "kind": "civic-release",
        "report": "rides",
        "slug": "rides-2026-09",
        "title": {"ko": "대여", "en": "Rides"},
        "author": _made(world, "GET /v1/me")["public_name"],
        "team": "bike",
        "parameters": {"month": "2026-09"},
        "demonstration": True,
        "answers": [answer["answer_id"]],
        "policies": [answer["statement"]["policy_hash"]],
        "notebook_sha256": hashed,
        "files": [{"path": "index.html", "sha256": hashed, "bytes": 3}],
        "created_at": "2026-11-23T04:00:00Z",
    }


def _approval(world: World) -> dict[str, str]:
    record = _made(world, "POST /v1/releases")["record"]
    return signed(world.workspace.demo_keys.city, record)


def _head(world: World) -> dict[str, Any]:
    found = _made(world, "GET /v1/audit/head")
    at = timestamp(world.workspace.clock.now())
    statement = {"kind": "civic-witness", "seq": found["seq"], "hash": found["hash"], "at": at}
    return {"statement": statement, **signed(world.witness, statement)}


#: A right body for each route that takes one, and a right value for each path parameter. A route that is missing
#: here fails: nothing is documented whose success nobody has seen.
BODIES: dict[str, Callable[[World], Any]] = {
    "POST /v1/price": lambda world: QUESTION,
    "POST /v1/answers": lambda world: QUESTION,
    "POST /v1/releases": lambda world: {"record": _record(world)},
    "POST /v1/releases/{release}/approvals": _approval,
    "POST /v1/audit/witnesses": _head,
    "POST /v1/approvals/{approval}": lambda world: {"decision": "refuse"},
    "POST /v1/allowances": lambda world: {"team": "bike", "dataset": "rides", "seats": 3, "rho": 1_000_000},
}
IDS: dict[str, Callable[[World], str]] = {
    "dataset": lambda world: "rides",
    "answer_id": lambda world: str(_made(world, "POST /v1/answers")["answer_id"]),
    "approval": lambda world: str(_waiting(world)["approval_id"]),
    "release": lambda world: str(_made(world, "POST /v1/releases")["release_id"]),
}


def _made(world: World, label: str) -> Any:
    """What the route answers to a right request. Asking twice changes nothing, so this may be asked for again."""
    operation = OPERATIONS[label]
    body = {"body": BODIES[label](world)} if operation.body else {}
    path = {parameter.name: IDS[parameter.name](world) for parameter in operation.path_parameters}
    status, document = call(world, operation.Case(path_parameters=path, **body))
    assert status == 200, document
    return document


def _waiting(world: World) -> Any:
    """A question of the room, that waits."""
    operation = OPERATIONS["POST /v1/answers"]
    status, document = call(world, operation.Case(body=QUESTION | {"fresh": True}), token=ROOM)
    assert status == 202, document
    return document


def test_a_question_that_waits_is_told_as_documented_and_charged_nothing(world: World) -> None:
    assert _waiting(world)["state"] == "waiting"


@pytest.mark.parametrize("label", OPERATIONS)
def test_a_right_request_is_answered_as_documented(world: World, label: str) -> None:
    _made(world, label)


#: Of the others every request is right: a path is any text.
REFUSABLE = [label for label, found in OPERATIONS.items() if found.body or found.query]


@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, GenerationMode.POSITIVE) for label in OPERATIONS]
    + [(label, GenerationMode.NEGATIVE) for label in REFUSABLE],
    ids=str,
)
def test_no_request_gets_anything_but_its_documented_reply(
    world: World, drawing: Callable[[int], settings], label: str, mode: GenerationMode
) -> None:
    operation = OPERATIONS[label]
    known = {parameter.name: IDS[parameter.name](world) for parameter in operation.path_parameters}

    @drawing(12)
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def run(case: Case, is_known: bool) -> None:
        if is_known:
            case.path_parameters = dict(known)
        call(world, case)
        if label in PUBLIC:
            call(world, case, world.public)

    run()
