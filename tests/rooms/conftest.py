"""A room's server with the very arguments that the Hub gives it, but alone, and forgetting a document after a second.

What the Hub adds (who may come in) is tested in tests/hub; here is what happens to a document that several people have.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from hub_config.members.people import Account
from hub_config.settings import PYTHON
from hub_config.spawners import FOLDERS, make_seat_arguments, make_seat_environment
from tests.hub.conftest import free_ports, make_settings
from tests.rooms.typist import Typist

TOKEN = "a-token-of-the-test"
#: Seconds after the last person has left.
FORGETS_AFTER = 1.0


class Room:
    def __init__(self, folder):
        self.folder = folder
        self.settings = make_settings(folder / "workspace")
        self.account = Account(
            "room-01", "강 모임", "River group", "en", self.settings.uid_base + 1, True, (), ("river",)
        )
        for name in (*FOLDERS, ".collaboration"):
            (folder / name).mkdir(parents=True)
        self.uid = self.account.uid if os.geteuid() == 0 else os.geteuid()
        self.own(folder)
        self.start()

    def own(self, place):
        """As root: `place` and all below belong to the room's user, as whom its server runs."""
        for file in [place, *place.rglob("*")] if os.geteuid() == 0 else []:
            os.chown(file, self.uid, self.uid)

    def start(self):
        self.port = free_ports(1)[0]
        self.base = f"http://127.0.0.1:{self.port}/"
        arguments = make_seat_arguments(self.settings, self.account, self.folder)
        # Those of the Hub's own are of no use without it.
        mine = [a for a in arguments if "HubOAuth" not in a and "seat_sessions" not in a]
        command = [
            *(PYTHON, "-m", "jupyter_server", f"--ServerApp.port={self.port}", "--no-browser", *mine),
            *("--allow-root", f"--IdentityProvider.token={TOKEN}", "--ServerApp.port_retries=0"),
            f"--YDocExtension.document_cleanup_delay={FORGETS_AFTER}",
        ]
        environment = make_seat_environment(self.settings, self.account, self.folder)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**environment, "PYTHONPATH": os.getcwd()},
                stdout=subprocess.DEVNULL,
                stderr=log,
                **({"user": self.uid, "group": self.uid, "extra_groups": []} if os.geteuid() == 0 else {}),
            )
        end = time.monotonic() + 60
        while True:
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            try:
                self.ask("GET", "api/status")
                return
            except OSError:
                time.sleep(0.1)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        return (self.folder / "log").read_text("utf-8", "replace")

    def ask(self, method, address, body=None):
        request = urllib.request.Request(
            self.base + address,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def write(self, path, *sources):
        """As another program than the server."""
        cells = [
            {
                "cell_type": "code",
                "id": f"c{n}",
                "metadata": {},
                "source": s,
                "outputs": [],
                "execution_count": None,
            }
            for n, s in enumerate(sources)
        ]
        document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / path).write_text(json.dumps(document))
        self.own(self.folder / path)

    def read(self, path):
        try:
            document = json.loads((self.folder / path).read_text())
        except ValueError:  # half written: whoever asks, asks again
            return []
        return ["".join(c["source"]) for c in document["cells"]]

    def typist(self, path):
        return Typist(self.base, TOKEN, path)


@pytest.fixture(scope="package")
def room():
    folder = Path(tempfile.mkdtemp(prefix="civic-room-test-"))
    made = Room(folder)
    yield made
    made.kill()
    shutil.rmtree(folder, ignore_errors=True)
