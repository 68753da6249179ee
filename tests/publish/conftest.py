"""One real run of the bike report for all tests here, and a release made of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from civic_kernel.publish.gateway import PublicGateway
from civic_kernel.publish.pages import Sources
from civic_kernel.publish.printing import Paper
from civic_kernel.publish.release import make_release
from civic_kernel.publish.screen import Known
from civic_kernel.reports.record import Run, read_run
from civic_kernel.reports.runner import Request, run_report
from civic_kernel.settings import Settings, Token
from tests.reports import standin

#: The citizen site's.
ADDRESS = "https://reports.seoul.example"
NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "bike_routes.ipynb"


@dataclass(frozen=True)
class Made:
    """A run, its release and the gateway that both came through."""

    run: Run
    release_id: str
    folder: Path
    gateway: standin.Gateway
    url: str

    @property
    def sources(self) -> Sources:
        return PublicGateway(self.url).sources()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    root = tmp_path_factory.mktemp("report")
    gateway = standin.Gateway(standin.RIDES, standin.ACCIDENTS)
    with standin.serving(gateway) as url:
        settings = Settings(url, "site", "safety", "ko", Token(standin.TOKEN))
        run_report(Request(NOTEBOOK, {}), root / "run", settings)
        run = read_run(root / "run")
        known = Known(secrets=(standin.TOKEN,), paths=(str(root),), people=("reports-runner",))
        identity, folder = make_release(
            run,
            root / "releases",
            PublicGateway(url, settings.token),
            author="reports",
            known=known,
            paper=Paper(),
            address=ADDRESS,
        )
        yield Made(run, identity, folder, gateway, url)


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """The release folder again, to be spoiled."""
    return Path(shutil.copytree(made.folder, tmp_path / made.release_id))
