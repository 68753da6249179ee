"""kill −9 at each step of an answer: a real process, a real ledger, and what a fresh process finds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from tests.factories import ANN, BEN, PERIODS, Workspace, table
from tests.ledger.answer_until import MONTHLY, MONTHLY_STEPS, STEPS

RHO = 10_000_000
CHECKOUT = Path(__file__).resolve().parents[2]


def kill_at(workspace: Workspace, step: str, *how: str) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.ledger.answer_until"),
            *(str(workspace.home), workspace.database_url, step, *how),
        ],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == step
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_nothing_is_charged_twice_and_asking_again_answers(
    workspace: Workspace, step: str
) -> None:
    workspace.parts.close()
    kill_at(workspace, step)
    workspace.reopen()
    with workspace.parts.database.reading() as connection:
        answers = connection.exec_driver_sql("SELECT count(*) FROM answers").scalar()
    charged = 0 if step == "inside_reserve" else RHO
    assert (workspace.spent(), answers) == (charged, 1 if step == "after_commit" else 0)
    # Another team asks: also for it the charge that is there is enough.
    answered = workspace.ask(BEN, None, team="walk")
    assert table(answered)[("종로구",)]["rides"] == 21
    assert (answered.charged, workspace.spent()) == (3 * (RHO - charged), RHO)
    assert workspace.ask().answer.statement == answered.answer.statement
    with workspace.parts.database.reading() as connection:
        check_chain(read_events(connection), workspace.parts.key.public)
        outcomes = connection.exec_driver_sql("SELECT outcome FROM settlements").scalars().all()
    assert outcomes == ["answered"]


@pytest.mark.parametrize("step", MONTHLY_STEPS)
def test_killed_among_several_months_all_or_none_are_charged_and_none_twice(
    workspace: Workspace, step: str
) -> None:
    workspace.parts.close()
    kill_at(workspace, step, "monthly")
    workspace.reopen()
    with workspace.parts.database.reading() as connection:
        answers = connection.exec_driver_sql("SELECT count(*) FROM answers").scalar()
    before = step in ("inside_reserve", "second_charge")
    spent = [0 if before else RHO] * len(PERIODS)
    assert [workspace.spent(period=period) for period in PERIODS] == spent
    assert answers == (4 if step == "after_commit" else 0)
    # One of its months is asked alone, by another team: what was charged for it is enough.
    august = MONTHLY | {"by": ["gu"], "where": {"column": "month", "op": "eq", "value": PERIODS[0]}}
    assert workspace.ask(BEN, august, team="walk").charged == (RHO if before else 0)
    answered = workspace.ask(ANN, MONTHLY)
    assert answered.charged == (2 * RHO if before else 0)
    assert table(answered)["종로구", PERIODS[2]]["rides"] == 7
    assert [workspace.spent(period=period) for period in PERIODS] == [RHO] * len(PERIODS)
    with workspace.parts.database.reading() as connection:
        check_chain(read_events(connection), workspace.parts.key.public)
