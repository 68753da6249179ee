"""A run forked from the template: in a sandbox as root, under a user of its own. A real template, real HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from civic_kernel import warm
from civic_kernel.errors import KernelDied, RunFailed, RunsClosed, RunTimeout
from civic_kernel.reports.record import answers_in, read_run
from civic_kernel.reports.runner import Bounds, Request, run_report
from civic_kernel.settings import Settings
from hub_config.settings import PYTHON
from tests.reports.conftest import FIRST, RUNS, Write
from tests.reports.test_run import ASK

pytestmark = pytest.mark.usefixtures("warm")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a sandbox and users of its own need root")


def said(run: Path) -> str:
    cells = read_run(run).executed.cells
    return "".join(o["text"] for c in cells for o in c.get("outputs", []) if o["output_type"] == "stream")


def test_a_forked_run_asks_shows_and_is_told_cell_by_cell(
    write: Write, settings: Settings, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    drawn = (
        "import matplotlib.pyplot as plt\nprint('before')\nplt.plot([1, 2]); plt.show()\nprint('after')\nyear"
    )
    record = run_report(
        Request(write(ASK, drawn), {"year": 2025}),
        tmp_path / "run",
        settings,
        progress=lambda *a: told.append(a),
    )
    run = read_run(tmp_path / "run")
    assert [body["answer_id"] for body in answers_in(run.executed)] == [record["answers"][0]["answer_id"]]
    assert [title for _, _, title in told][2:4] == ["step 1", "step 2"] and told[-1][0] == told[-1][1] == len(
        told
    )
    shown = [(o["output_type"], sorted(o.get("data", {}))) for o in run.executed.cells[3]["outputs"]]
    assert shown == [
        ("stream", []),
        ("display_data", ["image/png", "text/plain"]),
        ("stream", []),
        ("execute_result", ["text/plain"]),
    ]


PROBE = """
import json, os, socket
def tried(what):
    try:
        return what()
    except BaseException as fault:
        return type(fault).__name__
print(json.dumps({
    "uid": os.getuid(), "groups": os.getgroups(), "cwd": os.getcwd(), "home": os.listdir(os.environ["HOME"]),
    "root": sorted(os.listdir("/")), "env": sorted(os.environ),
    "network": tried(lambda: socket.create_connection(("127.0.0.1", %d), timeout=2) and "reached"),
    "gateway": tried(lambda: socket.socket(socket.AF_UNIX).connect("/gateway") or "reached"),
    "passwd": tried(lambda: open("/etc/passwd").read()),
    "prefix": tried(lambda: open(os.path.join(%r, "new"), "w") and "written"),
    "room": tried(lambda: open("mine", "w") and "written"),
    "tmp": tried(lambda: os.listdir("/tmp")),
    "caller": tried(lambda: os.listdir(%r)),
    "processes": tried(lambda: os.listdir("/proc")),
    "host": os.kill(1, 0) if False else tried(lambda: os.kill(%d, 0)),
}))
"""


@as_root
def test_a_run_sees_the_gateway_and_nothing_else(write: Write, settings: Settings, tmp_path: Path) -> None:
    port = int(settings.gateway_url.rpartition(":")[2])
    prefix = str(Path(PYTHON).parents[1])
    probe = PROBE % (port, prefix, str(tmp_path), os.getpid())
    run_report(Request(write(probe), {}), tmp_path / "run", settings)
    seen = json.loads(said(tmp_path / "run"))
    assert RUNS <= seen["uid"] < FIRST + 20 and seen["groups"] == []
    assert seen["cwd"] == "/room" and [name for name in seen["home"] if not name.startswith(".")] == []
    assert {"home", "root", "var", "proc", "sys", "run", "srv"}.isdisjoint(seen["root"])
    assert not [name for name in seen["env"] if "TOKEN" in name]
    # Each refusal beside what is allowed.
    assert seen["network"] != "reached" and seen["gateway"] == "reached"
    assert seen["passwd"] == "FileNotFoundError" and seen["caller"] == "FileNotFoundError"
    assert seen["prefix"] == "OSError" and seen["room"] == "written"
    assert seen["tmp"] == [] and seen["processes"] == "FileNotFoundError"
    assert seen["host"] == "PermissionError"


@as_root
def test_what_a_run_leaves_behind_ends_with_it(write: Write, settings: Settings, tmp_path: Path) -> None:
    # A grandchild in a session of its own, which would outlive any signal to the run's process group.
    source = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nprint(os.getuid())"
    run_report(Request(write(source), {}), tmp_path / "run", settings)
    uid = int(said(tmp_path / "run"))
    assert [p for p in os.listdir("/proc") if p.isdigit() and owner(p) == uid] == []


def owner(pid: str) -> int:
    """Of a process that runs; one that has ended and waits to be reaped does nothing any more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return -1 if state == "Z" else os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


@as_root
def test_no_two_runs_have_one_user(write: Write, settings: Settings, tmp_path: Path) -> None:
    notebook = write("import os\nprint(os.getuid())")
    for name in ("one", "two"):
        run_report(Request(notebook, {}), tmp_path / name, settings)
    assert said(tmp_path / "one") != said(tmp_path / "two")


def test_a_failing_cell_is_named_without_its_words(write: Write, settings: Settings, tmp_path: Path) -> None:
    notebook = write("pass", "raise ValueError('row 17: Kim Minji, 010-1234-5678')")
    with pytest.raises(RunFailed) as caught:
        run_report(Request(notebook, {}), tmp_path / "run", settings)
    assert "step 2" in str(caught.value) and "Minji" not in str(caught.value)


@pytest.mark.parametrize(
    "source", ["import os\nos._exit(3)", "import os\nos.close(3)\nimport time\ntime.sleep(1)"]
)
def test_a_run_that_breaks_off_says_so(source: str, write: Write, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(KernelDied):
        run_report(Request(write(source), {}), tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()


def test_an_endless_run_is_ended(write: Write, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(RunTimeout):
        run_report(Request(write("while True: pass"), {}), tmp_path / "run", settings, bounds=Bounds(2))


def test_a_run_that_lies_to_its_asker_is_refused(write: Write, settings: Settings, tmp_path: Path) -> None:
    # The notebook shares its process with the engine, so it can write to the channel.
    lie = "import os, struct\nos.write(3, struct.pack('!I', 17) + b'{\"executed\": 17  }'[:17])"
    with pytest.raises(KernelDied):
        run_report(Request(write(lie), {}), tmp_path / "run", settings)


@as_root
def test_where_no_sandbox_can_be_made_nothing_runs(
    write: Write, settings: Settings, warm_template: tuple[str, Path], tmp_path: Path
) -> None:
    warm_template[1].rename(warm_template[1].with_name("moved"))
    try:
        with pytest.raises(RunsClosed):
            run_report(Request(write("print(1)"), {}), tmp_path / "run", settings)
    finally:
        warm_template[1].with_name("moved").rename(warm_template[1])


@as_root
def test_only_the_reports_service_and_the_hub_start_runs(warm_template: tuple[str, Path]) -> None:
    from civic_kernel.warm.template import Rules
    from civic_kernel.warm.wire import Kind, Order, Peer

    rules = Rules(FIRST, FIRST + 20, RUNS, reports=900)
    run = Order(Kind.RUN)
    assert rules.reason_against(Peer(1, 900, frozenset()), run) is None
    assert rules.reason_against(Peer(1, FIRST, frozenset()), run) == "not yours"
    assert rules.reason_against(Peer(1, 900, frozenset()), Order(Kind.RUN, uid=RUNS)) == "no such user"
    assert rules.reason_against(Peer(1, 0, frozenset()), Order(Kind.KERNEL, uid=RUNS)) == "no such user"
    assert rules.reason_against(Peer(1, 900, frozenset()), Order(Kind.END, uid=FIRST)) == "no such user"
    with pytest.raises(warm.Refused):
        warm.end_run(warm_template[0], FIRST)
