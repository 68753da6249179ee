"""The warm template as the supervisor's child: started before the Hub, replaced when it ends."""

from __future__ import annotations

import os
import subprocess
import time

from hub_config.home import REPORTS_USER, gateway_socket, user_ids, warm_socket
from hub_config.limits.space import MEGABYTE
from hub_config.settings import END, PREFIX, PYTHON, RUNS, Settings, checkout_path
from hub_config.starting.processes import MAX_PROCESSES, die_with_parent

#: Seconds before a template that ended is started again: one that cannot start must not keep a core busy.
PAUSE = 2.0


class Template:
    """Keeps one template running. Its children are the supervisor's, so they survive it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self.keep()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def ended(self) -> None:
        """Told by whoever reaps."""
        self._process = None
        self._not_before = time.monotonic() + PAUSE

    def keep(self) -> None:
        """Start it where it does not run and there are seats that it could serve."""
        if self._settings.seats != "here":
            return
        if self._process is not None or time.monotonic() < self._not_before:
            return
        me = os.getpid()
        self._process = subprocess.Popen(
            [
                PYTHON,
                "-P",
                "-m",
                "civic_kernel.warm",
                str(warm_socket(self._settings)),
                *_arguments(self._settings),
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(me),
        )


def group_name(settings: Settings) -> str:
    """The control group in which each person's is made."""
    return f"civic-{settings.uid_base}"


def _arguments(settings: Settings) -> list[str]:
    limits = [f"--file={settings.home_quota * MEGABYTE}"]
    if not settings.is_root:
        return limits
    base = settings.uid_base
    return [
        *("--uids", str(base), str(base + END)),
        *("--runs", str(base + RUNS)),
        *("--reports", str(user_ids(REPORTS_USER)[0])),
        *("--gateway", str(gateway_socket(settings))),
        *limits,
        f"--processes={MAX_PROCESSES}",
        *(("--cgroup", group_name(settings)) if settings.cgroups else ()),
    ]


def _environment() -> dict[str, str]:
    """Where our modules are, and nothing that a child could inherit by mistake."""
    environment = {"PATH": f"{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    checkout = checkout_path()
    return environment if checkout is None else {**environment, "PYTHONPATH": str(checkout)}
