"""Many askers at once and a gateway that is killed, over HTTP, with the ledger in either database.

test_kill.py has the steps one by one, on the database that `--database` names; here each promise is kept on both, by
real clients of a real server.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from data_access.gateway.workspace import workspace_app
from tests.factories import (
    BY_GU,
    PERIODS,
    FakeIdentity,
    Workspace,
    copy_workspace,
    make_caller,
    make_workspace,
)
from tests.gateway.serving import served
from tests.ledger.answer_until import MONTHLY

RHO = 10_000_000
CHECKOUT = Path(__file__).resolve().parents[2]
ASKERS = 64
AUGUST = {"column": "month", "op": "eq", "value": PERIODS[0]}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def made_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    chosen = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    template = make_workspace(tmp_path_factory.mktemp("askers") / "template", server=chosen)
    template.parts.close()
    return template


@pytest.fixture
def either(made_once: Workspace, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    """A workspace whose ledger is an SQLite file, or a database of a PostgreSQL server."""
    on_server = made_once.database_url.startswith("postgresql")
    chosen = request.getfixturevalue("postgresql") if on_server else None
    made = copy_workspace(made_once, tmp_path / "home", server=chosen)
    yield made
    made.parts.close()


def body(plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"plan": plan, "team": "bike", "purpose": "research", **more}


def at_once(workspace: Workspace, bodies: list[dict[str, Any]]) -> list[tuple[int, bytes]]:
    """What each of so many clients gets who ask at the same moment."""
    identity = FakeIdentity({f"t{n}": make_caller(f"asker{n}", ["bike"], "ask") for n in range(len(bodies))})
    barrier = threading.Barrier(len(bodies))
    with (
        served(workspace_app(workspace.parts, identity, prefix="")) as address,
        httpx.Client(base_url=address, timeout=120, limits=httpx.Limits(max_connections=None)) as client,
    ):

        def ask(number: int) -> tuple[int, bytes]:
            barrier.wait()
            headers = {"Authorization": f"token t{number}"}
            reply = client.post("/v1/answers", json=bodies[number], headers=headers)
            return reply.status_code, reply.content

        with ThreadPoolExecutor(len(bodies)) as pool:
            return list(pool.map(ask, range(len(bodies))))


def check_whole(workspace: Workspace) -> None:
    """The chain holds, and each answer that read data has its charge."""
    with workspace.parts.database.reading() as connection:
        check_chain(read_events(connection), workspace.parts.key.public)
        open_ones = connection.exec_driver_sql(
            "SELECT count(*) FROM reservations LEFT JOIN settlements ON id = reservation WHERE outcome IS NULL"
        ).scalar()
        assert open_ones == 0


def hours(number: int) -> dict[str, Any]:
    """A filter of its own for each number up to 64."""
    chosen = [hour for hour in range(7) if (number + 1) >> hour & 1]
    return {"column": {"fn": "hour", "column": "started_at"}, "op": "in", "values": chosen}


def test_sixty_four_different_questions_with_budget_for_ten_are_exactly_ten_answers(
    either: Workspace,
) -> None:
    plans = [BY_GU | {"by": [], "where": {"and": [AUGUST, hours(number)]}} for number in range(ASKERS)]
    replies = at_once(either, [body(plan, spend={"rho": "0.02"}) for plan in plans])
    assert Counter(status for status, _ in replies) == {200: 10, 409: ASKERS - 10}
    assert all(b'"budget_exhausted"' in content for status, content in replies if status == 409)
    assert either.spent() == 10 * 20_000_000
    check_whole(either)


def test_sixty_four_askers_of_one_question_are_one_charge_and_get_the_same_bytes(either: Workspace) -> None:
    # The second question joins months that the first has bought, the third is the first again.
    for plan, charged in ((BY_GU, 3 * RHO), (MONTHLY, 3 * RHO), (BY_GU, 0)):
        _one_charge(either, plan, charged)
    assert [either.spent(period=period) for period in PERIODS] == [2 * RHO] * 3
    check_whole(either)


def _one_charge(either: Workspace, plan: dict[str, Any], charged: int) -> None:
    replies = at_once(either, [body(plan) for _ in range(ASKERS)])
    assert {status for status, _ in replies} == {200}
    documents = [httpx.Response(200, content=content).json() for _, content in replies]
    assert sorted(document.pop("charged") for document in documents) == [0] * (ASKERS - 1) + [charged]
    assert all(document == documents[0] for document in documents)


def test_sixty_four_questions_by_month_with_budget_for_ten_are_ten_answers_and_no_part_of_another(
    either: Workspace,
) -> None:
    plans = [MONTHLY | {"where": hours(number)} for number in range(ASKERS)]
    replies = at_once(either, [body(plan, spend={"rho": "0.02"}) for plan in plans])
    assert Counter(status for status, _ in replies) == {200: 10, 409: ASKERS - 10}
    assert [either.spent(period=period) for period in PERIODS] == [10 * 20_000_000] * 3
    check_whole(either)


def test_a_gateway_killed_while_it_answers_over_http_has_charged_once(either: Workspace) -> None:
    step = "after_run"
    either.parts.close()
    command = [sys.executable, "-m", "tests.ledger.answer_until", str(either.home), either.database_url]
    process = subprocess.Popen(
        [*command, step, "monthly", "http"], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(_ask, address, body(MONTHLY, key="once"))
            assert process.stdout.readline().strip() == step
            process.send_signal(signal.SIGKILL)
            assert asked.result(20) is None, "no byte leaves before the answer does"
    finally:
        process.kill()
        process.communicate(timeout=20)
    either.reopen()
    assert [either.spent(period=period) for period in PERIODS] == [RHO] * 3
    [(status, content)] = at_once(either, [body(MONTHLY)])
    assert (status, httpx.Response(200, content=content).json()["charged"]) == (200, 0)
    assert [either.spent(period=period) for period in PERIODS] == [RHO] * 3
    check_whole(either)


def _ask(address: str, question: dict[str, Any]) -> bytes | None:
    try:
        return httpx.post(
            f"{address}/v1/answers", json=question, headers={"Authorization": "token t"}
        ).content
    except httpx.TransportError:
        return None
