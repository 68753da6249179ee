"""A run is whole or absent, knows what it was told, and fails in plain words. Real kernels, real HTTP."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from civic_kernel.errors import KernelDied, NotPublishable, RunFailed, RunTimeout
from civic_kernel.reports.record import answers_in, read_run
from civic_kernel.reports.runner import Bounds, Request, run_report
from civic_kernel.settings import Settings
from tests.reports import standin
from tests.reports.conftest import Write

ASK = """
import civic_kernel as civic
rides = civic.dataset("bike_rides")
rides.by(rides.start_gu).agg(rides=civic.count()).ask({"rho": "0.01"}, quiet=True)
"""


@pytest.fixture(autouse=True)
def temp(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for temporary files that no other test writes to at the same time."""
    tmp_path_factory.getbasetemp()  # made now: it outlives this folder
    with tempfile.TemporaryDirectory(prefix="civic-run-test-") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


def folders_in_temp() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("civic-")}


def test_a_run_keeps_what_ran_and_what_it_was_told(write: Write, settings: Settings, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    record = run_report(
        Request(write(ASK), {"year": 2025}), tmp_path / "run", settings, progress=lambda *a: told.append(a)
    )
    assert record["parameters"] == {"year": 2025}
    assert [answer["rho"] for answer in record["answers"]] == [10_000_000]
    assert record["policies"] == [standin.RIDES.hash]
    run = read_run(tmp_path / "run")
    assert run.record == record
    assert [body["answer_id"] for body in answers_in(run.executed)] == [record["answers"][0]["answer_id"]]
    assert told[-1][0] == told[-1][1] and "step 1" in [title for _, _, title in told]


def test_the_kernel_knows_its_room_and_nothing_of_the_caller(
    write: Write, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODY_ELSES_SECRET", "hush")
    source = """
import os, json
home = os.environ["HOME"] == os.getcwd()
print(json.dumps({"env": sorted(os.environ), "files": os.listdir("."), "home": home}))
"""
    run_report(Request(write(source), {}), tmp_path / "run", settings)
    outputs = [o for c in read_run(tmp_path / "run").executed.cells for o in c.get("outputs", [])]
    seen = json.loads(next(o["text"] for o in outputs if o["output_type"] == "stream"))
    assert "SOMEBODY_ELSES_SECRET" not in seen["env"] and "JUPYTERHUB_API_TOKEN" not in seen["env"]
    assert seen["home"] and not [name for name in seen["files"] if not name.startswith(".")]


def test_a_failing_cell_is_named_without_its_words(write: Write, settings: Settings, tmp_path: Path) -> None:
    before = folders_in_temp()
    notebook = write("pass", "raise ValueError('row 17: Kim Minji, 010-1234-5678')")
    with pytest.raises(RunFailed) as caught:
        run_report(Request(notebook, {}), tmp_path / "run", settings)
    assert "step 2" in str(caught.value)
    assert "Minji" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"small.ipynb", "small.schema.json"} and folders_in_temp() == before


def test_a_refusal_of_the_gateway_reaches_the_person(
    write: Write, gateway: standin.Gateway, settings: Settings, tmp_path: Path
) -> None:
    body = {
        "code": "budget_exhausted",
        "message": "Nothing is left.",
        "remedy": "Ask the stewards.",
        "request_id": "r",
    }
    gateway.refuse = (409, body)
    with pytest.raises(RunFailed, match="Nothing is left"):
        run_report(Request(write(ASK), {}), tmp_path / "run", settings)


def test_a_kernel_that_dies_in_the_middle_leaves_nothing(
    write: Write, settings: Settings, tmp_path: Path
) -> None:
    before = folders_in_temp()
    notebook = write(ASK, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(KernelDied):
        run_report(Request(notebook, {}), tmp_path / "run", settings)
    assert {path.name for path in tmp_path.iterdir()} == {"small.ipynb", "small.schema.json"}
    assert folders_in_temp() == before


def test_a_run_past_its_limit_is_ended_with_all_that_it_started(
    write: Write, settings: Settings, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    source = f"""
import subprocess, time
child = subprocess.Popen(["sleep", "60"])
open({str(mark)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    with pytest.raises(RunTimeout, match="8"):
        run_report(Request(write(source), {}), tmp_path / "run", settings, bounds=Bounds(8))
    state = Path(f"/proc/{mark.read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"
    assert not (tmp_path / "run").exists()


def test_a_run_never_overwrites(write: Write, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(NotPublishable):
        run_report(Request(write("pass"), {}), tmp_path / "run", settings)


def test_an_edited_run_is_not_read(write: Write, settings: Settings, tmp_path: Path) -> None:
    run_report(Request(write("print('nine')"), {}), tmp_path / "run", settings)
    executed = tmp_path / "run" / "executed.ipynb"
    executed.write_text(executed.read_text("utf-8").replace("nine", "ten"), "utf-8")
    with pytest.raises(NotPublishable):
        read_run(tmp_path / "run")
