"""The process that forks: one thread, imports done, a unix socket.

Who may become whom is decided from what the system says of the other end (SO_PEERCRED), never from the request:

    root (the Hub)       any uid of the workspace's ranges
    the reports service  run uids only
    anybody else         herself, in groups that she is in

It refuses to start with a second thread: a fork copies one thread, and a lock that another one held stays
locked for ever in the child.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from civic_kernel.warm.asking import start_time
from civic_kernel.warm.child import live, wait_for_adoption
from civic_kernel.warm.limits import Cgroups
from civic_kernel.warm.wire import MOST_BYTES, MOST_FILES, Malformed, Peer, Request, decode, peer_of, reply

#: Children of one uid that run at once: a seat's server, its kernels, and room to restart them.
MOST_CHILDREN = 24
#: An asker that does not finish its line within this is let go.
LINE_SECONDS = 5.0


@dataclass(frozen=True)
class Rules:
    """Which uids there are. `reports` is the uid of the reports service, -1 where there is none."""

    first_uid: int
    end_uid: int
    first_run: int
    reports: int = -1

    def reason_against(self, peer: Peer, request: Request) -> str | None:
        """Why `peer` may not have this child; None where it may."""
        uid = request.uid if request.uid != -1 else peer.uid
        if os.geteuid() != 0:
            if peer.uid != os.geteuid() or uid != peer.uid or request.groups:
                return "not yours"
            return None
        if uid == 0 or not self.first_uid <= uid < self.end_uid:
            return "no such user"
        if peer.uid == 0:
            return None
        if any((request.limits.memory, request.limits.cpu, request.limits.processes)):
            return "limits are the workspace's"
        if peer.uid == self.reports:
            return None if uid >= self.first_run and not request.groups else "not yours"
        if uid != peer.uid or not set(request.groups) <= peer.groups:
            return "not yours"
        return None


@dataclass
class _Connection:
    """An asker, and later its child."""

    socket: socket.socket
    peer: Peer
    since: float
    got: bytes = b""
    files: list[int] = field(default_factory=list)
    #: A pidfd: readable when the child has ended.
    child: int | None = None
    uid: int = -1

    def close(self) -> None:
        self.close_files()
        self.socket.close()

    def close_files(self) -> None:
        for descriptor in self.files:
            os.close(descriptor)
        self.files.clear()


class Template:
    """Serves on `path` until SIGTERM; `cgroups` where limits can be set."""

    def __init__(self, path: Path, rules: Rules, cgroups: Cgroups | None) -> None:
        self._path = path
        self._rules = rules
        self._cgroups = cgroups
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._running: Counter[int] = Counter()
        self._stopped = False

    def serve(self) -> None:
        """Blocks. Raises RuntimeError if this process has more than one thread."""
        wait_for_single_thread()
        listener = self._bind()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # What is there now is there for good: a collection in a child would touch, and so copy, every page.
        gc.collect()
        gc.freeze()
        gc.disable()
        while not self._stopped:
            for key, _ in self._selector.select(1.0):
                key.data(key.fileobj)
            self._drop_the_slow()

    def _bind(self) -> socket.socket:
        # Bound beside and moved: whoever finds the socket finds somebody who listens.
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        listener.bind(str(new))
        new.chmod(0o666)
        listener.listen(128)
        new.rename(self._path)
        return listener

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopped = True

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connected, _ = listener.accept()
            connected.setblocking(False)
            self._connections[connected.fileno()] = _Connection(
                connected, peer_of(connected), time.monotonic()
            )
            self._selector.register(connected, selectors.EVENT_READ, self._read)

    def _drop_the_slow(self) -> None:
        now = time.monotonic()
        for one in list(self._connections.values()):
            if one.child is None and now - one.since > LINE_SECONDS:
                self._let_go(one)

    def _read(self, connected: socket.socket) -> None:
        one = self._connections[connected.fileno()]
        try:
            got, files, flags, _ = socket.recv_fds(connected, MOST_BYTES, MOST_FILES)
        except BlockingIOError:
            return
        except OSError:
            got, files, flags = b"", [], 0
        if flags & socket.MSG_CTRUNC:  # more files than there may be; the system has closed the rest
            got = b""
        one.files += files
        one.got += got
        if one.child is not None or not got or len(one.got) > MOST_BYTES or len(one.files) > MOST_FILES:
            # Nothing is said after the request: this is the asker's end.
            self._let_go(one)
        elif one.got.endswith(b"\n"):
            self._answer(one)

    def _answer(self, one: _Connection) -> None:
        connected = one.socket
        try:
            request = decode(one.got)
            reason = self._rules.reason_against(one.peer, request)
        except Malformed as fault:
            reason = str(fault)
        uid = one.peer.uid if reason or request.uid == -1 else request.uid
        if reason is None and self._running[uid] >= MOST_CHILDREN:
            reason = "too many"
        if reason is not None:
            reply(connected, {"refused": reason})
            self._let_go(one)
            return
        try:
            pid, one.child = self._fork(one, request, uid)
            started = start_time(pid)
        except OSError:
            reply(connected, {"refused": "could not start"})
            self._let_go(one)
            return
        one.uid = uid
        self._running[uid] += 1
        self._selector.register(one.child, selectors.EVENT_READ, lambda _: self._ended(one))
        one.close_files()
        reply(connected, {"pid": pid, "started": started})

    def _fork(self, one: _Connection, request: Request, uid: int) -> tuple[int, int]:
        """The child's pid and a pidfd. It is a grandchild: its parent ends at once, so that it is adopted by the
        workspace's supervisor and does not end with this template. Raises OSError."""
        as_root = os.geteuid() == 0
        if as_root and self._cgroups is not None and one.peer.uid == 0:
            self._cgroups.make(uid, request.limits)
        follow = os.pidfd_open(one.peer.pid) if request.follows else None
        ours, theirs = socket.socketpair()
        ours.settimeout(LINE_SECONDS)
        between = os.fork()
        if between == 0:
            status = 1
            with contextlib.suppress(BaseException):
                status = self._in_between(one, request, uid if as_root else None, follow, theirs)
            os._exit(status)
        theirs.close()
        if follow is not None:
            os.close(follow)
        os.waitpid(between, 0)
        with ours:
            told = ours.recv(64)
            if not told.startswith(b"p"):
                raise OSError("no child")
            pid = int(told[1:].rstrip(b"+"))
            child = os.pidfd_open(pid)
            if not told.endswith(b"+") and ours.recv(1) != b"+":
                os.close(child)
                raise OSError("no child")
        return pid, child

    def _in_between(
        self, one: _Connection, request: Request, uid: int | None, follow: int | None, ready: socket.socket
    ) -> int:
        """In the process between template and child: forks and ends. Returns in this process only."""
        me = os.getpid()
        child = os.fork()
        if child != 0:
            return 0
        wait_for_adoption(me)
        ready.sendall(b"p%d" % os.getpid())
        status = 1
        try:
            status = live(request, uid, one.files, follow, ready, self._cgroups)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            # Into the child's own log: it has become the person, or it has nothing to write to.
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            os._exit(status)

    def _ended(self, one: _Connection) -> None:
        assert one.child is not None
        self._selector.unregister(one.child)
        os.close(one.child)
        one.child = None
        self._running[one.uid] -= 1
        if self._cgroups is not None and self._running[one.uid] == 0:
            self._cgroups.remove(one.uid)
            del self._running[one.uid]
        self._let_go(one)

    def _let_go(self, one: _Connection) -> None:
        """Close the connection; its child, if there is one, is still counted."""
        if one.socket.fileno() in self._connections:
            del self._connections[one.socket.fileno()]
            self._selector.unregister(one.socket)
            one.close()


def wait_for_single_thread(patience: float = 10.0) -> None:
    """Raises RuntimeError where a second thread runs and does not end: matplotlib's timer while it reads fonts does."""
    end = time.monotonic() + patience
    while (count := len(os.listdir("/proc/self/task"))) != 1:
        if time.monotonic() > end:
            raise RuntimeError(f"the template has {count} threads and may not fork")
        time.sleep(0.05)
