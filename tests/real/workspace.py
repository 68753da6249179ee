"""A workspace for real data, laid out and run as a city's server would: folders, users, verbs, gateway process.

Everything is the product's own: `civic policy register|activate`, `civic data load`, `python -m
data_access.gateway` as civic-vault in a home that is root's. Faked is the Hub alone: two answers of its API.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from data_access.documents import Labels
from data_access.gateway.identity import ACCESS
from data_access.parties import Key, Party, Register, SigningKey
from data_access.parties.keys import signatures_path, write_signatures
from data_access.parties.register import SIDES
from data_access.policy import Policy
from hub_config import home as places
from hub_config.settings import PYTHON
from hub_config.settings import read_settings as read_hub_settings
from tests.factories import Keys, make_keys

CHECKOUT = Path(__file__).resolve().parents[2]
VERBS = "import sys; from data_access import cli; getattr(cli, sys.argv.pop(1))(prog_name='civic')"
_VALID = {"valid_from": "2000-01-01", "valid_until": "2099-12-31"}
_PARTIES = (
    Party(id="city", side="city", title=Labels(ko="시험용 시청", en="City of the tests")),
    Party(id="cso", side="cso", title=Labels(ko="시험용 시민단체", en="CSO of the tests")),
)


@dataclass(frozen=True)
class Person:
    """Somebody whom the Hub knows."""

    name: str
    scopes: tuple[str, ...]
    kind: str = "user"


#: Who asks is the service that runs reports: its team is `site`, by the gateway's own rule.
PEOPLE = {
    "test-token-of-the-reports-service": Person("reports", ("ask", "read", "release"), "service"),
    "test-token-of-the-citys-steward": Person("steward-city", ("approve:city",)),
    "test-token-of-the-csos-steward": Person("steward-cso", ("approve:cso",)),
}
REPORTS, *STEWARDS = PEOPLE


@dataclass
class City:
    """One city's server in the folder `root`, and its stewards' hands."""

    root: Path
    keys: Keys = field(default_factory=lambda: make_keys(demo=False))
    port: int = 0
    public_port: int = 0

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/data"

    @property
    def public_url(self) -> str:
        return f"http://127.0.0.1:{self.public_port}"

    def lay_out(self, catalog: Mapping[str, Mapping[str, Any]]) -> None:
        """The folders with their owners, by the Hub's own hand, and the layouts of the files to come."""
        # Passed through by civic-vault, listed by nobody; pytest's tmp_path would be 0700 and root's.
        self.root.chmod(0o711)
        places.prepare(read_hub_settings({"CIVIC_HOME": str(self.home)}))
        for name, entry in catalog.items():
            path = self.home / "catalog" / f"{name}.yaml"
            path.write_text(yaml.safe_dump(dict(entry), allow_unicode=True, sort_keys=False), "utf-8")
        # The checkout may lie in a folder that only its owner can enter: the vault's user gets a copy of
        # this very code.
        for name in ("data_access", "templates"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / name, self.root / "code" / name, ignore=ignore)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "CIVIC_HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": "Asia/Seoul",
            "PYTHONPATH": str(self.root / "code"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def verb(self, *words: str) -> dict[str, Any]:
        """`civic WORDS --json` as root, which becomes civic-vault by itself."""
        done = subprocess.run(
            [PYTHON, "-c", VERBS, *words, "--json"],
            cwd="/",
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def register(self, version: int, gateway: str | None = None) -> None:
        """Sign and accept a register with both stewards' keys, and the gateway's where it is known."""
        keys = [
            Key(
                id=self.keys.of(side).id,
                public=base64.b64encode(self.keys.of(side).public).decode("ascii"),
                party=side,
                person=f"steward-{side}",
                use="sign",
                demo=False,
                **_VALID,
            )
            for side in SIDES
        ]
        if gateway is not None:
            made = SigningKey.read(self.home / "keys" / "gateway.pem")
            assert base64.b64encode(made.public).decode("ascii") == gateway
            keys.append(
                Key(id=made.id, public=gateway, party=None, person=None, use="gateway", demo=False, **_VALID)
            )
        register = Register(kind="civic-register", version=version, parties=_PARTIES, keys=tuple(keys))
        path = self.home / "policies" / "parties.json"
        path.write_text(json.dumps(register.document(), ensure_ascii=False), "utf-8")
        write_signatures(
            signatures_path(path), tuple(self.keys.of(side).sign(register.document()) for side in SIDES)
        )
        self.verb("policy", "register", str(path))

    def activate(self, policy: Policy) -> None:
        path = self.home / "policies" / f"{policy.dataset}.yaml"
        path.write_text(yaml.safe_dump(policy.document(), allow_unicode=True, sort_keys=False), "utf-8")
        write_signatures(
            signatures_path(path), tuple(self.keys.of(side).sign(policy.document()) for side in SIDES)
        )
        self.verb("policy", "activate", str(path))

    def load(self, dataset: str, file: Path, *tables: Path) -> None:
        """Hand files in where the vault's user alone can read them, load, and take them away again."""
        incoming = self.root / "incoming"
        incoming.mkdir(mode=0o700)
        try:
            for source in (file, *tables):
                shutil.chown(shutil.copyfile(source, incoming / source.name), places.VAULT_USER)
            shutil.chown(incoming, places.VAULT_USER)
            self.verb("data", "load", dataset, str(incoming / file.name))
        finally:
            shutil.rmtree(incoming)

    @contextmanager
    def gateway(self) -> Iterator[None]:
        """The gateway's own process, as civic-vault."""
        self.port, self.public_port = free_ports(2)
        uid, gid = places.user_ids(places.VAULT_USER)
        with hub() as hub_url:
            process = subprocess.Popen(
                [PYTHON, "-m", "data_access.gateway"],
                cwd="/",
                env=self.environment(
                    CIVIC_GATEWAY_PORT=str(self.port),
                    CIVIC_PUBLIC_GATEWAY_PORT=str(self.public_port),
                    JUPYTERHUB_API_URL=hub_url,
                    JUPYTERHUB_API_TOKEN="test-token-of-the-gateway",
                ),
                user=uid,
                group=gid,
                extra_groups=[],
                stdin=subprocess.DEVNULL,
            )
            try:
                wait_for(f"{self.public_url}/v1/audit/head", process)
                wait_for(f"{self.url}/health", process)
                yield
            finally:
                process.terminate()
                process.wait(timeout=30)


def free_ports(count: int) -> list[int]:
    found = [socket.socket() for _ in range(count)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in found]
    for one in found:
        one.close()
    return ports


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, "the gateway ended"
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the gateway does not answer")


class _Hub(BaseHTTPRequestHandler):
    """The two questions that the gateway asks the Hub."""

    def do_GET(self) -> None:
        person = PEOPLE.get(self.headers.get("Authorization", "").removeprefix("token "))
        if self.path == "/user" and person is not None:
            scopes = [ACCESS, *(f"custom:civic:{scope}" for scope in person.scopes)]
            self._say(200, {"kind": person.kind, "name": person.name, "scopes": scopes})
        elif self.path.startswith("/users/"):
            self._say(200, {"name": self.path.removeprefix("/users/"), "groups": []})
        else:
            self._say(403, {})

    def _say(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
