"""Reports of all gu: papermill and `jupyter nbconvert`, one after the other, beside `civic report batch`.

Both ask the same gateway the same questions, which are answered and paid for before anything is measured. Ours does
more in its time: it looks for the price, puts each run in a sandbox, and makes Korean and English pages that pass the
screen, where nbconvert writes one HTML file.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
import psutil
import uvicorn

from benchmarks.figures import Figure, at_least, at_most, median
from civic_kernel.reports import forked
from civic_kernel.reports.outcome import Bounds, Outcome
from civic_kernel.reports.parameters import read_schema
from civic_kernel.reports.queue import MOST_AT_ONCE, width_here
from civic_kernel.reports.runner import Request
from civic_kernel.reports.work import Report, make_report, read_public
from civic_kernel.settings import WARM_SOCKET, Settings, Token
from data_access.compose import compose, read_settings
from data_access.demo import prepare as demo
from data_access.flows.answering import Asker
from data_access.gateway.identity import ASK, READ, Caller
from data_access.gateway.workspace import workspace_app
from hub_config.settings import PYTHON

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "benchmark-0ddba11"
#: Users that own nothing and are nobody's; the runs' are from ten above.
FIRST = 1_880_000
#: Faster than the stock way by at least so much; how long a report may take beyond its cells; memory of all together.
BARS = {"small": 12.0, "bike_routes": 5.0}
OVERHEAD_S, MEMORY_MB = 0.7, 1500.0


@dataclass(frozen=True)
class _Place:
    folder: Path
    environment: Mapping[str, str]
    settings: Settings


def reports(rides: int, gu: int) -> list[Figure]:
    """`gu` reports of each kind, 25 of which are all; a city of `rides` rides."""
    figures: list[Figure] = []
    with _place(rides) as place:
        for name, notebook in {
            "small": _small(place.folder),
            "bike_routes": ROOT / "notebooks" / "bike_routes.ipynb",
        }.items():
            figures += _measure(place, name, notebook, gu)
    return figures


def _measure(place: _Place, name: str, notebook: Path, gu: int) -> list[Figure]:
    schema = json.loads(notebook.with_suffix(".schema.json").read_text("utf-8"))
    values = [value for value in schema["properties"]["gu"]["enum"] if value != "all"][:gu]
    _batch(place, notebook, values[:1], 1)

    def one_by_one() -> None:
        for value in values:
            _stock(place, notebook, value)

    stock = _seconds(one_by_one)
    widths = {}
    peak = 0.0
    for width in (1, 2, 3, MOST_AT_ONCE):
        with _memory() as seen:
            widths[width] = _seconds(partial(_batch, place, notebook, values, width))
        peak = max(peak, *seen)
    here = widths[min(width_here(), 3)]
    return [
        Figure(f"{name}: {gu} reports, papermill and nbconvert", stock, "s"),
        *(Figure(f"{name}: {gu} reports, batch, {width} at once", s, "s") for width, s in widths.items()),
        at_least(f"{name}: throughput, batch ÷ stock", stock / here, "×", BARS[name]),
        at_most(f"{name}: one report beyond its cells", _overhead(place, notebook), "s", OVERHEAD_S),
        at_most(f"{name}: memory of template, batch and runs, at most", peak, "MB", MEMORY_MB),
    ]


def _overhead(place: _Place, notebook: Path, rounds: int = 5) -> float:
    """Seconds from asking for one report to its pages, less what the cells of that run took."""
    schema = read_schema(notebook)
    public = read_public(place.settings)
    run = forked.run
    cells: list[float] = []

    def noted(*asked: Any) -> Outcome:
        outcome = run(*asked)
        cells.append(outcome.seconds)
        return outcome

    found: list[float] = []
    report = Report(Request(notebook, {}), schema.label, Bounds(), only_forked=True)
    with mock.patch.object(forked, "run", noted):
        for number in range(rounds):
            out = place.folder / f"{schema.name}-{number}"
            found.append(_seconds(partial(make_report, report, out, place.settings, public)))
    return median([whole - inside for whole, inside in zip(found, cells, strict=True)])


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _stock(place: _Place, notebook: Path, gu: str) -> None:
    out = place.folder / "stock.ipynb"
    more = ("-p", "gu", gu, "-k", "python3", "--no-progress-bar")
    _run(place, "-m", "papermill", str(notebook), str(out), *more)
    _run(place, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR", str(out))


def _batch(place: _Place, notebook: Path, values: list[str], width: int) -> None:
    with tempfile.TemporaryDirectory(dir=place.folder) as out:
        each = f"gu={','.join(values)}"
        more = ("--out", f"{out}/batch", "--width", str(width), "--yes", "--json")
        _run(place, "-P", "-m", "civic_kernel.cli", "report", "batch", str(notebook), "--each", each, *more)


def _run(place: _Place, *words: str) -> None:
    subprocess.run(
        [PYTHON, *words],
        env=dict(place.environment),
        cwd=place.folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def _memory() -> Iterator[list[float]]:
    """The most that template, batch and runs had together, in megabytes: shared pages counted once."""
    seen = [0.0]
    over = threading.Event()
    me = psutil.Process()

    def look() -> None:
        # Seldom, and only what is needed: this process is the gateway too, and to add up pages takes its time.
        while not over.wait(1.0):
            # The template and the batch are children of this process, the runs have users of their own.
            ours = {child.pid for child in me.children()}
            total = 0
            for pid in psutil.pids():
                with suppress(OSError):
                    if pid in ours or FIRST <= os.stat(f"/proc/{pid}").st_uid < FIRST + 100:
                        total += _shared_out(pid)
            seen[0] = max(seen[0], total / 1e6)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _shared_out(pid: int) -> int:
    """PSS in bytes (proc(5), smaps_rollup): shared pages divided among those who share them. Raises OSError."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


@contextmanager
def _place(rides: int) -> Iterator[_Place]:
    """The made-up city behind a gateway with an address and a socket, and a template that forks runs."""
    with tempfile.TemporaryDirectory(prefix="civic-bench-reports-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        home = folder / "home"
        demo.install_catalog(home / "catalog")
        parts = compose(read_settings({"CIVIC_HOME": str(home)}), create=True)
        demo.prepare(parts, rides=rides, seed=2017, progress=lambda *_: None)
        with _serving(workspace_app(parts, _Known()), folder / "gateway") as port, _template(folder):
            (folder / "token").write_text(TOKEN)
            url = f"http://127.0.0.1:{port}/services/data"
            environment = {
                "PATH": f"{Path(PYTHON).parent}:/usr/bin:/bin",
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
                "CIVIC_GATEWAY_URL": url,
                "CIVIC_TOKEN_FILE": str(folder / "token"),
                "CIVIC_TEAM": "site",
                "CIVIC_PURPOSE": "published_report",
                WARM_SOCKET: str(folder / "s"),
            }
            os.environ[WARM_SOCKET] = environment[WARM_SOCKET]
            settings = Settings(url, "site", "published_report", "ko", Token(TOKEN))
            yield _Place(folder, environment, settings)
        parts.close()


class _Known:
    """Stands for the Hub."""

    def caller(self, token: str) -> Caller:
        if token != TOKEN:
            raise PermissionError("nobody else asks here")
        return Caller(Asker("service-reports", frozenset({"site"}), asks=True), frozenset({ASK, READ}))


@contextmanager
def _serving(app: Any, path: Path) -> Iterator[int]:
    # With its protocol named, or asyncio does not send small answers at once and each waits 40 ms for nothing.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener, socket.socket(socket.AF_UNIX) as beside:
        listener.bind(("127.0.0.1", 0))
        beside.bind(str(path))
        path.chmod(0o666)
        for one in (listener, beside):
            one.listen(64)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener, beside]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def _template(folder: Path) -> Iterator[None]:
    path = folder / "s"
    uids = ["--uids", str(FIRST), str(FIRST + 100), "--runs", str(FIRST + 10)] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [PYTHON, "-P", "-m", "civic_kernel.warm", str(path), *uids, "--gateway", str(folder / "gateway")],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )
    try:
        while not path.exists():
            if process.poll() is not None:
                sys.exit("the template ended")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _small(folder: Path) -> Path:
    """One question, one chart, one sentence."""
    cells = [
        nbformat.v4.new_code_cell('gu = "all"\nlanguage = "ko"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(_SMALL),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / "small.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)), "utf-8")
    bike = json.loads((ROOT / "notebooks" / "bike_routes.schema.json").read_text("utf-8"))
    kept = {name: bike["properties"][name] for name in ("gu", "language")}
    schema = {**bike, "title": "small", "properties": kept, "required": list(kept)}
    path.with_suffix(".schema.json").write_text(json.dumps(schema), "utf-8")
    return path


_SMALL = """
import civic_kernel as civic
from civic_kernel import charts
from civic_kernel.publish import blocks
from IPython.display import display
source = civic.dataset("bike_rides")
asked = source.where(source.month == "2026-09").by(source.start_gu).agg(rides=civic.count())
told = asked.ask({"rho": "0.01"}, quiet=True)
told = told[told["start_gu"] != "other"]
display(blocks.message(ko=f"{gu}에서도 자전거를 탑니다.", en=f"People ride bikes in {gu} too."))
alt = {
    "ko": "구마다 점 하나와 범위를 나타내는 줄이 있습니다. 표에 같은 값이 있습니다.",
    "en": "One dot for each gu with a line for its range; the table has the values.",
}
display(blocks.figure(
    lambda spoken: charts.dots(told, "rides", "start_gu", title="Rides", alt=alt[spoken], language=spoken),
    name="rides-by-gu",
    title={"ko": "구마다 다르게 탑니다", "en": "Riding differs from gu to gu"},
    subtitle={"ko": "출발한 구별 이용, 2026년 9월", "en": "Rides by gu of start, September 2026"},
    alt=alt,
    table=told,
    columns={"start_gu": {"ko": "구", "en": "Gu"}, "rides": {"ko": "이용", "en": "Rides"}},
    uncertainty={"ko": "줄이 범위입니다.", "en": "The lines are ranges."},
))
"""
