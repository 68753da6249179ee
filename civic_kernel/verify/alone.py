"""Runs a page's notebook from its answers, in a process from which the system took the network and, as root, all files.

    python -m civic_kernel.verify.alone ROOM DESCRIPTOR

The descriptor is a socket of the asker's (civic_kernel.reports.channel): request in, then each cell that begins, then
the notebook with its outputs. ROOM is one of ROOMS; where the system refuses it, the process ends with NO_ROOM and
whoever asked decides whether a lesser one will do. Half a room is none: nothing runs after a step that failed.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from typing import Final, Literal

Room = Literal["sandbox", "offline", "open"]
#: `sandbox`: as a report run (needs root). `offline`: no network, the caller's files. `open`: nothing was taken away.
ROOMS: Final[tuple[Room, ...]] = ("sandbox", "offline", "open")
NO_ROOM: Final = 3

_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_NOBODY = 65534


def enter(room: str) -> None:
    """Raises OSError where the system does not give this room."""
    if room == "open":
        return
    if not sys.platform.startswith("linux"):
        raise OSError("no namespaces here")
    if room == "sandbox":
        if os.geteuid() != 0:
            raise OSError("root alone makes this room")
        from civic_kernel.warm import sandbox

        sandbox.enter(_NOBODY, None)
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        os.chdir(sandbox.HOME)
    # In a user namespace of its own anybody may give up the network.
    elif ctypes.CDLL(None, use_errno=True).unshare(_NEWUSER | _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no namespace")


def main(room: str, descriptor: int) -> int:
    try:
        enter(room)
    except OSError:
        return NO_ROOM
    # Only now: what these import is already read through the room's walls.
    from civic_kernel.reports import inside
    from civic_kernel.reports.channel import Channel

    with socket.socket(fileno=descriptor) as connection:
        channel = Channel(connection)
        told = channel.receive()
        if told is None:
            return 1
        inside.execute(told, channel)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2])))
