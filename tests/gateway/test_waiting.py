"""Waiting for a person over real HTTP: 202, the list, one click, the answer; and who may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from data_access.flows.asked import Asker
from data_access.gateway.identity import Caller
from data_access.gateway.workspace import workspace_app
from tests.factories import BY_GU, PERIODS, FakeIdentity, Workspace, copy_workspace, make_caller
from tests.gateway.serving import served
from tests.gateway.test_http import PREFIX, assert_envelope
from tests.postgresql import Server

BODY: dict[str, Any] = {
    "plan": BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}},
    "team": "bike",
    "purpose": "research",
}
ALLOWANCE: dict[str, Any] = {"team": "bike", "dataset": "rides", "seats": 4, "rho": 10_000_000}
ASKS = frozenset({"custom:civic:ask", "custom:civic:read"})
CALLERS = {
    "ann": make_caller("ann", ["bike"], "ask", "read"),
    "bea": make_caller("bea", ["bike"], "ask", "read"),
    "lea": make_caller("lea", ["bike"], "ask", "read", "facilitate"),
    "ben": make_caller("ben", ["walk"], "ask", "read", "facilitate"),
    "reader": make_caller("reader", ["bike"], "read"),
    "room": Caller(Asker("room-01", frozenset({"bike"}), is_room=True, asks=True), ASKS),
}


@pytest.fixture(scope="module")
def address(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[str]:
    made = copy_workspace(template, tmp_path_factory.mktemp("waiting") / "home", server=server)
    with served(workspace_app(made.parts, FakeIdentity(CALLERS))) as found:
        yield found
    made.parts.close()


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address + PREFIX, headers={"Accept-Language": "en"}, timeout=30) as client:
        yield client


def of(name: str) -> dict[str, str]:
    return {"Authorization": f"token {name}"}


def test_a_rooms_question_waits_is_seen_in_words_approved_in_one_click_and_answered(
    http: httpx.Client,
) -> None:
    price = http.post("/price", json=BODY, headers=of("room")).json()
    assert (price["waits"], price["free"]) == ("room", False)
    held = http.post("/answers", json=BODY, headers=of("room"))
    document = held.json()
    assert held.status_code == 202
    assert (document["state"], document["cause"], document["mine"]) == ("waiting", "room", True)
    place = f"/approvals/{document['approval_id']}"
    for name in ("ann", "room", "reader"):
        (line,) = http.get("/approvals", headers=of(name)).json()
        assert line["question"]["en"] == "Rides in 2026-08, by gu: count"
        assert line["price"]["share_of_left"] == "0.0500"
        assert line["can_decide"] is (name == "ann")
    assert http.get("/approvals", headers=of("ben")).json() == []
    assert_envelope(http.get(place, headers=of("ben")), 404, "unknown_approval")
    yes = {"decision": "approve"}
    assert_envelope(http.post(place, json=yes, headers=of("ben")), 404, "unknown_approval")
    assert_envelope(http.post(place, json=yes, headers=of("room")), 403, "approval_not_yours")
    assert_envelope(http.post(place, json=yes, headers=of("reader")), 403, "not_allowed")
    assert_envelope(http.post(place, json={"decision": "maybe"}, headers=of("ann")), 400, "malformed_request")
    assert http.post(place, json=yes, headers=of("ann")).json()["state"] == "approved"
    assert_envelope(http.post(place, json={"decision": "refuse"}, headers=of("ann")), 409, "approval_ended")
    answer = http.post("/answers", json=BODY, headers=of("room"))
    assert (answer.status_code, answer.json()["charged"]) == (200, 10_000_000)
    done = http.get(place, headers=of("room")).json()
    assert (done["state"], done["answer_id"]) == ("used", answer.json()["answer_id"])
    assert http.post("/answers", json=BODY, headers=of("room")).json()["charged"] == 0
    told = json.dumps(http.get("/audit/events").json())
    assert "approval_used" in told and "ann" not in told and "room-01" not in told


def test_a_team_in_the_body_that_is_not_the_askers_reaches_no_list(http: httpx.Client) -> None:
    forged = BODY | {"team": "walk", "fresh": True}
    for name in ("ann", "room"):
        assert_envelope(http.post("/answers", json=forged, headers=of(name)), 403, "team_not_yours")
    assert http.get("/approvals", headers=of("ben")).json() == []


def test_a_seat_waits_beyond_its_share_and_only_who_leads_may_decide(http: httpx.Client) -> None:
    tried = http.post("/allowances", json=ALLOWANCE | {"dry_run": True}, headers=of("lea")).json()
    assert tried["all_seats"] == 40_000_000 and tried["allowance"] is None
    assert http.get("/allowances", headers=of("ann")).json() == []
    made = http.post("/allowances", json=ALLOWANCE, headers=of("lea")).json()["allowance"]
    (shown,) = http.get("/allowances", headers=of("ann")).json()
    assert shown["allowance_id"] == made["allowance_id"] and shown["mine"]["spent"] == {}
    first = http.post("/answers", json=BODY | {"fresh": True}, headers=of("ann"))
    held = http.post("/answers", json=BODY | {"fresh": True}, headers=of("ann"))
    assert (first.status_code, held.status_code, held.json()["cause"]) == (200, 202, "allowance")
    place = f"/approvals/{held.json()['approval_id']}"
    for name in ("ann", "bea"):
        refused = http.post(place, json={"decision": "approve"}, headers=of(name))
        assert_envelope(refused, 403, "approval_not_yours")
    assert http.post(place, json={"decision": "refuse"}, headers=of("lea")).json()["state"] == "refused"
    assert http.get("/allowances", headers=of("ann")).json()[0]["mine"]["spent"] == {PERIODS[0]: 10_000_000}


@pytest.mark.parametrize(
    ("name", "changes", "status", "code"),
    [
        ("ann", {}, 403, "not_allowed"),
        ("room", {}, 403, "not_allowed"),
        ("ben", {}, 403, "team_not_yours"),
        ("lea", {"team": "walk"}, 403, "team_not_yours"),
        ("lea", {"seats": 21}, 400, "allowance_too_large"),
        ("lea", {"seats": 10_000, "rho": 10**12}, 400, "allowance_too_large"),
        ("lea", {"seats": 0}, 400, "malformed_request"),
        ("lea", {"rho": -1}, 400, "malformed_request"),
        ("lea", {"rho": 10**13}, 400, "malformed_request"),
        ("lea", {"rho": 1.5}, 400, "malformed_request"),
        ("lea", {"until": "tomorrow"}, 400, "malformed_request"),
        ("lea", {"until": "2026-11-23T10:00:00"}, 400, "malformed_request"),
        ("lea", {"from": "0001-01-01T00:00:00+23:59"}, 400, "malformed_request"),
        ("lea", {"dataset": "nothing"}, 404, "unknown_dataset"),
        ("lea", {"dataset": "accidents"}, 423, "policy_missing"),
        ("lea", {"surprise": 1}, 400, "malformed_request"),
    ],
    ids=str,
)
def test_each_fault_of_an_allowance_has_its_envelope(
    http: httpx.Client, name: str, changes: dict[str, Any], status: int, code: str
) -> None:
    for dry_run in (True, False):
        body = ALLOWANCE | {"seats": 5, "dry_run": dry_run} | changes
        assert_envelope(http.post("/allowances", json=body, headers=of(name)), status, code)


def test_an_unknown_approval_is_absent_in_every_spelling(http: httpx.Client) -> None:
    for name in ("apr-" + "a" * 26, "x", "apr-%00", "%ED%A0%80"):
        assert_envelope(http.get(f"/approvals/{name}", headers=of("lea")), 404, "unknown_approval")
        refused = http.post(f"/approvals/{name}", json={"decision": "approve"}, headers=of("lea"))
        assert_envelope(refused, 404, "unknown_approval")
