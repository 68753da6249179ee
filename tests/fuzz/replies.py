"""What every reply is held to, whatever was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from data_access.errors import REGISTRY
from tests.fuzz.conftest import CANARY, NUMBER, TOKEN, World

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
#: Rights are tests/contracts/test_openapi.py's: here every request has them.
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
#: "GET /v1/catalog" -> the operation, of both apps.
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
PUBLIC = frozenset(label for label, found in OPERATIONS.items() if not found.definition.raw["security"])
_CHECKS = [
    negative_data_rejection,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def call(world: World, case: Case, address: str | None = None, token: str = TOKEN) -> tuple[int, Any]:
    """Send a case of an operation; judge its reply; status and document."""
    before = world.recorded()
    headers = {"Authorization": f"token {token}", "Accept-Language": "en"}
    response = case.call(base_url=address or world.address, headers=headers)
    document = judge(
        world, before, response.status_code, response.headers["content-type"][0], response.content
    )
    case.validate_response(response, checks=_CHECKS)
    return response.status_code, document


def post(world: World, path: str, content: bytes, **headers: str) -> tuple[int, Any]:
    """The same for bytes that need not be JSON."""
    before = world.recorded()
    sent = {"Content-Type": "application/json"} | headers
    response = world.http.post(path, content=content, headers=sent)
    return judged(world, before, f"POST {path}", response)


def get(world: World, label: str, path: str) -> tuple[int, Any]:
    return judged(world, world.recorded(), label, world.http.get(path))


def judged(world: World, before: tuple[int, ...], label: str, response: httpx.Response) -> tuple[int, Any]:
    status = response.status_code
    document = judge(world, before, status, response.headers["content-type"], response.content)
    operation = OPERATIONS[label]
    case = operation.Case(path_parameters={parameter.name: "x" for parameter in operation.path_parameters})
    # Whether the request was right is no question here: schemathesis did not make it.
    case.validate_response(response, checks=_CHECKS[1:])
    return status, document


def judge(world: World, before: tuple[int, ...], status: int, content_type: str, body: bytes) -> Any:
    """JSON without a canary. If a failure: no fault of ours, the one envelope, a documented code with its own
    status, words that can be shown, and nothing recorded: no charge, no reservation, no event.
    """
    assert CANARY.encode() not in body and str(NUMBER).encode() not in body
    assert content_type == "application/json"
    document = json.loads(body)
    if status == 200:
        return document
    assert world.recorded() == before
    if status == 202:
        return document
    assert set(document) == {"code", "message", "remedy", "request_id"}
    assert status < 500 and status == REGISTRY[document["code"]].status, document
    for sentence in (document["message"], document["remedy"]):
        assert sentence.isprintable() and len(sentence) < 1_000
        assert not any(
            word in sentence for word in ("Traceback", ".py", "data_access", str(world.workspace.home))
        )
    return document
