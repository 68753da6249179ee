"""Fixtures that every folder of tests may use.

template       that of `workspace`, made once and closed: copy it, never change it
workspace      a workspace without isolation: register accepted, rides signed for (synthetic) and loaded, no noise
real_workspace the same with isolation, and nothing governed yet: for policies that do not say `synthetic`
clock          the workspace's clock

Makers (keys, registers, policies, files, questions) are functions of tests/factories.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import FakeClock, Workspace, copy_workspace, make_workspace


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
