"""Figures for Prometheus: only for who may read them, without a name, and without what a clock could tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_access.errors import LedgerUnavailable
from data_access.flows.answering import Asker
from data_access.gateway.identity import Caller
from data_access.gateway.workspace import workspace_app
from tests.factories import BY_GU, FakeIdentity, Workspace, make_caller
from tests.gateway.serving import served

AS = {name: {"Authorization": f"token {name}"} for name in ("ann-token", "monitor-token")}


@pytest.fixture
def address(workspace: Workspace) -> Iterator[str]:
    monitor = Caller(Asker("service-monitor", frozenset()), frozenset({"read:metrics"}))
    callers = {"ann-token": make_caller("ann", ["bike"], "ask", "read"), "monitor-token": monitor}
    with served(workspace_app(workspace.parts, FakeIdentity(callers))) as found:
        yield f"{found}/services/data"


def figures(address: str) -> dict[str, dict[tuple[str, ...], float]]:
    answer = httpx.get(f"{address}/metrics", headers=AS["monitor-token"])
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(answer.text)
    }


def test_requests_are_counted_by_route_and_no_name_or_id_is_among_them(address: str) -> None:
    body = {"plan": BY_GU, "team": "bike", "purpose": "research"}
    answered = httpx.post(f"{address}/v1/answers", json=body, headers=AS["ann-token"], timeout=30)
    found = answered.json()["answer_id"]
    httpx.get(f"{address}/v1/answers/{found}", headers=AS["ann-token"])
    httpx.get(f"{address}/v1/ann-was-here", headers=AS["ann-token"])
    counted = figures(address)["civic_gateway_requests"]
    route = "/answers"
    assert counted["POST", route, "200"] == 1
    assert counted["GET", f"{route}/{{answer_id}}", "200"] == 1
    assert counted["GET", "none", "404"] == 1
    text = httpx.get(f"{address}/metrics", headers=AS["monitor-token"]).text
    assert not re.search(rf"ann|bike|rides|token|{found}", text)
    # Neither what the process used nor how long anything took: both depend on the data.
    assert not re.search(r"seconds|process_|python_|bytes", text)


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (AS["ann-token"], 403)])
def test_figures_are_for_who_may_read_them(address: str, headers: dict[str, str], status: int) -> None:
    assert httpx.get(f"{address}/metrics", headers=headers).status_code == status


def test_a_ledger_that_does_not_answer_is_a_figure_and_an_unhealthy_gateway(
    address: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert figures(address)["civic_gateway_ledger_up"] == {(): 1.0}
    assert httpx.get(f"{address}/health").status_code == 200

    def gone() -> None:
        raise LedgerUnavailable()

    monkeypatch.setattr(workspace.parts.database, "reading", gone)
    assert figures(address)["civic_gateway_ledger_up"] == {(): 0.0}
    assert httpx.get(f"{address}/health").status_code == 503
