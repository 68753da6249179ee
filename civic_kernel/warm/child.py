"""What a forked child does before its own program begins.

Order matters. First it lets go of the template's files, then it takes its limits, then it becomes the person,
and only then is anything of the request looked at beyond numbers: no folder entered, no file opened, nothing
imported as root.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import random
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

from civic_kernel.warm import sandbox
from civic_kernel.warm.limits import Cgroups
from civic_kernel.warm.wire import Kind, Letter, Order, unseal

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

#: As the system names it, where the environment is reached by a link.
_INSTALLATION = os.path.realpath(sys.prefix) + os.sep

_libc = ctypes.CDLL(None, use_errno=True)


def live(
    order: Order,
    uid: int | None,
    files: Sequence[int],
    follow: int | None,
    above: int,
    ready: socket.socket,
    cgroups: Cgroups | None,
    gateway: str | None = None,
) -> int:
    """Become the child that `order` describes, open the letter (the first of `files`), run its program; its exit code.

    `uid` is None where there is no root to drop from; a run is then in no sandbox. The other `files` become 1, 2 (and
    3). `follow` is a pidfd: this process ends with that one; `above` is the supervisor's. `gateway` is the one
    socket of ours that a run may connect to. One byte on `ready` says that the child is there and is who it should be.
    """
    os.setsid()
    sealed = _take_files(files, [ready.fileno(), above, *([follow] if follow is not None else [])])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if cgroups is not None and uid is not None:
        cgroups.join(uid, os.getpid())
    if order.limits.file:
        # Python ignores the signal: whoever writes beyond it gets an error.
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.limits.file, order.limits.file))
    if uid is not None:
        if order.kind is Kind.RUN:
            sandbox.enter(uid, gateway)
        if order.limits.processes:
            most = order.limits.processes
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        _become(uid, order.groups)
    _end_with_parent(above)
    if follow is not None:
        threading.Thread(target=_end_with, args=(follow,), name="follow", daemon=True).start()
    ready.sendall(b"+")
    ready.close()

    letter = unseal(sealed)
    os.close(sealed)
    os.umask(0o077)
    os.chdir(letter.cwd)
    for folder in letter.folders:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    if letter.log:
        # The folder is the person's, who may have put a link there.
        log = os.open(letter.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
    _start_anew(letter)
    return _PROGRAMS[order.kind](list(letter.argv))


def _take_files(files: Sequence[int], keep: Sequence[int]) -> int:
    """Puts standard input and what was given in its places and closes the rest; where the letter lies now."""
    null = os.open(os.devnull, os.O_RDWR)
    letter, *given = files
    given = [null, *given]
    given += [null] * (3 - len(given))
    # Through high numbers first, so that no target is overwritten before it was copied.
    sealed, *high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64) for descriptor in (letter, *given)]
    for target, descriptor in enumerate(high):
        os.dup2(descriptor, target)
    kept = {*range(len(given)), sealed, *keep}
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in kept and not _is_of_the_installation(number):
            with contextlib.suppress(OSError):  # the listing's own
                os.close(number)
    return sealed


def _is_of_the_installation(number: int) -> bool:
    """Whether it is a file that a library keeps open, as PROJ does its table of projections: nobody's secret. PROJ
    closes it in each forked process at its first use, by its number, which by then would be somebody else's: with it
    closed here, a map's coordinates took a kernel one of its sockets, and it never answered again."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{number}").startswith(_INSTALLATION)
    return False


def _become(uid: int, groups: Sequence[int]) -> None:
    os.setgroups(list(groups))
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    # Cleared by the change of uid, and set again by an exec, which there is none of here: without it the person's
    # own /proc/self belongs to root, and closing the files of a subprocess means trying every number.
    _prctl(PR_SET_DUMPABLE, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _end_with_parent(above: int) -> None:
    """Tie to whoever adopts orphans here, once the process in between is gone; after the drop, which clears it.

    A workspace that was killed before the tie was there tells nobody: the child would belong to the system, and keep
    its port for ever. `above` is a pidfd of the workspace's supervisor, readable once that has ended."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    ended, _, _ = select.select([above], [], [], 0)
    if ended:
        os._exit(1)
    os.close(above)


def wait_for_adoption(between: int) -> None:
    """Return when `between`, our parent so far, has ended and another process has adopted us."""
    while os.getppid() == between:
        time.sleep(0.0005)


def _end_with(follow: int) -> None:
    poller = select.poll()
    poller.register(follow, select.POLLIN)
    poller.poll()
    # As the person asked for nothing: a kernel whose server is gone has nobody to talk to.
    os.killpg(0, signal.SIGKILL)


def _start_anew(letter: Letter) -> None:
    """A clean process: environment, signals, randomness, and all that remembers the template's."""
    os.environ.clear()
    os.environ.update(letter.env)
    time.tzset()
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed(int.from_bytes(os.urandom(4), "big"))
    sys.argv = list(letter.argv)
    sys.path[:] = [entry for entry in sys.path if entry not in ("", ".")]
    # The template's own streams, whose numbers are the child's files by now; nothing of its is left in them.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text stream from the start
    gc.enable()


def _seat(argv: list[str]) -> int:
    module = importlib.import_module("jupyterhub.singleuser.extension")
    module.JupyterHubSingleUser.launch_instance(argv[1:])
    return 0


def _kernel(argv: list[str]) -> int:
    module = importlib.import_module("civic_kernel.kernel.forked")
    return int(module.run(argv[1:]))


def _run(argv: list[str]) -> int:
    module = importlib.import_module("civic_kernel.reports.inside")
    return int(module.main(3))


_PROGRAMS = {Kind.SEAT: _seat, Kind.KERNEL: _kernel, Kind.RUN: _run}
