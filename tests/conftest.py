"""Fixtures that every folder of tests may use.

template       that of `workspace`, made once and closed: copy it, never change it
workspace      a workspace without isolation: register accepted, rides signed for (synthetic) and loaded, no noise
real_workspace the same with isolation, and nothing governed yet: for policies that do not say `synthetic`
clock          the workspace's clock
sqlite_only    skips where the workspace's database is no file
small_city     the home of the whole demonstration with 2,000 rides, made once for all workers and closed: `copy_city`
look           checks a page at both widths, and keeps its picture under `--pictures` (tests/pictures.py)
chromium       a real browser for one module: its event loop must not outlive it, or every later asyncio.run fails

`--database postgresql` puts every workspace's database on a PostgreSQL server (`make test-postgres`): the same
tests, the same promises. `postgresql` is that server, for tests that need it whichever option is given.

`--hypothesis-profile whole` runs every example of the tests that skip most of them in `make test`.

Makers (keys, registers, policies, files, questions) are functions of tests/factories.py.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.factories import FakeClock, Workspace, copy_workspace, make_city, make_workspace
from tests.pictures import Look
from tests.postgresql import Server, find_programs, serving

#: `--hypothesis-profile whole`, for tests that run only a part of their examples otherwise.
hypothesis.settings.register_profile("whole", deadline=None, print_blob=True)

#: Debian's. Without the last five it looks up its maker's hosts at every start.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


#: Folders whose tests share what is slow to start, a running workspace or loaded files: each stays with one worker. The
#: longest first, so that no worker is left alone with one at the end.
TOGETHER = ("hub", "e2e", "real", "rooms", "problems", "forms")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return TOGETHER.index(folder) if folder in TOGETHER else len(TOGETHER)

    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `make test`: three workers on two cores, since they often wait for processes to start. Their workspaces take
    ports, uids and folders of their own.

    xdist's own groups (`--dist loadgroup`) do nothing with pytest 9.2: it writes them into a part of an item that is
    no longer its name.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = nodeid.split("/")[1]
            return folder if folder in TOGETHER else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return Together(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        # Set-up installs it where it can; on CI a browser that is missing is a failure.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Look:
    return Look(keep=request.config.getoption("--pictures"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.addoption("--pictures", action="store_true", help="keep the pictures of pages in docs/pictures")
    parser.addoption("--draws", type=int, default=40, metavar="N", help="how often intervals are drawn")
    parser.addoption("--fuzz", type=int, default=0, metavar="N", help="N times as many examples, new ones")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    programs = find_programs()
    if programs is None:
        # As with the browser: set-up installs it where it can.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("there is no PostgreSQL here")
    with serving(programs) as server:
        yield server


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server | None:
    """Where workspaces have their databases; None for files of SQLite."""
    chosen = request.config.getoption("--database") == "postgresql"
    return request.getfixturevalue("postgresql") if chosen else None


@pytest.fixture
def sqlite_only(server: Server | None) -> None:
    if server is not None:
        pytest.skip("about the file of SQLite")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("template") / "home", server=server)
    made.parts.close()
    return made


@pytest.fixture(scope="session")
def small_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    # Workers' folders lie beside each other, and the first that needs a city makes it for all of them.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "small-city"
    with open(shared / "small-city.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = Path(tempfile.mkdtemp(dir=shared))
            make_city(making / "home", rides=2_000).close()
            (making / "home").rename(made)
    return made


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path, server: Server | None) -> Iterator[Workspace]:
    made = copy_workspace(template, tmp_path / "home", server=server)
    yield made
    made.parts.close()


@pytest.fixture
def real_workspace(tmp_path: Path, server: Server | None) -> Iterator[Workspace]:
    made = make_workspace(tmp_path / "home", isolated=True, governed=False, server=server)
    yield made
    made.parts.close()


@pytest.fixture
def clock(workspace: Workspace) -> FakeClock:
    return workspace.clock
