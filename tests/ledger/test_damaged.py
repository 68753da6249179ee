"""A ledger in which a disk, or somebody, has overwritten something: nothing damaged is handed on, nothing is answered
that was not charged, and no refusal is a fault of the gateway.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Integer, LargeBinary
from starlette.testclient import TestClient

from data_access.errors import LedgerUnavailable
from data_access.gateway.workspace import workspace_app
from tests.factories import ANN, BY_GU, PERIODS, FakeIdentity, Workspace, copy_workspace, make_caller
from tests.postgresql import Server

QUESTION: dict[str, Any] = {"plan": BY_GU, "team": "bike", "purpose": "research"}
AUGUST = {"column": "month", "op": "eq", "value": PERIODS[0]}
QUESTIONS: list[dict[str, Any]] = [
    QUESTION,
    QUESTION | {"key": "once"},
    QUESTION | {"plan": BY_GU | {"by": ["gu", "month"]}},
    # Added up from the finer one.
    QUESTION | {"plan": BY_GU | {"by": ["sex"], "where": AUGUST}, "spend": {"rho": "0.001"}},
    QUESTION | {"fresh": True},
]
READ = ("me", "catalog", "datasets/rides", "answers", "answers/{answer}", "ledger", "lost-shares", "releases")
READ += ("audit/head", "audit/events", "audit/witnesses", "policies", "parties")


@pytest.fixture(scope="module")
def asked(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[tuple[Workspace, str]]:
    """A workspace with an answer, a joined one and one that was added up, all in one file."""
    if server is not None:
        pytest.skip("about the file of SQLite")
    made = copy_workspace(template, tmp_path_factory.mktemp("damaged") / "home")
    made.parts.lost.publish("rides")
    answer = made.ask(key="once").answer.id
    made.ask(ANN, BY_GU | {"by": ["gu", "month"]})
    made.ask(ANN, BY_GU | {"by": ["gu", "sex"], "where": AUGUST}, spend={"rho": "0.02"})
    _as_one_file(made)
    yield made, answer
    made.parts.close()


def _as_one_file(made: Workspace) -> None:
    connection = made.parts.database._engine.raw_connection()
    connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _garbage(kind: Any, more: int) -> tuple[Any, ...]:
    """Of the column's own type: a disk turns bits over, it does not turn numbers into words. Bytes are parsed, so
    they come first; the rest is left to `make fuzz`.
    """
    if isinstance(kind, LargeBinary):
        return (b"\xff\xfe{", b"", b"[]", b"{}", b"0" * 64)[: more + 1]
    return (-1, 2**40) if isinstance(kind, Integer) and more else ("garbage", "") if more else ()


def _replies(client: TestClient, answer: str) -> Iterator[tuple[str, Any]]:
    for path in READ:
        yield path, client.get("/v1/" + path.replace("{answer}", answer))
    for number, question in enumerate(QUESTIONS):
        yield f"asked {number}", client.post("/v1/answers", json=question)


def test_no_damage_is_a_fault_and_nothing_damaged_is_handed_on(
    asked: tuple[Workspace, str], request: pytest.FixtureRequest
) -> None:
    made, answer = asked
    more = int(request.config.getoption("--fuzz"))
    ledger = made.home / "db" / "vault.sqlite"
    whole = shutil.copy(ledger, ledger.with_suffix(".whole"))
    identity = FakeIdentity({"t": make_caller("ann", ["bike"], "ask", "read")})
    client = TestClient(workspace_app(made.parts, identity, prefix=""), raise_server_exceptions=False)
    client.headers["Authorization"] = "token t"
    known = client.get(f"/v1/answers/{answer}").json()
    with made.parts.database.reading() as connection:
        found = inspect(connection)
        places = [
            (table, column["name"], garbage)
            for table in found.get_table_names()
            if table != "alembic_version"
            for column in found.get_columns(table)
            for garbage in _garbage(column["type"], more)
        ]
    faults = []
    for table, column, garbage in places:
        try:
            made.execute(f"UPDATE {table} SET {column} = ?", garbage)
        except (LedgerUnavailable, DBAPIError):
            continue  # two rows may not have the same, or other rows refer to it
        for name, reply in _replies(client, answer):
            if reply.status_code == 500:
                faults.append((table, column, garbage, name))
            if name == "answers/{answer}" and reply.status_code == 200:
                assert reply.json()["statement"] == known["statement"]
        for rest in ledger.parent.glob("vault.sqlite-*"):
            rest.unlink()
        shutil.copy(whole, ledger)
    assert faults == []
