"""Ask the template for a child; see whether a child still runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from dataclasses import dataclass

from civic_kernel.warm.wire import Kind, Letter, Order, encode, seal

#: Thirty requests at once are served one after the other, each in milliseconds.
PATIENCE_SECONDS = 30.0


class NoTemplate(Exception):
    """Nobody listens on the socket, or it ended before it replied: start cold instead."""


class Refused(Exception):
    """The template will not: its text is one of a few constants."""


@dataclass(frozen=True)
class Child:
    """A forked process. `started` is its start time in clock ticks: with it a later process that was given
    the same number is not taken for this one."""

    pid: int
    started: int
    #: Who it is.
    uid: int

    def is_alive(self) -> bool:
        return is_alive(self.pid, self.started)


def ask(path: str, order: Order, letter: Letter, files: tuple[int, ...] = ()) -> Child:
    """A new child of the template at `path`, given `files` as 1, 2 (and 3).

    Blocks for milliseconds. Raises NoTemplate and Refused.
    """
    sealed = seal(letter)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(path)
            socket.send_fds(connection, [encode(order)], [sealed, *files])
            told = json.loads(_line(connection))
    except (OSError, ValueError):
        raise NoTemplate() from None
    finally:
        os.close(sealed)
    if "refused" in told:
        raise Refused(str(told["refused"]))
    return Child(int(told["pid"]), int(told["started"]), int(told["uid"]))


def end_run(path: str, uid: int) -> None:
    """End everything that the run's user `uid` runs. Raises NoTemplate and Refused."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(path)
            connection.sendall(encode(Order(Kind.END, uid=uid)))
            told = json.loads(_line(connection))
    except (OSError, ValueError):
        raise NoTemplate() from None
    if "refused" in told:
        raise Refused(str(told["refused"]))


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
