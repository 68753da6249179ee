"""The demonstration's whole small city behind a real gateway, and a way to run a report of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from civic_kernel.client import Client
from civic_kernel.publish.blocks import BLOCK_MIME
from civic_kernel.publish.pages import Sources, build_release
from civic_kernel.reports.record import Run, read_run
from civic_kernel.reports.runner import Request, run_report
from civic_kernel.settings import Settings as KernelSettings
from civic_kernel.settings import Token
from civic_kernel.verify.page import check_page
from data_access.compose import Settings, compose
from data_access.demo import prepare as demo
from data_access.gateway.workspace import workspace_app
from tests.factories import FakeIdentity, make_caller
from tests.gateway.serving import served

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0ddba11c0ffee"


@dataclass(frozen=True)
class City:
    """Where the city's files lie, and the gateway that answers about it."""

    home: Path
    settings: KernelSettings

    def report(self, notebook: Path, out: Path, **parameters: Any) -> tuple[Run, Path]:
        """Run a notebook and put it on a page; the run and the page's folder."""
        run_report(Request(notebook, parameters), out / "run", self.settings)
        run = read_run(out / "run")
        client = Client(self.settings.gateway_url, self.settings.token, "site", "published_report")
        try:
            sources = Sources(client.get("/v1/policies"), client.get("/v1/parties"))
        finally:
            client.close()
        build_release(run, out / "page", sources, author="reports")
        return run, out / "page"


def blocks_of(run: Run) -> dict[str, Any]:
    """The page's figures by name; `messages` are its sentences."""
    found: dict[str, Any] = {"messages": []}
    for cell in run.executed.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get(BLOCK_MIME)
            if data is not None and data["kind"] == "message":
                found["messages"].append(data["text"])
            elif data is not None and data["kind"] == "figure":
                found[data["name"]] = data
    return found


def table_of(figure: dict[str, Any]) -> list[dict[str, Any]]:
    """A figure's table, row by row."""
    names = [column["name"] for column in figure["table"]["columns"]]
    return [dict(zip(names, row, strict=True)) for row in figure["table"]["rows"]]


def check(page: Path) -> None:
    """What `civic report check` says of both languages' pages."""
    for language in ("ko", "en"):
        assert check_page(page / language / "index.html").wrong == []


@pytest.fixture(scope="package")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    yield from open_city(tmp_path_factory.mktemp("problems") / "home", rides=2_000)


def open_city(home: Path, rides: int, datasets: tuple[str, ...] = demo.DATASETS) -> Iterator[City]:
    """A city in `home`, its gateway answering for as long as the generator is held."""
    demo.install_catalog(home / "catalog")
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'db' / 'vault.sqlite'}", isolated=False)
    parts = compose(settings, create=True)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(demo, "DATASETS", datasets)
            demo.prepare(parts, rides=rides, seed=2017, progress=lambda *_: None)
        callers = {TOKEN: make_caller("reports", ["site"], "ask", "read")}
        with served(workspace_app(parts, FakeIdentity(callers))) as address:
            url = f"{address}/services/data"
            yield City(home, KernelSettings(url, "site", "published_report", "ko", Token(TOKEN)))
    finally:
        parts.close()
