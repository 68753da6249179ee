"""The whole demonstration, once for all tests of this folder: nothing in it is stood in for.

demonstration   a real workspace on free ports: made-up city (2 million rides), vault, Hub, gateway, published report
blocked         a page of it that may fetch nothing but the file it is given; counts what it tried
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from hub_config.client import make_link
from hub_config.demo import Prepared, Runner, publish
from hub_config.members.people import open_people
from hub_config.settings import Settings
from tests.hub.conftest import make_settings, temporary_folder

#: The whole city: in a smaller one there are too few accidents to tell three gu from the rest.
RIDES = 2_000_000


@dataclass
class Demonstration:
    settings: Settings
    page: Path
    secrets: dict[str, str]

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def url(self) -> str:
        return self.settings.workspace_url

    def link(self, name: str) -> str:
        return make_link(self.url, self.secrets[name])


@pytest.fixture(scope="package")
def demonstration() -> Iterator[Demonstration]:
    with temporary_folder() as folder:
        settings = make_settings(folder / "home", CIVIC_LANGUAGE="en")
        with Prepared(settings, RIDES, quiet=True) as workspace:
            page = publish(workspace, Runner(settings, quiet=True))
            people = open_people(settings)
            secrets = {name: people.add_link(name, lifetime_s=3600) for name in people.names()}
            people.close()
            yield Demonstration(settings, page, secrets)


@dataclass
class Blocked:
    page: Page
    asked: list[str]
    said: list[str]


@pytest.fixture
def blocked(chromium: Browser) -> Iterator[Blocked]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    found = Blocked(page, [], [])

    def decide(route, request) -> None:  # type: ignore[no-untyped-def]
        if request.url.startswith("file:") and request.is_navigation_request():
            route.continue_()
            return
        found.asked.append(request.url)
        route.abort()

    context.route("**/*", decide)
    page.on("console", lambda message: found.said.append(message.text))
    yield found
    context.close()
