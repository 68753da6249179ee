"""Starting and stopping the workspace, for `civic up`, the demo and the tests.

with start(settings, print) as workspace:
    ... workspace.settings.workspace_url ...
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

from hub_config.errors import PartMissing, PortTaken, SettingInvalid, StartFailed
from hub_config.home import prepare
from hub_config.settings import PREFIX, PYTHON, Settings, checkout_path
from hub_config.texts import text

Log = Callable[[str], object]
PACKAGE = Path(__file__).resolve().parents[1]
CONFIG = PACKAGE / "jupyterhub_config.py"
#: The settings file for each kind of seat that a Hub on this machine can have.
CONFIGS = {"here": CONFIG, "containers": PACKAGE / "elsewhere/containers_config.py"}
START_TIMEOUT = 120.0
STOP_TIMEOUT = 40.0


@dataclass
class Workspace:
    """A workspace that runs; `pid` is its supervisor's. `stop()` may be called twice."""

    settings: Settings
    pid: int
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _watch: int | None = field(default=None, repr=False)

    def is_running(self) -> bool:
        return self._child.poll() is None if self._child else running_pid(self.settings) == self.pid

    def renew(self) -> None:
        """Has Hub, proxy, services and template replaced from what is installed now; seats and kernels go on. Returns
        when the new Hub answers. Raises StartFailed."""
        before = _hub_pids(self.pid)
        os.kill(self.pid, signal.SIGUSR1)
        end = time.monotonic() + STOP_TIMEOUT
        while _hub_pids(self.pid) & before and time.monotonic() < end:
            time.sleep(0.05)
        _wait_until_ready(self)

    def stop(self) -> None:
        """Ends every process of the workspace; returns when no port is held any more."""
        with contextlib.suppress(ProcessLookupError):
            if self.is_running():
                os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + STOP_TIMEOUT
        while self.is_running() and time.monotonic() < end:
            time.sleep(0.05)
        if self.is_running():
            # The chain of PR_SET_PDEATHSIG then takes the rest.
            os.kill(self.pid, signal.SIGKILL)
            if self._child:
                self._child.wait()
        if self._watch is not None:
            os.close(self._watch)
            self._watch = None

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _hub_pids(supervisor: int) -> set[int]:
    found = set()
    for child in psutil.Process(supervisor).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # ended just now
            if "hub_config.hub" in child.cmdline():
                found.add(child.pid)
    return found


def running_pid(settings: Settings) -> int | None:
    """The supervisor's process id if this workspace runs."""
    try:
        pid, created = (settings.home / "run.pid").read_text("ascii").split()
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(created)) < 0.5 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return int(pid) if same else None


def find_running(settings: Settings) -> Workspace | None:
    """The workspace of this CIVIC_HOME, if it runs."""
    pid = running_pid(settings)
    return None if pid is None else Workspace(settings, pid)


def check_ports(settings: Settings) -> None:
    """Raises PortTaken for the first port that another process holds."""
    for setting, port in settings.ports.items():
        bind = settings.bind if setting in ("CIVIC_PORT", "CIVIC_SITE_PORT") else "127.0.0.1"
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        with socket.socket(family) as probe:
            # As the servers themselves do: a connection that just closed does not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((bind, port))
            except OSError:
                raise PortTaken(port=port, setting=setting) from None


def start(settings: Settings, log: Log, *, config: Path | None = None, detach: bool = False) -> Workspace:
    """Prepares CIVIC_HOME, starts everything, and returns when Hub, gateway and site answer.

    `config` is a JupyterHub configuration that loads ours first; without one it is that of the kind of seats. Without
    `detach` the workspace ends with the calling process, whatever way that goes. Raises PortTaken, PartMissing,
    StartFailed, and SettingInvalid for seats that only a cluster has; nothing runs then.
    """
    config = config or CONFIGS.get(settings.seats)
    if config is None:
        raise SettingInvalid(setting="CIVIC_SEATS", reason="pods_up")
    if not (PREFIX / "bin" / "configurable-http-proxy").exists():
        raise PartMissing(part="configurable-http-proxy")
    check_ports(settings)
    prepare(settings)
    log(text(settings.language, "up.starting"))
    read_end, write_end = os.pipe() if not detach else (None, None)
    watch = ["--watch", str(read_end)] if read_end is not None else []
    with open(
        os.open(
            settings.home / "logs" / "hub.log",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
            0o600,
        )
    ) as out:
        child = subprocess.Popen(
            [PYTHON, "-P", "-m", "hub_config.starting.supervise", str(config), *watch],
            cwd=settings.home,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is ours to pass on: the Hub must stop its servers in order
            pass_fds=[read_end] if read_end is not None else [],
        )
    if read_end is not None:
        os.close(read_end)
    workspace = Workspace(settings, child.pid, child, write_end)
    try:
        _wait_until_ready(workspace)
    except BaseException:
        workspace.stop()
        raise
    return workspace


def _environment(settings: Settings) -> dict[str, str]:
    """Not our caller's: a token or a PYTHONSTARTUP in it is no business of the Hub's."""
    environment = {
        "PATH": f"{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "Asia/Seoul",
        "HOME": str(settings.home / "hub"),
        **settings.environment(),
    }
    checkout = checkout_path()
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout)
    return environment


def _wait_until_ready(workspace: Workspace) -> None:
    settings = workspace.settings
    site = f"http://{settings.local_address}:{settings.site_port}/"
    parts = {
        "hub": f"{settings.workspace_url}/hub/health",
        "data": f"{settings.gateway_url}/",
        "site": site,
    }
    end = time.monotonic() + START_TIMEOUT
    for part, url in parts.items():
        while not _answers(url):
            if not workspace.is_running():
                raise StartFailed(part="hub", log="hub.log")
            if time.monotonic() > end:
                raise StartFailed(part=part, log="hub.log")
            time.sleep(0.1)


def _answers(url: str) -> bool:
    """Whether a server behind `url` answers; the proxy's own 503 and the like do not count."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except urllib.error.HTTPError as answer:
        answer.close()
        return answer.code < 500
    except OSError:
        return False
