"""Request and reply on the template's socket: one JSON line each way, and open files beside it.

A connection carries one request. It stays open until one of the two ends: the asker then knows that its child
is gone, and a child that `follows` its asker knows the other.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

#: One sendmsg of a unix stream socket; no environment of ours comes near it.
MOST_BYTES = 60_000
#: Standard output, standard error and one more, which a run uses for its token.
MOST_FILES = 3
#: Linux: the supplementary groups of the other end, as they were when it connected.
SO_PEERGROUPS = 59


class Kind(StrEnum):
    """What a child becomes; a closed list, since a request may name no module."""

    SEAT = "seat"
    KERNEL = "kernel"


@dataclass(frozen=True)
class Limits:
    """Bytes of memory, processor share in hundredths of a core, processes and threads; 0 is no limit."""

    memory: int = 0
    cpu: int = 0
    processes: int = 0


@dataclass(frozen=True)
class Request:
    """What a child shall be. `log` is opened by the child after it has become `uid`; -1: stay who you are."""

    kind: Kind
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    uid: int = -1
    groups: tuple[int, ...] = ()
    log: str = ""
    #: Made in `cwd` where they are missing, by the child after it has become `uid`.
    folders: tuple[str, ...] = ()
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


def encode(request: Request) -> bytes:
    """One line. Raises Malformed where it would not fit."""
    line = json.dumps(asdict(request)).encode() + b"\n"
    if len(line) > MOST_BYTES:
        raise Malformed("request too long")
    return line


def decode(line: bytes) -> Request:
    """Raises Malformed for anything that `encode` does not make."""
    try:
        raw = json.loads(line)
        limits = Limits(**raw.pop("limits"))
        request = Request(
            **{
                **raw,
                "kind": Kind(raw["kind"]),
                "argv": tuple(raw["argv"]),
                "groups": tuple(raw["groups"]),
                "folders": tuple(raw["folders"]),
                "limits": limits,
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Malformed("not a request") from None
    texts = (*request.argv, *request.env, *request.env.values(), request.cwd, request.log, *request.folders)
    numbers = (request.uid, *request.groups, limits.memory, limits.cpu, limits.processes)
    if (
        not all(isinstance(text, str) and "\0" not in text for text in texts)
        or not all(type(number) is int and -1 <= number < 2**40 for number in numbers)
        or not isinstance(request.follows, bool)
        or not request.argv
        or any(not name or "=" in name for name in request.env)
    ):
        raise Malformed("not a request")
    return request


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
