"""A workspace for the Hub's tests: real Hub, real proxy, real seats, on free ports, with a CIVIC_HOME and a
uid base of its own. Only the vault side's two programs are stood in for (stub_service.py)."""

import itertools
import os
import random
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub_config import db, home
from hub_config.client import make_link
from hub_config.members.people import open_people
from hub_config.settings import PORTS, PYTHON, read_settings
from hub_config.starting import running
from hub_config.starting.running import find_running
from tests.hub.command import Civic
from tests.hub.waiting import Clock

HERE = Path(__file__).parent
CONFIG = """
load_subconfig({config!r})
c.CivicHub.sweep_seconds = 1
for service in c.JupyterHub.services:
    if service["name"] in ("data", "site"):
        start = service["command"].index("-P", service["command"].index("--parent"))
        service["command"] = [*service["command"][:start], {stub!r}, service["name"]]
"""


_COUNT = itertools.count()
#: Below the range from which the system takes a port for whoever does not care. A workspace opens its ports seconds
#: after they were chosen, and looks at them again once it has ended: meanwhile any client's connection, in any process
#: of the machine, could be given one, and a closed one keeps it for a minute. Below the seats' numbers, likewise.
PORT_RANGE = range(12_000, 24_000)
#: Where every workspace of this run has its Hub's and its own tables; None: files.
_SERVER = None


def is_free(port):
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session", autouse=True)
def _on_the_chosen_database(server):
    global _SERVER
    _SERVER = server
    yield
    _SERVER = None


def free_ports(count):
    found = []
    while len(found) < count:
        port = random.SystemRandom().choice(PORT_RANGE)
        if port not in found and is_free(port):
            found.append(port)
    return found


def make_settings(folder, **more):
    # A uid base that no other test run uses at the same time, far from people's and from the default; and none that
    # this run had before, whose processes would be taken for this workspace's.
    base = 1_000_000 + (os.getpid() % 500) * 3_200_000 + next(_COUNT) * 50_000
    ports = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    where = {"CIVIC_HUB_DATABASE_URL": _SERVER.create()} if _SERVER else {}
    return read_settings({"CIVIC_HOME": str(folder), "CIVIC_UID_BASE": str(base), **ports, **where, **more})


@contextmanager
def temporary_folder():
    """Not pytest's tmp_path: that is 0700, so no seat could pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="civic-hub-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder():
    with temporary_folder() as made:
        yield made


@pytest.fixture
def settings(folder):
    return make_settings(folder / "home")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(settings):
    """The workspace's tables, while nothing runs."""
    home.prepare(settings)
    opened = db.open_database(settings)
    yield opened
    opened.dispose()


def write_config(folder):
    """Our own configuration, with the stand-ins' commands put in."""
    stub = folder / "stub_service.py"
    shutil.copyfile(HERE / "stub_service.py", stub)
    stub.chmod(0o644)
    config = folder / "config.py"
    config.write_text(CONFIG.format(config=str(running.CONFIG), stub=str(stub)))
    return config


#: What people are called on Korean pages, whose sentences add 님 themselves. Nobody's name is her account's.
KOREAN = {
    "expert-han": "한지우",
    "analyst-lee": "이서준",
    "facilitator-mo": "모하나",
    "outsider-yun": "윤가온",
    "city-steward": "시청 담당자",
    "cso-steward": "시민단체 담당자",
}


def add_people(settings):
    """Two teams, a room, and someone for most roles; returns {name: secret}."""
    home.prepare(settings)
    people = open_people(settings)
    people.add_team("river", "강 모임", "River group")
    people.add_team("gu-office", "구청", "District office")
    for name, language, roles, teams in [
        ("expert-han", "ko", ["expert"], ["river"]),
        ("analyst-lee", "en", ["analyst"], ["river"]),
        ("facilitator-mo", "ko", ["facilitator"], ["river"]),
        ("outsider-yun", "ko", ["participant"], ["gu-office"]),
        ("city-steward", "ko", ["city_steward"], []),
        ("cso-steward", "en", ["cso_steward"], []),
    ]:
        people.add_person(
            name,
            display_ko=KOREAN[name],
            display_en=name.title(),
            language=language,
            roles=roles,
            teams=teams,
        )
    people.add_room("river")
    secrets = {name: people.add_link(name, lifetime_s=3600) for name in people.names()}
    people.close()
    return secrets


class Running:
    def __init__(self, settings, workspace, secrets):
        self.settings, self.workspace, self.secrets = settings, workspace, secrets
        self.url = settings.workspace_url

    def log(self):
        return (self.settings.home / "logs" / "hub.log").read_text("utf-8", "replace")


@pytest.fixture(scope="package")
def provider():
    """The address of a provider of sign-in, which believes whatever name is typed there. A process of its own: its
    libraries warn of each other, and a warning here is a failure."""
    [port] = free_ports(1)
    command = [PYTHON, "-m", "oidc_provider_mock", "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(scope="package")
def hub(provider):
    with temporary_folder() as folder:
        secret = folder / "oidc.secret"
        secret.write_text("a secret of the provider\n")
        settings = make_settings(
            folder / "home",
            CIVIC_OIDC_ISSUER=provider,
            CIVIC_OIDC_CLIENT="civic",
            CIVIC_OIDC_SECRET_FILE=str(secret),
            CIVIC_OIDC_NAME="Seoul",
        )
        secrets = add_people(settings)
        with running.start(settings, print, config=write_config(folder)) as workspace:
            yield Running(settings, workspace, secrets)


@pytest.fixture
def civic(settings, folder):
    made = Civic(settings, write_config(folder))
    yield made
    running = find_running(settings)
    if running:
        running.stop()
    for process in made.started:
        process.communicate(timeout=60)


@pytest.fixture
def visit(chromium):
    """A browser of somebody new: `visit("en-GB", 360)` gives a page that keeps what it sent and its scripts' faults."""
    contexts = []

    def open_page(locale="ko-KR", width=1280, **more):
        given = {"viewport": {"width": width, "height": 900}, **more}
        context = chromium.new_context(locale=locale, **given)
        contexts.append(context)
        page = context.new_page()
        page.requests, page.faults = [], []
        page.on("request", lambda request: page.requests.append(f"{request.url} {request.post_data or ''}"))
        page.on("pageerror", lambda fault: page.faults.append(str(fault)))
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def signed_in(hub, visit):
    """`signed_in("expert-han")` gives her start page."""

    def come(name, locale="ko-KR", **more):
        page = visit(locale, **more)
        page.goto(make_link(hub.url, hub.secrets[name]))
        page.click("#enter")
        page.wait_for_url("**/hub/home")
        return page

    return come
