"""Thirty people at once: from click to ready server, and to the end of each one's first cell.

A real Hub and proxy twice, once with JupyterHub's stock SimpleLocalProcessSpawner and its plain kernels, once
with the workspace's template. Everything is asked for at the same moment. Gateway and citizen site are stood in
for, since nothing of theirs is measured.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil
import websocket

from benchmarks.figures import Figure, at_least, at_most
from hub_config import home
from hub_config.client import Session
from hub_config.members.people import open_people
from hub_config.settings import PORTS, Settings, read_settings
from hub_config.starting import running

SEATS = 30
FIRST_CELL = "import pandas, geopandas, folium\nprint(pandas.DataFrame({'rides': [1, 2]}).sum().iloc[0])"
#: As in the whole workspace, but for the two programs that are stood in for.
OURS = """
load_subconfig({config!r})
for service in c.JupyterHub.services:
    if service["name"] in ("data", "site"):
        start = service["command"].index("-P", service["command"].index("--parent"))
        service["command"] = [*service["command"][:start], {stub!r}, service["name"]]
c.JupyterHub.concurrent_spawn_limit = 100
c.Spawner.start_timeout = c.Spawner.http_timeout = 900
"""
#: JupyterHub's own way, for tests and small courses: a process for each person, started from nothing. Kernels by
#: sockets in files: with Jupyter's ports some of thirty lose theirs to another before they are there, and never come.
STOCK = """
from jupyterhub.spawner import SimpleLocalProcessSpawner
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.args = ["--allow-root", "--KernelManager.transport=ipc"]
c.Spawner.cmd = ["jupyterhub-singleuser"]
"""


@dataclass(frozen=True)
class Told:
    """Seconds and bytes (PSS: shared pages divided among those who share them) of one way."""

    servers: float
    servers_memory: int
    cells: float
    cells_memory: int
    hub_memory: int


#: A large workshop, forked only: 60 stock seats would not fit beside the tests of this machine.
LARGE, LARGE_BAR_MB = 60, 12_000


def seats(count: int) -> list[Figure]:
    """Both ways, one after the other in one run; then twice as many seats, forked, for their memory."""
    ours = _measure(count, stock=False)
    click.echo(f"forked: servers {ours.servers:.1f} s, first cells {ours.cells:.1f} s")
    stock = _measure(count, stock=True)
    click.echo(f"stock: servers {stock.servers:.1f} s, first cells {stock.cells:.1f} s")
    large = _measure(LARGE, stock=False)
    click.echo(f"forked: {LARGE} servers {large.servers:.1f} s, first cells {large.cells:.1f} s")
    mega = 1e6
    return [
        Figure(f"{count} servers ready, stock", stock.servers, "s"),
        Figure(f"{count} servers ready, forked", ours.servers, "s"),
        at_least(f"{count} servers ready: stock ÷ forked", stock.servers / ours.servers, "×", 9),
        Figure("memory of the servers, stock (PSS)", stock.servers_memory / mega, "MB"),
        Figure("memory of the servers, forked (PSS, template included)", ours.servers_memory / mega, "MB"),
        at_least("memory of the servers: stock ÷ forked", stock.servers_memory / ours.servers_memory, "×", 3),
        Figure(f"{count}th first cell finished, stock", stock.cells, "s"),
        Figure(f"{count}th first cell finished, forked", ours.cells, "s"),
        at_least(f"{count}th first cell: stock ÷ forked", stock.cells / ours.cells, "×", 5),
        Figure("memory with kernels, stock (PSS)", stock.cells_memory / mega, "MB"),
        Figure("memory with kernels, forked (PSS, template included)", ours.cells_memory / mega, "MB"),
        at_least("memory with kernels: stock ÷ forked", stock.cells_memory / ours.cells_memory, "×", 3),
        at_most("Hub and proxy beside forked seats (PSS)", ours.hub_memory / mega, "MB", 300),
        Figure(f"{LARGE} servers ready, forked", large.servers, "s"),
        Figure(f"{LARGE}th first cell finished, forked", large.cells, "s"),
        at_most(
            f"{LARGE} seats and their kernels (PSS, template included)",
            large.cells_memory / mega,
            "MB",
            LARGE_BAR_MB,
        ),
        at_most(f"Hub and proxy beside {LARGE} seats (PSS)", large.hub_memory / mega, "MB", 300),
    ]


def _measure(count: int, *, stock: bool) -> Told:
    with hub_with(count, stock=stock) as (settings, secrets):
        sessions = [Session(settings.workspace_url, secret) for secret in secrets]
        began = time.monotonic()
        _at_once(sessions, _start)
        servers = time.monotonic() - began
        servers_memory = _memory(settings, _is_seat)
        hub_memory = _memory(settings, _is_hub)
        began = time.monotonic()
        _at_once(sessions, _first_cell)
        cells = servers + time.monotonic() - began
        return Told(servers, servers_memory, cells, _memory(settings, _is_seat), hub_memory)


def _at_once(sessions: list[Session], do: Callable[[Session], None]) -> None:
    gate = threading.Barrier(len(sessions))

    def one(session: Session) -> None:
        gate.wait()
        do(session)

    with ThreadPoolExecutor(len(sessions)) as pool:
        list(pool.map(one, sessions))


def _start(session: Session) -> None:
    """As the waiting page does: ask once, then be told. Thirty that ask again and again would measure themselves."""
    session.api("POST", f"users/{session.name}/server", {})
    token = session.token(["read:servers!user"], lifetime_s=3600, note="benchmark")
    address = f"{session.url}/hub/api/users/{session.name}/server/progress"
    request = urllib.request.Request(address, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=900) as told:
        last = [line for line in told if line.startswith(b"data:")][-1]
    if not json.loads(last.removeprefix(b"data:")).get("ready"):
        raise RuntimeError("a server did not come")


def _first_cell(session: Session) -> None:
    token = session.token([f"access:servers!user={session.name}"], lifetime_s=3600, note="benchmark")
    server = f"{session.url}/user/{session.name}"
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/api/kernels", b"{}", headers)
    with urllib.request.urlopen(request, timeout=900) as answer:
        kernel = json.load(answer)["id"]
    channel = websocket.create_connection(
        f"{server.replace('http:', 'ws:')}/api/kernels/{kernel}/channels",
        header=[f"Authorization: token {token}"],
        timeout=900,
    )
    try:
        printed = _run(channel, FIRST_CELL)
    finally:
        channel.close()
    if printed.strip() != "3":
        raise RuntimeError("a first cell failed")


def _run(channel: Any, code: str) -> str:
    number = uuid.uuid4().hex
    header = {
        "msg_id": number,
        "username": "",
        "session": number,
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    channel.send(
        json.dumps(
            {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        )
    )
    printed = ""
    while True:
        told = json.loads(channel.recv())
        if told["parent_header"].get("msg_id") != number:
            continue
        if told["msg_type"] == "stream" and told["content"]["name"] == "stdout":
            printed += told["content"]["text"]
        if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
            return printed


@contextmanager
def hub_with(count: int, *, stock: bool) -> Iterator[tuple[Settings, list[str]]]:
    """A running Hub with `count` people; (its settings, a link's secret of each)."""
    folder = Path(tempfile.mkdtemp(prefix="cbs-"))
    folder.chmod(0o711)
    try:
        ports = {name: str(port) for name, port in zip(PORTS, _free_ports(len(PORTS)), strict=True)}
        settings = read_settings({"CIVIC_HOME": str(folder / "home"), "CIVIC_UID_BASE": "1900000", **ports})
        home.prepare(settings)
        secrets = _people(settings, count)
        stub = folder / "stub_service.py"
        shutil.copyfile(Path(__file__).with_name("stub_service.py"), stub)
        stub.chmod(0o644)
        config = folder / "config.py"
        text = OURS.format(config=str(running.CONFIG), stub=str(stub))
        config.write_text(text + (STOCK.format(homes=str(folder)) if stock else ""))
        with running.start(settings, lambda _: None, config=config):
            _wait_for_template(settings)
            yield settings, secrets
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_template(settings: Settings) -> None:
    """It is there long before people come; its start is no part of theirs."""
    while not home.warm_socket(settings).exists():
        time.sleep(0.1)


def _people(settings: Settings, count: int) -> list[str]:
    people = open_people(settings)
    people.add_team("river", "강 모임", "River group")
    for number in range(count):
        name = f"guest-{number:02d}"
        people.add_person(
            name, display_ko=name, display_en=name, language="ko", roles=["participant"], teams=["river"]
        )
    secrets = [people.add_link(name, lifetime_s=3600) for name in people.names()]
    people.close()
    return secrets


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _memory(settings: Settings, counts: Callable[[str], bool]) -> int:
    """PSS in bytes of the processes of this workspace whose command line `counts`."""
    supervisor = psutil.Process(running.running_pid(settings))
    total = 0
    for process in supervisor.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if counts(" ".join(process.cmdline())):
                total += process.memory_full_info().pss
    return total


def _is_seat(command: str) -> bool:
    # A forked child keeps the template's command line.
    return any(part in command for part in ("civic_kernel.warm", "jupyterhub-singleuser", "ipykernel"))


def _is_hub(command: str) -> bool:
    return "hub_config.hub" in command or "configurable-http-proxy" in command
