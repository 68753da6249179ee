"""A seat's server with the forms, alone, over the demonstration's small city behind a real gateway.

city     the gateway's address; made once
reports  the stand-in of the service `reports` beside it
seat     the seat's server, on real data, in Korean
page     a browser's page that is signed in to it
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from civic_kernel.client import Client
from data_access.gateway.workspace import workspace_app
from tests.factories import FakeIdentity, copy_city, make_caller
from tests.forms.standin import Service
from tests.gateway.serving import served
from tests.hub.conftest import free_ports

TOKEN = "0ddba11c0ffee"
SEAT_TOKEN = "a-token-of-the-test"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class City:
    url: str
    reports: Service
    #: Token → whose it is; a test may put somebody else in place for a while.
    callers: dict[str, Any]

    def client(self, **more: Any) -> Client:
        return Client(f"{self.url}/services/data", TOKEN, "bike", "exploration", **more)


@pytest.fixture(scope="package")
def city(tmp_path_factory: pytest.TempPathFactory, small_city: Path) -> Iterator[City]:
    parts = copy_city(small_city, tmp_path_factory.mktemp("forms") / "home")
    try:
        callers = {TOKEN: make_caller("analyst-lee", ["bike"], "ask", "read")}
        identity = FakeIdentity(callers)
        gateway = workspace_app(parts, identity)
        reports = Service(TOKEN)

        async def both(scope: Any, receive: Any, send: Any) -> None:
            mine = scope["type"] == "http" and scope["path"].startswith("/services/reports/")
            await (reports if mine else gateway)(scope, receive, send)

        with served(both) as address:
            yield City(address, reports, identity.callers)
    finally:
        parts.close()


@pytest.fixture
def reports(city: City) -> Service:
    city.reports.__init__(TOKEN)  # type: ignore[misc]  # as new; the address stays
    return city.reports


@dataclass(frozen=True)
class Seat:
    base: str

    def get(self, address: str) -> str:
        return self._open(address).decode()

    def _open(self, address: str) -> bytes:
        request = urllib.request.Request(
            self.base + address, headers={"Authorization": f"token {SEAT_TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="package")
def seat(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    home = tmp_path_factory.mktemp("seat")
    [port] = free_ports(1)
    command = [
        *(sys.executable, "-m", "jupyter_server", f"--ServerApp.port={port}", "--no-browser", "--allow-root"),
        *("--ServerApp.jpserver_extensions=civic_kernel.lab=True", f"--IdentityProvider.token={SEAT_TOKEN}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={home}"),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "CIVIC_GATEWAY_URL": f"{city.url}/services/data",
        "CIVIC_TEAM": "bike",
        "CIVIC_PURPOSE": "exploration",
        "CIVIC_LANGUAGE": "ko",
        "JUPYTERHUB_API_TOKEN": TOKEN,
    }
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    made = Seat(f"http://127.0.0.1:{port}/")
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < end, (home / "log").read_text("utf-8")
        try:
            json.loads(made.get("api/status"))
            break
        except OSError:
            time.sleep(0.1)
    yield made
    process.terminate()
    process.wait(20)


@pytest.fixture
def page(chromium: Browser, seat: Seat) -> Iterator[Page]:
    context = chromium.new_context(locale="ko-KR", viewport={"width": 1280, "height": 900})
    found = context.new_page()
    found.goto(f"{seat.base}api/status?token={SEAT_TOKEN}")  # the cookie that a person gets from the Hub
    yield found
    context.close()
