"""How much a run has grown: what it has taken since it was forked.

A forked process shares the template's pages, so its size says little: counted is what is its own (anonymous memory),
less what it was born with. A process that the run starts shares the run's pages in turn and is counted in full, which
errs on the side of the machine. Files in the run's room lie in memory too and are bounded by the room itself.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds between two looks at all processes of the machine, each of which costs some milliseconds.
_ALL_S = 0.5


class Growth:
    """Of the process `pid`; with `uid` of all processes of that user, who is nobody else."""

    def __init__(self, pid: int, uid: int | None) -> None:
        self._pid, self._uid = pid, uid
        self._born = _own(pid)
        self._others: list[int] = []
        self._next = 0.0
        #: Bytes of address space that it was born with.
        self.space = _fields(pid)[5] * _PAGE

    def look(self) -> int:
        """Bytes, now."""
        if self._uid is not None and time.monotonic() > self._next:
            self._next = time.monotonic() + _ALL_S
            self._others = [pid for pid in _of_user(self._uid) if pid != self._pid]
        return sum(max(_own(pid) - self._born, 0) for pid in (self._pid, *self._others))


def _own(pid: int) -> int:
    """Bytes of anonymous memory in use."""
    fields = _fields(pid)
    return (fields[1] - fields[2]) * _PAGE


def _fields(pid: int) -> list[int]:
    """proc(5), statm, in pages; zeros where the process is gone."""
    with suppress(OSError), open(f"/proc/{pid}/statm", "rb") as file:
        return [int(field) for field in file.read().split()]
    return [0] * 7


def _of_user(uid: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    found.append(int(name))
    return found
