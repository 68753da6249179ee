"""Memory limits where no control group holds them, and who was ended by either.

The supervisor looks from time to time. With control groups it only reads how often the system ended a process of
somebody; without them it measures, and ends the largest process of whoever is over. Either way it writes down for whom,
so that her home page can say why her notebook stopped (`last_ended`).

As root all processes of one uid count together: a seat's server, its kernels, whatever they started. Without root all
seats are one user's, and each process counts alone: whose seat it belongs to is then anybody's claim.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from civic_kernel import warm
from hub_config.settings import CULLER_USER, ROOMS, TEAMS, Settings
from hub_config.starting.template import group_name

#: As the Hub and the system count it.
MEGABYTE = 2**20
#: Seconds between two measurings, each of which costs a tenth of a millisecond a process; and between two readings of
#: the control groups' counters, for which nobody waits.
MEASURE_EVERY_S, COUNT_EVERY_S = 0.5, 5.0
PAGE = os.sysconf("SC_PAGE_SIZE")


class Holder(StrEnum):
    """Who keeps seats within their memory."""

    GROUPS_2 = "cgroup_2"
    GROUPS_1 = "cgroup_1"
    WATCHER = "watcher"
    #: The watcher as well, which then knows no seats but only processes.
    WATCHER_ALONE = "watcher_alone"


def find_groups(settings: Settings) -> warm.Cgroups | None:
    """The control groups of this workspace; None where the machine has none that we may write, or by setting."""
    return warm.find_cgroups(group_name(settings)) if settings.cgroups and settings.is_root else None


def holder(settings: Settings) -> Holder:
    """Who holds the limits of this workspace on this machine."""
    groups = find_groups(settings)
    if groups is not None:
        return Holder.GROUPS_2 if groups.version == 2 else Holder.GROUPS_1
    return Holder.WATCHER if settings.is_root else Holder.WATCHER_ALONE


@dataclass(frozen=True)
class Process:
    """What one look needs; `rss` in bytes counts shared pages in full, so it is never below the true share."""

    pid: int
    parent: int
    uid: int
    rss: int


class Watcher:
    """Call `look` from the supervisor's loop. `now` is the wall clock, in seconds."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._settings, self._now = settings, now
        self._groups = find_groups(settings)
        self._kills: dict[int, int] = {}
        self._next = 0.0

    def look(self, spared: Collection[int] = ()) -> None:
        """One look. Without root, descendants of this process are watched but for the trees of `spared`."""
        if not self._settings.seat_memory or self._now() < self._next:
            return
        self._next = self._now() + (MEASURE_EVERY_S if self._groups is None else COUNT_EVERY_S)
        if self._groups is not None:
            self._count(self._groups)
            return
        for processes in self._by_owner(read_processes(), spared):
            if sum(process.rss for process in processes) > self._limit:
                self._end_largest(processes)

    @property
    def _limit(self) -> int:
        return self._settings.seat_memory * MEGABYTE

    def _count(self, groups: warm.Cgroups) -> None:
        with contextlib.suppress(OSError):
            kills = groups.kills()
            for uid, count in kills.items():
                if count > self._kills.get(uid, 0):
                    note_ended(self._settings, uid, self._now())
            self._kills = kills

    def _by_owner(self, processes: list[Process], spared: Collection[int]) -> list[list[Process]]:
        if not self._settings.is_root:
            return [[process] for process in _descendants(processes, os.getpid(), spared)]
        people = range(self._settings.uid_base, self._settings.uid_base + CULLER_USER)
        rooms = range(self._settings.uid_base + ROOMS, self._settings.uid_base + TEAMS)
        owners: dict[int, list[Process]] = {}
        for process in processes:
            if process.uid in people or process.uid in rooms:
                owners.setdefault(process.uid, []).append(process)
        return list(owners.values())

    def _end_largest(self, processes: list[Process]) -> None:
        # Only now the exact figures, which cost milliseconds each: a forked seat shares most of its pages.
        shares = {process: read_share(process.pid) for process in processes}
        if sum(shares.values()) <= self._limit:
            return
        largest = max(processes, key=lambda process: shares[process])
        with contextlib.suppress(OSError):
            os.kill(largest.pid, signal.SIGKILL)
            note_ended(self._settings, largest.uid, self._now())


def read_processes() -> list[Process]:
    """All processes of the machine."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The folder's owner, whom a process cannot change; it can give the files in it to root.
                uid = os.stat(f"/proc/{name}").st_uid
                # The command, in parentheses, may hold anything.
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                found.append(Process(int(name), int(fields[1]), uid, int(fields[21]) * PAGE))
    return found


def read_share(pid: int) -> int:
    """Bytes of memory that this process alone would free, shared pages divided by who shares them; 0 if it is gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _descendants(processes: list[Process], root: int, spared: Collection[int]) -> list[Process]:
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [root]
    while waiting:
        below = [process for process in children.get(waiting.pop(), []) if process.pid not in spared]
        found += below
        waiting += [process.pid for process in below]
    return found


def _note(settings: Settings, uid: int) -> Path:
    return settings.home / "hub" / f"ended-{uid}.json"


def note_ended(settings: Settings, uid: int, at: float) -> None:
    """Writes down that a process of `uid` was ended for its memory at `at`."""
    path = _note(settings, uid)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"at": at}), "ascii")
    new.rename(path)


def last_ended(settings: Settings, uid: int) -> float | None:
    """When a process of `uid` was last ended for its memory, in seconds since 1970."""
    try:
        return float(json.loads(_note(settings, uid).read_text("ascii"))["at"])
    except (OSError, ValueError, KeyError):
        return None
