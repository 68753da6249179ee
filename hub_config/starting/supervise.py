"""`python -m hub_config.starting.supervise CONFIG [--watch FD]`: the process above the Hub.

It is the parent of last resort of everything the workspace starts, kernels and a person's own background
processes included, so that a stop can find and end them all. It ends when it is asked to (SIGTERM, SIGINT),
when the Hub ends by itself, or when the other end of FD closes: whoever started the workspace in the foreground
is gone. A Hub that was killed is started again. Meanwhile it keeps a template running and the log bounded.
SIGUSR1 (`civic renew`) has template and Hub replaced by new ones, from what is installed by then; seats go on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from hub_config.limits.watcher import Watcher
from hub_config.operations.logs import Logs
from hub_config.settings import PYTHON, Settings, read_settings
from hub_config.starting.processes import adopt_orphans, die_with_parent
from hub_config.starting.template import Template

#: Seconds: the Hub stops servers (up to 8), services and proxy; past that, everything is killed.
GRACE = 20.0
#: A killed Hub is started again this often within so many seconds.
MOST_RESTARTS, RESTART_WINDOW = 3, 60.0


def main(config: str, watch: int | None) -> int:
    settings = read_settings()
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    renewals: list[int] = []
    signal.signal(signal.SIGUSR1, lambda received, _frame: renewals.append(received))
    adopt_orphans()
    pid_file = settings.home / "run.pid"
    write_pid(pid_file)
    template = Template(settings)
    watcher = Watcher(settings)
    logs = Logs(settings.home / "logs" / "hub.log")
    hub, restarts = start_hub(config, settings), Restarts()
    try:
        while not asked:
            if reap(hub, template) is not None:
                if not restarts.may(hub):
                    break
                hub = start_hub(config, settings)
            if renewals:
                renewals.clear()
                renew(hub, template)
            template.keep()
            watcher.look(spared=(hub.pid, template.pid))
            logs.keep()
            readable, _, _ = select.select([watch] if watch is not None else [], [], [], 0.25)
            if readable and watch is not None and not os.read(watch, 1):
                break
        asked_to_stop = hub.returncode is None
        if asked_to_stop:
            hub.send_signal(signal.SIGTERM)
            end = time.monotonic() + GRACE
            while reap(hub, template) is None and time.monotonic() < end:
                time.sleep(0.05)
        return 0 if asked_to_stop else 1
    finally:
        end_descendants(hub, template)
        pid_file.unlink(missing_ok=True)


def renew(hub: subprocess.Popen[bytes], template: Template) -> None:
    """Ends the template and the Hub; the loop starts others. The Hub is killed: asked to end, it would first end every
    seat. The new one finds them, as after any other death."""
    if template.pid:
        os.kill(template.pid, signal.SIGTERM)
    hub.kill()


def start_hub(config: str, settings: Settings) -> subprocess.Popen[bytes]:
    """The Hub, which starts proxy and services; all three end with it."""
    me = os.getpid()
    return subprocess.Popen(
        [PYTHON, "-P", "-m", "hub_config.hub", "-f", config],
        cwd=settings.home,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(me),
    )


class Restarts:
    """A Hub that was killed is started again, and finds the seats that went on without it; one that ends by
    itself has a reason which a second start would not mend, and one that is killed again and again as well."""

    def __init__(self) -> None:
        self._when: list[float] = []

    def may(self, hub: subprocess.Popen[bytes]) -> bool:
        now = time.monotonic()
        self._when = [*(when for when in self._when if now - when < RESTART_WINDOW), now]
        return hub.returncode is not None and hub.returncode < 0 and len(self._when) <= MOST_RESTARTS


def write_pid(path: Path) -> None:
    """`PID CREATED` in one step; with the time, a later process of the same number is not taken for us."""
    new = path.with_suffix(".new")
    new.write_text(f"{os.getpid()} {psutil.Process().create_time()}\n", "ascii")
    new.rename(path)


def reap(hub: subprocess.Popen[bytes], template: Template) -> int | None:
    """Collects every ended child, adopted ones included; the Hub's exit code once it has ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == hub.pid:
                hub.returncode = os.waitstatus_to_exitcode(status)
            if pid == template.pid:
                template.ended()
    return hub.returncode


def end_descendants(hub: subprocess.Popen[bytes], template: Template) -> None:
    """Asks, then kills, whatever is still there, until nothing is: a killed parent's children come to us."""
    end = time.monotonic() + 2.0
    while True:
        reap(hub, template)
        left = [p for p in psutil.Process().children(recursive=True) if _runs(p)]
        if not left:
            return
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM if time.monotonic() < end else signal.SIGKILL)
        time.sleep(0.1)


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(arguments[0], int(arguments[2]) if arguments[1:2] == ["--watch"] else None))
