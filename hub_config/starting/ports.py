"""Ports for seat servers that nobody else is given meanwhile.

The usual way, a port that the system finds free now and the server binds a second later, loses it now and then when
sixty people come at once: the system gives the same numbers to whatever connects to anything, kernels and browsers
included. Such a seat would not open, with nothing that its owner could do. So seats have numbers below those.
"""

from __future__ import annotations

import os
import socket
from itertools import cycle
from pathlib import Path

#: How many numbers below the system's own are for seats.
MANY = 8_000
_OWN_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class SeatPorts:
    """Hands out numbers in turn: one that was given a moment ago and is not bound yet comes last. One event loop."""

    def __init__(self, end: int | None = None) -> None:
        self._end = end or _first_of_the_system()
        first = max(1_024, self._end - MANY)
        # Not all workspaces of a machine begin with the same one.
        start = os.getpid() % (self._end - first)
        self._turns: cycle[int] = cycle([*range(first + start, self._end), *range(first, first + start)])
        self._count = self._end - first

    def next_free(self) -> int:
        """Raises OSError where none of them is free."""
        for _ in range(self._count):
            port = next(self._turns)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise OSError("no port is free for a seat")


def _first_of_the_system() -> int:
    """The first number that the system gives out by itself (ip(7), ip_local_port_range)."""
    try:
        return int(_OWN_RANGE.read_text("ascii").split()[0])
    except (OSError, ValueError):
        return 32_768
