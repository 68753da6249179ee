"""Ask the template for a child; see whether a child still runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from dataclasses import dataclass, field

from civic_kernel.warm.wire import Request, encode

#: Thirty requests at once are served one after the other, each in milliseconds.
PATIENCE_SECONDS = 30.0


class NoTemplate(Exception):
    """Nobody listens on the socket, or it ended before it replied: start cold instead."""


class Refused(Exception):
    """The template will not: its text is one of a few constants."""


@dataclass
class Child:
    """A forked process. `started` is its start time in clock ticks: with it a later process that was given
    the same number is not taken for this one."""

    pid: int
    started: int
    #: Kept open as long as the child shall follow its asker.
    connection: socket.socket | None = field(default=None, repr=False)

    def is_alive(self) -> bool:
        return is_alive(self.pid, self.started)

    def close(self) -> None:
        """Let go of the connection; a child that follows ends then."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def ask(path: str, request: Request, files: tuple[int, ...] = (), *, keep: bool = False) -> Child:
    """A new child of the template at `path`, given `files` as 1, 2 (and 3).

    Blocks for milliseconds. `keep`: leave the connection open, for a child that follows. Raises NoTemplate and
    Refused.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(path)
        line = encode(request)
        if socket.send_fds(connection, [line], list(files)) != len(line):
            raise NoTemplate()
        told = json.loads(_line(connection))
    except (OSError, ValueError):
        connection.close()
        raise NoTemplate() from None
    if "refused" in told:
        connection.close()
        raise Refused(str(told["refused"]))
    child = Child(int(told["pid"]), int(told["started"]), connection)
    if not keep:
        child.close()
    return child


def _line(connection: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        more = connection.recv(4096)
        if not more:
            raise ValueError("no reply")
        got += more
    return got


def start_time(pid: int) -> int:
    """Start of process `pid` in clock ticks since boot (proc(5), field 22). Raises OSError if there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The command, in parentheses, may hold anything.
        fields = file.read().rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X"):
        raise ProcessLookupError(pid)
    return int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """Whether that very process runs; one that has ended and waits to be reaped does not."""
    with contextlib.suppress(OSError):
        return start_time(pid) == started
    return False


def send_signal(pid: int, started: int, number: int) -> bool:
    """`number` to that very process, to no other that was given its number since; whether it was there."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_alive(pid, started):
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
