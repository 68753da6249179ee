"""Memory, processor and process limits for all processes of one user: cgroups, version 2 or 1.

A group is named after the uid, so that the kernels of a seat, which ask for themselves, fall into the group
that the Hub made for the seat. Where there is no cgroup that may be written, nothing here limits: the Hub then
says so on its pages and watches memory instead (hub_config.limits.watcher).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from civic_kernel.warm.wire import Limits

ROOT = Path("/sys/fs/cgroup")
#: Microseconds of a scheduling period, of which a share may be used.
CPU_PERIOD = 100_000


@dataclass(frozen=True)
class Cgroups:
    """Where groups are made: `folders` has one folder for each controller (version 2: the same for all)."""

    version: int
    folders: dict[str, Path]

    def make(self, uid: int, limits: Limits) -> None:
        """The group of `uid` with these limits. Raises OSError."""
        for controller, folder in self.folders.items():
            group = folder / str(uid)
            group.mkdir(exist_ok=True)
            for name, value in _values(self.version, controller, limits).items():
                _write(group / name, value)

    def join(self, uid: int, pid: int) -> None:
        """Put `pid` into the group of `uid`, where there is one."""
        for folder in dict.fromkeys(self.folders.values()):
            group = folder / str(uid)
            if group.is_dir():
                _write(group / "cgroup.procs", str(pid))

    def kills(self) -> dict[int, int]:
        """How many processes of each uid the system has ended because their group was full."""
        found = {}
        folder = self.folders["memory"]
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        for group in folder.iterdir():
            if group.name.isdecimal():
                with contextlib.suppress(OSError):
                    counts = dict(line.split() for line in (group / name).read_text("ascii").splitlines())
                    found[int(group.name)] = int(counts.get("oom_kill", 0))
        return found

    def remove(self, uid: int) -> None:
        """Forget the group; one that still has processes stays."""
        for folder in dict.fromkeys(self.folders.values()):
            with contextlib.suppress(OSError):
                (folder / str(uid)).rmdir()


def find_cgroups(name: str, root: Path = ROOT) -> Cgroups | None:
    """Groups under `name`, in whichever version is mounted and may be written; None where neither is."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError):
        if {"memory", "pids", "cpu"} <= set((root / "cgroup.controllers").read_text("ascii").split()):
            return _version_2(root, name)
    with contextlib.suppress(OSError):
        folders = {}
        for controller in ("memory", "pids", "cpu"):
            folder = root / controller / name
            folder.mkdir(exist_ok=True)
            folders[controller] = folder
        # Not only the folder: a limit must really be written.
        _write(folders["pids"] / "pids.max", "max")
        return Cgroups(1, folders)
    return None


def _version_2(root: Path, name: str) -> Cgroups:
    _write(root / "cgroup.subtree_control", "+memory +pids +cpu")
    folder = root / name
    folder.mkdir(exist_ok=True)
    _write(folder / "cgroup.subtree_control", "+memory +pids +cpu")
    return Cgroups(2, dict.fromkeys(("memory", "pids", "cpu"), folder))


def _values(version: int, controller: str, limits: Limits) -> dict[str, str]:
    match controller, version:
        case "memory", 2:
            return {"memory.max": str(limits.memory or "max"), "memory.oom.group": "0"}
        case "memory", _:
            return {"memory.limit_in_bytes": str(limits.memory or -1)}
        case "pids", _:
            return {"pids.max": str(limits.processes or "max")}
        case "cpu", 2:
            share = limits.cpu * CPU_PERIOD // 100
            return {"cpu.max": f"{share or 'max'} {CPU_PERIOD}"}
        case _:
            share = limits.cpu * CPU_PERIOD // 100
            return {"cpu.cfs_period_us": str(CPU_PERIOD), "cpu.cfs_quota_us": str(share or -1)}


def _write(path: Path, value: str) -> None:
    # Unbuffered and in one write: the file is an interface, not a text.
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode("ascii"))
    finally:
        os.close(descriptor)
