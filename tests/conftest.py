"""Fixtures that every folder of tests may use.

template       that of `workspace`, made once and closed: copy it, never change it
workspace      a workspace without isolation: register accepted, rides signed for (synthetic) and loaded, no noise
real_workspace the same with isolation, and nothing governed yet: for policies that do not say `synthetic`
clock          the workspace's clock
chromium       a real browser for one module: its event loop must not outlive it, or every later asyncio.run fails

Makers (keys, registers, policies, files, questions) are functions of tests/factories.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.factories import FakeClock, Workspace, copy_workspace, make_workspace

#: Debian's. Without the last five it looks up its maker's hosts at every start.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


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


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("template") / "home")
    made.parts.close()
    return made


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    made = copy_workspace(template, tmp_path / "home")
    yield made
    made.parts.close()


@pytest.fixture
def real_workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = make_workspace(tmp_path / "home", isolated=True, governed=False)
    yield made
    made.parts.close()


@pytest.fixture
def clock(workspace: Workspace) -> FakeClock:
    return workspace.clock
