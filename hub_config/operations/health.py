"""Whether the workspace's parts answer, and its figures for Prometheus. No name of anybody or anything in either."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any, Literal

import psutil
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest

from hub_config.home import warm_socket
from hub_config.settings import ROOMS, TEAMS, Settings

State = Literal["ok", "down", "unused"]
PATIENCE_SECONDS = 3.0
#: Below it SQLite and notebooks soon fail to write.
LEAST_FREE = 0.03
#: Whoever asks more often is given the last answer: asking needs no account.
KEPT_SECONDS = 2.0


class Health:
    """Asks each part; thread-safe as far as the Hub's event loop goes."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._last: tuple[float, dict[str, State]] | None = None
        self._asking = asyncio.Lock()

    async def look(self) -> dict[str, State]:
        """Part → state: `database`, `template`, `gateway`, `disk`. Takes at most PATIENCE_SECONDS."""
        async with self._asking:
            if self._last is None or time.monotonic() - self._last[0] > KEPT_SECONDS:
                self._last = (time.monotonic(), await self._look())
            return self._last[1]

    async def _look(self) -> dict[str, State]:
        database, gateway = await asyncio.gather(asyncio.to_thread(self._database), self._gateway())
        template: State = template_state(self._settings)
        usage = shutil.disk_usage(self._settings.home)
        disk: State = "ok" if usage.free > usage.total * LEAST_FREE else "down"
        return {"database": database, "template": template, "gateway": gateway, "disk": disk}

    def _database(self) -> State:
        try:
            with self._engine.connect() as connection:
                connection.execute(select(1))
        except SQLAlchemyError:
            return "down"
        return "ok"

    async def _gateway(self) -> State:
        request = HTTPRequest(f"{self._settings.gateway_url}/health", request_timeout=PATIENCE_SECONDS)
        try:
            await AsyncHTTPClient().fetch(request)
        except (OSError, HTTPError):  # the library's own timeout is one of these
            return "down"
        return "ok"


def template_state(settings: Settings) -> State:
    """Whether the template takes connections. Of one that is busy forking, too: the system queues them."""
    if settings.seats != "here":
        return "unused"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE_SECONDS)
        try:
            probe.connect(str(warm_socket(settings)))
        except OSError:
            return "down"
    return "ok"


class Machine(Collector):
    """What JupyterHub's own figures lack. Read when somebody scrapes: some milliseconds for each hundred processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Any]:
        settings = self._settings
        up = GaugeMetricFamily("civic_template_up", "1 where the warm template takes requests")
        up.add_metric([], float(template_state(settings) == "ok"))
        yield up
        usage = shutil.disk_usage(settings.home)
        disk = GaugeMetricFamily("civic_disk_bytes", "Of the disk that the state lies on", labels=["what"])
        disk.add_metric(["free"], usage.free)
        disk.add_metric(["total"], usage.total)
        yield disk
        count = GaugeMetricFamily(
            "civic_seat_processes", "Servers, kernels and what they started", labels=["of"]
        )
        memory = GaugeMetricFamily(
            "civic_seat_memory_bytes", "Proportional set size, so that shared pages count once", labels=["of"]
        )
        for kind, (processes, held) in _seats(settings).items():
            count.add_metric([kind], processes)
            memory.add_metric([kind], held)
        yield count
        yield memory
        log = GaugeMetricFamily("civic_log_bytes", "Size of the log that is being written")
        with contextlib.suppress(OSError):
            log.add_metric([], (settings.home / "logs" / "hub.log").stat().st_size)
        yield log


def _seats(settings: Settings) -> dict[str, tuple[int, int]]:
    """Kind → (processes, bytes). Without root all have one uid, and nothing is told apart."""
    found = {"persons": (0, 0), "rooms": (0, 0)}
    if not settings.is_root:
        return {}
    for process in psutil.process_iter(["uids"]):
        uids = process.info["uids"]
        offset = uids.real - settings.uid_base if uids else -1
        if not 0 < offset < TEAMS:
            continue
        kind = "persons" if offset < ROOMS else "rooms"
        with contextlib.suppress(psutil.Error):
            processes, held = found[kind]
            found[kind] = (processes + 1, held + process.memory_full_info().pss)
    return found
