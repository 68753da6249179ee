"""What Linux offers to keep processes together and apart; used between fork and exec, so it allocates
nothing.

The chain of the workspace: `civic up` → supervisor → Hub → proxy, services, seat servers → kernels. Each link
asks the kernel to be killed when its parent is gone (PR_SET_PDEATHSIG), so that kill -9 anywhere leaves
nobody behind holding a port. Other systems than Linux lack this: there an orderly stop works, kill -9 is not
covered.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable

from civic_kernel import warm

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _libc is not None and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process as soon as `parent` (the caller's parent) is gone; at once if it already is.

    Must come after any change of uid, which clears it. SIGKILL, not SIGTERM: this is the way out after the
    parent was killed, and whoever would ignore a signal keeps a port."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the new parent of any descendant whose own parent ends: none can hide from a
    stop."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def become(uid: int) -> None:
    """Drops from root to `uid` and the gid of the same number, with no other group and no way back."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


#: Threads count, and a kernel with BLAS on many cores has dozens; a runaway fork has thousands.
MAX_PROCESSES = 1024


def make_seat_preexec(
    home: str, log: str, uid: int | None, limits: warm.Limits, groups: warm.Cgroups | None
) -> Callable[[], None]:
    """What a seat's process does before exec; `uid` None: stay who we are (no root).

    No passwd entry is looked up: persons have uids, not system accounts. The log is opened after the drop,
    since its folder belongs to the person, who may have put a link there."""
    parent = os.getpid()

    def preexec() -> None:
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limits.file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file, limits.file))
        if groups is not None and uid is not None:
            groups.join(uid, os.getpid())
        if uid is not None:
            # Counted per uid, so only with a uid of one's own. No RLIMIT_AS: mappings of the data libraries
            # are many times what they use.
            resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))
            become(uid)
        os.chdir(home)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        die_with_parent(parent)

    return preexec
