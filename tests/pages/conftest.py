"""Every report's page as today's notebooks, methods and templates make it of recorded answers (recorded.py).

made    report → its run and its release folder; two at once, in processes that fork from one with the imports done
site    the citizen site with all of them
walked  opens pages from their files in a browser that may reach nothing; counts what it tried and what it complained of
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Frame, Page, Route

from civic_kernel.publish.pages import Sources, build_release
from civic_kernel.publish.record import release_id
from civic_kernel.publish.site import build_site
from civic_kernel.reports.record import Run, answers_in
from civic_kernel.verify.documents import sha256_hex
from tests.pages import recorded
from tests.reports import standin


@dataclass(frozen=True)
class Made:
    run: Run
    folder: Path


def make_run(kept: recorded.Recorded, executed: str) -> Run:
    source = kept.notebook.read_bytes()
    schema = kept.notebook.with_suffix(".schema.json").read_bytes()
    notebook = nbformat.reads(executed, as_version=4)
    record = {
        **kept.record,
        "notebook_sha256": sha256_hex(source),
        "schema_version": json.loads(schema)["version"],
        "requirements_sha256": "0" * 64,
        "policies": sorted(line["hash"] for line in kept.policies),
        "answers": [{"answer_id": body["answer_id"]} for body in answers_in(notebook)],
    }
    return Run(record, source, schema, notebook)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    root = tmp_path_factory.mktemp("pages")
    found: dict[str, Made] = {}
    for name, executed in recorded.execute_all(recorded.reports()).items():
        kept = recorded.read(name)
        run = make_run(kept, executed)
        build_release(run, root / name, Sources(kept.policies, kept.parties), author="service-reports")
        found[name] = Made(run, root / name)
    return found


@pytest.fixture(scope="session")
def site(made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    releases: list[dict[str, Any]] = []
    for one in made.values():
        record = json.loads((one.folder / "release.json").read_text("utf-8"))
        approvals = [signer.sign(record) for signer in (standin.CITY, standin.CSO)]
        releases.append({"release_id": release_id(record), "record": record, "approvals": approvals})
    folders = [one.folder for one in made.values()]
    built = build_site(releases, folders, standin.parties(), root / "public", root / "staging")
    assert not built.refused
    return root / "public"


class Walked:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.route("**/*", self._judge)

    def _judge(self, route: Route) -> None:
        request = route.request
        if request.is_navigation_request() and request.frame == self.page.main_frame:
            route.continue_()
            return
        self.requests.append(request.url)
        # The list's own search lies beside it on the disk.
        route.continue_() if request.url.startswith("file:") else route.abort()

    def open(self, path: Path) -> list[Frame]:
        """The page's frames, itself the first, each map drawn."""
        self.requests.clear()
        self.complaints.clear()
        self.page.goto(path.as_uri())
        for frame in self.page.frames[1:]:
            frame.frame_element().scroll_into_view_if_needed()
            frame.wait_for_selector("path.leaflet-interactive", state="attached")
        self.page.evaluate("scrollTo(0, 0)")
        return self.page.frames


@pytest.fixture
def walked(chromium: Browser) -> Iterator[Walked]:
    context = chromium.new_context(viewport={"width": 360, "height": 800}, reduced_motion="reduce")
    yield Walked(context.new_page())
    context.close()
