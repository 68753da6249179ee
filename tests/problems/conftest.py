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
from civic_kernel.settings import WARM_SOCKET, Settings, Token
from civic_kernel.verify.page import check_page
from data_access.compose import Parts
from data_access.gateway.workspace import workspace_app
from tests.factories import FakeIdentity, copy_city, make_caller
from tests.gateway.serving import served
from tests.reports.conftest import warm_template as warm_template

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0ddba11c0ffee"
#: Its socket, and where it finds the gateway's.
Template = tuple[str, Path]


@dataclass(frozen=True)
class City:
    """Where the city's files lie, and the gateway that answers about it. `template`: what forks its runs; without one
    each is a new kernel."""

    home: Path
    settings: Settings
    app: Any = None
    template: Template | None = None

    def report(self, notebook: Path, out: Path, **parameters: Any) -> tuple[Run, Path]:
        """Run a notebook and put it on a page; the run and the page's folder."""
        request = Request(notebook, parameters)
        if self.template is None:
            run_report(request, out / "run", self.settings)
        else:
            with pytest.MonkeyPatch.context() as patched, served(self.app, self.template[1]):
                patched.setenv(WARM_SOCKET, self.template[0])
                run_report(request, out / "run", self.settings, only_forked=True)
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
def city(
    tmp_path_factory: pytest.TempPathFactory, small_city: Path, warm_template: Template
) -> Iterator[City]:
    yield from open_city(copy_city(small_city, tmp_path_factory.mktemp("problems") / "home"), warm_template)


def open_city(parts: Parts, template: Template) -> Iterator[City]:
    """The city of `parts`, its gateway answering for as long as the generator is held; it is closed with it."""
    try:
        app = workspace_app(parts, FakeIdentity({TOKEN: make_caller("reports", ["site"], "ask", "read")}))
        with served(app) as address:
            url = f"{address}/services/data"
            settings = Settings(url, "site", "published_report", "ko", Token(TOKEN))
            yield City(parts.settings.home, settings, app, template)
    finally:
        parts.close()
