"""Batches from the command line, and what they cost: a real gateway that charges, a real template, real processes."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civic_kernel.reports.batch import Batch, Order
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.queue import Job, Queue
from civic_kernel.reports.work import read_public
from civic_kernel.settings import WARM_SOCKET, Settings, Token
from data_access.gateway.workspace import workspace_app
from data_access.parties.register import Key
from hub_config.settings import PYTHON
from tests.factories import FakeIdentity, Workspace, make_caller, make_register
from tests.gateway.serving import served
from tests.reports import standin
from tests.reports.conftest import ROOT, Write

pytestmark = pytest.mark.usefixtures("warm")
ASKS = """
import civic_kernel as civic
rides = civic.dataset("rides")
told = rides.by(rides.gu).agg(rides=civic.count()).ask({"rho": "0.02"}, quiet=True)
"""
ASKS_OF_ITS_OWN = """
import civic_kernel as civic
rides = civic.dataset("rides")
spend = {"rho": f"0.0{year - 1995}"}
told = rides.by(rides.gu).agg(rides=civic.count()).ask(spend, quiet=True)
"""
SAID = """
from civic_kernel.publish import blocks
blocks.message(ko=f"{year}번째 구의 쪽.", en=f"The page of gu number {year}.")
"""


@pytest.fixture
def charging(workspace: Workspace, warm_template: tuple[str, Path]) -> Iterator[Settings]:
    """A gateway that charges, at an address and at the runs' socket; its key stands in the register."""
    key = workspace.parts.key
    register = make_register(workspace.keys, workspace.demo_keys, version=2)
    own = Key(
        id=key.id,
        public=base64.b64encode(key.public).decode(),
        party=None,
        person=None,
        use="gateway",
        demo=False,
        valid_from="2026-01-01",
        valid_until="2030-12-31",
    )
    workspace.accept(register.model_copy(update={"keys": (*register.keys, own)}))
    callers = {standin.TOKEN: make_caller("ann", ["bike"], "ask", "read")}
    app = workspace_app(workspace.parts, FakeIdentity(callers))
    with served(app, warm_template[1]) as address:
        yield Settings(f"{address}/services/data", "bike", "research", "en", Token(standin.TOKEN))


def run(folder: Path, notebook: Path, settings: Settings, years: list[int], width: int = 2) -> Batch:
    title = {"ko": "작은 보고서", "en": "A small report"}
    order = Order("", "small", title, "en", settings.team, settings.purpose)  # type: ignore[arg-type]
    batch = Batch.make(folder, notebook, order, [{"year": year} for year in years])
    public = read_public(settings)
    queue = Queue(width)

    def job(number: int) -> Job:
        def work(stop: threading.Event) -> None:
            batch.perform(number, settings, public, Bounds(200, stop=stop), only_forked=True)

        return Job("", "", number, work)

    queue.add([job(number) for number in range(1, len(years) + 1)])
    assert queue.wait(240)
    queue.close()
    return batch


def test_twenty_five_gu_pay_once(
    write: Write, charging: Settings, workspace: Workspace, tmp_path: Path
) -> None:
    before = workspace.spent()
    batch = run(tmp_path / "batch", write(ASKS, SAID), charging, list(range(2000, 2025)))
    assert [part.state for part in batch.parts] == ["done"] * 25, batch.parts[0]
    assert workspace.spent() - before == 20_000_000, "what one of them costs"
    records = [json.loads((batch.place(n) / "run" / "run.json").read_text("utf-8")) for n in range(1, 26)]
    answers = {answer["answer_id"] for record in records for answer in record["answers"]}
    assert len(answers) == 1
    assert [record["answers"][0]["charged"] for record in records].count(0) == 24
    for number in (1, 25):
        page = (batch.place(number) / "page" / "en" / "index.html").read_text("utf-8")
        assert f"The page of gu number {1999 + number}." in page


def test_where_the_budget_ends_what_is_done_stays_and_the_rest_says_so(
    write: Write, charging: Settings, workspace: Workspace, tmp_path: Path
) -> None:
    # Of 0.2 a month: 0.05, 0.06 and 0.07 go, 0.08 and 0.09 do not.
    batch = run(tmp_path / "batch", write(ASKS_OF_ITS_OWN, SAID), charging, list(range(2000, 2005)), width=1)
    assert [part.state for part in batch.parts] == ["done", "done", "done", "failed", "failed"]
    assert batch.state == "partly"
    for number in (4, 5):
        assert "budget" in batch.parts[number - 1].remedy
        page = (batch.place(number) / "page" / "index.html").read_text("utf-8")
        assert "budget" in page and "step 1" in page and batch.has_partial(number)
    # And what has failed runs again for nothing but what it asks.
    assert Batch.read(tmp_path / "batch").again() == [4, 5]


def command(notebook: Path, out: Path, settings: Settings, token: Path, *more: str) -> subprocess.Popen[str]:
    token.write_text(settings.token.reveal())
    return subprocess.Popen(
        [
            *(PYTHON, "-P", "-m", "civic_kernel.cli", "report", "batch", str(notebook)),
            *("--each", "year=2001,2002,2003", "--out", str(out), "--width", "1", *more),
        ],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "CIVIC_GATEWAY_URL": settings.gateway_url,
            "CIVIC_TOKEN_FILE": str(token),
            "CIVIC_TEAM": "site",
            "CIVIC_PURPOSE": "safety",
            "CIVIC_LANGUAGE": "en",
            WARM_SOCKET: os.environ[WARM_SOCKET],
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_asks_once_stops_on_ctrl_c_and_goes_on_where_it_was(
    write: Write, settings: Settings, gateway: standin.Gateway, tmp_path: Path
) -> None:
    from tests.reports.test_service import ASKS as ASKS_RIDES

    notebook, out, token = write(ASKS_RIDES, SAID), tmp_path / "batch", tmp_path / "token"
    first = command(notebook, out, settings, token)
    assert first.stdin is not None and first.stderr is not None
    # One question for all three; and nothing runs before it is answered.
    read = ""
    while "?" not in read:
        read += first.stderr.read(1)
    assert "3 reports ask 1 questions together" in read and gateway.asked == []
    first.stdin.write("y\n")
    first.stdin.flush()
    while True:
        line = first.stderr.readline()
        assert line, "it ended too early"
        if "1/3 ended" in line:
            break
    gateway.held = {standin.TOKEN}
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=200)
    assert first.returncode == 9 and "The same command again runs only what is not done" in said
    states = [part["state"] for part in json.loads((out / "batch.json").read_text("utf-8"))["parts"]]
    assert states[0] == "done" and "done" not in states[2:] and len(states) == 3
    before = (out / "1" / "page" / "en" / "index.html").stat().st_mtime_ns

    gateway.held = set()
    again = command(notebook, out, settings, token, "--yes", "--json")
    told, _ = again.communicate(timeout=200)
    document: dict[str, Any] = json.loads(told)
    assert again.returncode == 0 and document["state"] == "done"
    assert [run["state"] for run in document["runs"]] == ["done"] * 3
    assert (out / "1" / "page" / "en" / "index.html").stat().st_mtime_ns == before, "not run again"
    other = command(write(ASKS_RIDES), out, settings, token, "--yes", "--json")
    told, _ = other.communicate(timeout=200)
    assert other.returncode == 9 and json.loads(told)["code"] == "not_publishable"
    assert token.read_text() not in "".join(p.read_text("utf-8") for p in out.rglob("*.json"))
