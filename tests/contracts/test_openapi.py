"""docs/openapi.json is what the gateway does: generated, current, and true of who may call what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from data_access.compose import Parts
from data_access.errors import REGISTRY, NotSignedIn
from data_access.flows.answering import Asker
from data_access.gateway.identity import Caller
from data_access.gateway.openapi import SCHEME, openapi_document, openapi_text
from data_access.gateway.public import public_app
from data_access.gateway.workspace import workspace_app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = openapi_document()
EVERY = frozenset(
    scope
    for path in DOCUMENT["paths"].values()
    for o in path.values()
    for s in o["security"]
    for scope in s.get(SCHEME, ())
)
WITHOUT_PARTS = cast(Parts, None)  # a call that gets past its check of rights then fails, which is all we ask


class Hub:
    """The Hub's answer about a token: here the token spells its scopes."""

    def caller(self, token: str) -> Caller:
        if token == "unknown":
            raise NotSignedIn()
        return Caller(Asker("someone", frozenset()), frozenset(token.replace("_", ":").split(".")))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def closed() -> list[tuple[str, str, frozenset[str]]]:
    """(method, path, scopes any of which is enough) of each operation that needs a token."""
    return [
        (method, path, frozenset(scope for way in operation["security"] for scope in way[SCHEME]))
        for method, path, operation in operations()
        if operation["security"]
    ]


@pytest.fixture
def client() -> TestClient:
    return TestClient(workspace_app(WITHOUT_PARTS, Hub(), prefix=""), raise_server_exceptions=False)


def token_of(scopes: frozenset[str]) -> str:
    return ".".join(sorted(scopes)).replace(":", "_") or "none"


def call(client: TestClient, method: str, path: str, token: str | None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"token {token}"} if token else {}
    response = client.request(
        method, re.sub(r"{\w+}", "x", path), headers=headers, json={} if method == "post" else None
    )
    return response.status_code, response.json()


def test_the_committed_document_is_the_generated_one() -> None:
    assert (ROOT / "docs/openapi.json").read_text("utf-8") == openapi_text(), "make docs writes it anew"


def test_generating_twice_gives_the_same_bytes() -> None:
    assert openapi_text() == openapi_text()


def test_every_failure_is_the_one_envelope() -> None:
    failure = DOCUMENT["components"]["schemas"]["Failure"]
    assert failure["required"] == ["code", "message", "remedy", "request_id"]
    assert failure["properties"]["code"]["enum"] == sorted(REGISTRY)
    for _, _, operation in operations():
        failures = {
            status: body for status, body in operation["responses"].items() if not status.startswith("2")
        }
        assert set(failures) == {"4XX", "5XX"}
        assert all(body == {"$ref": "#/components/responses/Failure"} for body in failures.values())


@pytest.mark.parametrize(("method", "path", "scopes"), closed())
def test_the_documented_scope_is_the_demanded_one(
    client: TestClient, method: str, path: str, scopes: frozenset[str]
) -> None:
    status, body = call(client, method, path, token=None)
    assert (status, body["code"]) == (401, "not_signed_in")
    status, body = call(client, method, path, token=token_of(EVERY - scopes))
    assert (status, body["code"]) == (403, "not_allowed")
    for scope in scopes:
        assert call(client, method, path, token=token_of(frozenset({scope})))[1]["code"] not in (
            "not_signed_in",
            "not_allowed",
        )


def test_no_token_is_ever_taken_from_the_address(client: TestClient) -> None:
    for path in [path for method, path, _ in closed() if method == "get"]:
        response = client.get(
            re.sub(r"{\w+}", "x", path), params={"token": token_of(EVERY), "authorization": "token x"}
        )
        assert response.json()["code"] == "not_signed_in"


def test_the_public_app_offers_exactly_what_needs_no_token_and_no_way_to_ask() -> None:
    open_ones = {(method, path) for method, path, operation in operations() if not operation["security"]}
    served = public_app(WITHOUT_PARTS).openapi()["paths"]
    assert {(method, path) for path, methods in served.items() for method in methods} == open_ones
    # The one thing that anybody may hand in carries its own authority: the signature of a witness key.
    assert {one for one in open_ones if one[0] != "get"} == {("post", "/v1/audit/witnesses")}


def test_the_document_is_json_without_addresses_of_a_machine() -> None:
    text = (ROOT / "docs/openapi.json").read_text("utf-8")
    assert json.loads(text)["openapi"].startswith("3.1")
    assert "://" not in text
