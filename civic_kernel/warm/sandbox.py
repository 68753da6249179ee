"""The room of a report run: no network, no file but what it is made of.

Entered by a child that is still root, before it becomes the run's user: namespaces of its own for network, mounts and
System V memory, and a root folder made of four things, all read-only: the system's programs and libraries, the
environment that the workspace is installed in, a few lines of /etc, and the gateway's socket. Writable are an empty
home and an empty /tmp, in memory, which vanish with the process. There is no /proc: what the machine and other
people do is not to be seen.

Nothing here comes from a request. Linux only; where namespaces are refused (a container without the right),
OSError: the run is then refused rather than run in the open.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x08000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18

#: Of /etc: what libraries look up about time, fonts and shared objects. No list of users, no host names.
ETC = ("ld.so.cache", "localtime", "fonts")
DEVICES = ("null", "zero", "full", "random", "urandom")
#: Where the run finds what it may use.
HOME = "/room"
GATEWAY = "/gateway"
#: Bytes of memory that its files may take; they count as the run's memory where that is limited.
ROOM_SIZE = "256m"

_libc = ctypes.CDLL(None, use_errno=True)


def enter(uid: int, gateway: str | None) -> None:
    """Make the room under a folder that nobody else sees and move into it. `gateway` is the socket's path outside.

    Raises OSError; the process is then in no usable state and must end.
    """
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET))
    # Nothing that is mounted from here on is seen outside.
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    root = "/mnt" if os.path.isdir("/mnt") else "/tmp"
    _mount("tmpfs", root, "tmpfs", MS_NOSUID, "size=1m,mode=0755")
    for folder in _readable():
        _bind(folder, root + folder)
    for name in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
    os.makedirs(f"{root}/etc", exist_ok=True)
    for name in ETC:
        if os.path.exists(f"/etc/{name}"):
            _bind(os.path.realpath(f"/etc/{name}"), f"{root}/etc/{name}")
    os.makedirs(f"{root}/dev", exist_ok=True)
    for name in DEVICES:
        Path(f"{root}/dev/{name}").touch()
        _mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
    for folder in (HOME, "/tmp", "/dev/shm"):
        os.makedirs(root + folder, exist_ok=True)
        options = f"size={ROOM_SIZE},mode=0700,uid={uid},gid={uid}"
        _mount("tmpfs", root + folder, "tmpfs", MS_NOSUID | MS_NODEV, options)
    if gateway is not None:
        Path(root + GATEWAY).touch()
        # Writing to a socket is connecting to it, so this one place is not read-only.
        _mount(gateway, root + GATEWAY, None, MS_BIND)
    _mount(None, root, None, MS_REMOUNT | MS_RDONLY | MS_NOSUID, "size=1m,mode=0755")
    os.chdir(root)
    _mount(root, "/", None, MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def _readable() -> list[str]:
    """Folders that the interpreter and the installed packages lie in, outermost only; a checkout that is worked
    in counts as installed."""
    found = {"/usr", os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}
    found |= {os.path.realpath(entry) for entry in sys.path if os.path.isdir(entry)}
    found |= {f"/{name}" for name in ("bin", "sbin", "lib", "lib64") if _is_folder(f"/{name}")}
    return sorted(
        one for one in found if not any(one != other and Path(one).is_relative_to(other) for other in found)
    )


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        Path(target).touch()
    _mount(source, target, None, MS_BIND)
    _mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    packed = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    _check(_libc.mount(packed[0], packed[1], packed[2], ctypes.c_ulong(flags), packed[3]))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "sandbox")
