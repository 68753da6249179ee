"""Request and reply on the template's socket.

A request has two parts. The order is one JSON line of numbers, which the template reads. The letter (arguments,
environment, paths) lies in a sealed file of memory that goes along as a descriptor: the child reads it, after it has
become the person. So a token in somebody's environment is never in the template's memory, of which every later
child is a copy.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

#: An order is some two hundred bytes.
MOST_BYTES = 4_096
#: Far more than an environment of ours.
MOST_LETTER = 1_000_000
#: The letter, standard output, standard error, and one more, which a run uses for its token.
MOST_FILES = 4
#: Linux: the supplementary groups of the other end, as they were when it connected.
SO_PEERGROUPS = 59


class Kind(StrEnum):
    """What a child becomes; a closed list, since a request may name no module."""

    SEAT = "seat"
    KERNEL = "kernel"
    #: A report run, in a sandbox where the template is root.
    RUN = "run"
    #: No child: end whatever a run's user still runs. Whoever asked for a run cannot signal another user's processes.
    END = "end"


@dataclass(frozen=True)
class Limits:
    """Bytes of memory, processor share in hundredths of a core, processes and threads, bytes of a single file; 0 is no
    limit."""

    memory: int = 0
    cpu: int = 0
    processes: int = 0
    file: int = 0


@dataclass(frozen=True)
class Letter:
    """What the child alone reads. `log` and `folders` (in `cwd`) are made as the person."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str = ""
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What the template reads. `uid` -1: stay who you are; for a run, whichever of the runs' users is free."""

    kind: Kind
    uid: int = -1
    groups: tuple[int, ...] = ()
    #: End with the process that asked.
    follows: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Peer:
    """Who is at the other end, from the system and not from the request."""

    pid: int
    uid: int
    groups: frozenset[int]


class Malformed(ValueError):
    """The request is not one of ours. The text is a constant: it goes to the asker."""


def encode(order: Order) -> bytes:
    """One line."""
    return json.dumps(asdict(order)).encode() + b"\n"


def decode(line: bytes) -> Order:
    """Raises Malformed for anything that `encode` does not make."""
    try:
        raw = json.loads(line)
        limits = Limits(**raw.pop("limits"))
        raw |= {"kind": Kind(raw["kind"]), "groups": tuple(raw["groups"]), "limits": limits}
        order = Order(**raw)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Malformed("not a request") from None
    numbers = (order.uid, *order.groups, limits.memory, limits.cpu, limits.processes, limits.file)
    if not all(type(number) is int and -1 <= number < 2**40 for number in numbers):
        raise Malformed("not a request")
    if not isinstance(order.follows, bool):
        raise Malformed("not a request")
    return order


def seal(letter: Letter) -> int:
    """A descriptor of a file in memory that holds `letter` and can no longer be changed. The caller closes it."""
    sealed = os.memfd_create("letter", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(sealed, json.dumps(asdict(letter)).encode())
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return sealed


def unseal(descriptor: int) -> Letter:
    """Reads it from the beginning, wherever others have read to. Raises ValueError, TypeError or KeyError."""
    raw = json.loads(os.pread(descriptor, MOST_LETTER, 0))
    return Letter(**{**raw, "argv": tuple(raw["argv"]), "folders": tuple(raw["folders"])})


def peer_of(connection: socket.socket) -> Peer:
    """The process that connected."""
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        packed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * 1024)
    except OSError:
        packed = b""
    return Peer(pid, uid, frozenset((gid, *struct.unpack(f"{len(packed) // 4}I", packed))))


def reply(connection: socket.socket, document: dict[str, Any]) -> None:
    """One line; an asker that is gone is no fault of anybody's."""
    try:
        connection.sendall(json.dumps(document).encode() + b"\n")
    except OSError:
        return
