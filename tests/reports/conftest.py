"""Small notebooks with their declarations, and a gateway over real HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from civic_kernel.settings import WARM_SOCKET, Settings, Token
from hub_config.settings import PYTHON, checkout_path
from tests.reports import standin

Write = Callable[..., Path]
FIRST = 1_900_000 + os.getpid() % 1000 * 100
RUNS = FIRST + 10
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="package")
def warm_template() -> Iterator[tuple[str, Path]]:
    """The template's socket, and the path of the gateway's."""
    folder = Path(tempfile.mkdtemp(prefix="civic-forked-test-"))
    folder.chmod(0o711)
    path, gateway = folder / "s", folder / "gateway"
    arguments = ["--uids", str(FIRST), str(FIRST + 20), "--runs", str(RUNS)] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [PYTHON, "-P", "-m", "civic_kernel.warm", str(path), *arguments, "--gateway", str(gateway)],
        cwd="/",
        # A checkout that is closed to others is no place for runs' users: then the installation.
        env={"PATH": os.environ["PATH"], **({"PYTHONPATH": str(ROOT)} if checkout_path() else {})},
    )
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    yield str(path), gateway
    process.terminate()
    process.wait(timeout=10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gateway() -> standin.Gateway:
    return standin.Gateway(standin.RIDES, standin.ACCIDENTS)


@pytest.fixture
def warm(warm_template: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are forked."""
    monkeypatch.setenv(WARM_SOCKET, warm_template[0])
    warm_template[1].unlink(missing_ok=True)


@pytest.fixture
def settings(gateway: standin.Gateway, request: pytest.FixtureRequest) -> Iterator[Settings]:
    is_warm = "warm" in request.fixturenames
    socket = request.getfixturevalue("warm_template")[1] if is_warm else None
    with standin.serving(gateway, socket) as url:
        yield Settings(url, "site", "safety", "en", Token(standin.TOKEN))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("print(1)", …)`: a notebook of these cells that declares one parameter, `year`."""

    def make(*sources: str) -> Path:
        cells = [nbformat.v4.new_code_cell("year = 2026", metadata={"tags": ["parameters"]})]
        for number, source in enumerate(sources, start=1):
            title = {"ko": f"{number}째 일", "en": f"step {number}"}
            cells.append(nbformat.v4.new_code_cell(source, metadata={"civic": {"title": title}}))
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path = tmp_path / "small.ipynb"
        path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)), "utf-8")
        words = {"ko": "해", "en": "Year"}
        year = {"type": "integer", "minimum": 2000, "default": 2026, "label": words, "help": words}
        schema = {
            "title": "small",
            "version": 1,
            "label": {"ko": "작은 보고서", "en": "A small report"},
            "type": "object",
            "additionalProperties": False,
            "properties": {"year": year},
        }
        path.with_suffix(".schema.json").write_text(json.dumps(schema), "utf-8")
        return path

    return make
