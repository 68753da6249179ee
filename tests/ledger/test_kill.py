"""kill −9 at each step of an answer: a real process, a real ledger, and what a fresh process finds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from tests.factories import BEN, Workspace, table
from tests.ledger.answer_until import STEPS

RHO = 10_000_000
CHECKOUT = Path(__file__).resolve().parents[2]


def kill_at(home: Path, step: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.answer_until", str(home), step],
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
    kill_at(workspace.home, step)
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
