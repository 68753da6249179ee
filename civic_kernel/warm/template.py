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
from dataclasses import dataclass, field, replace
from pathlib import Path

from civic_kernel.warm.asking import start_time
from civic_kernel.warm.child import live, wait_for_adoption
from civic_kernel.warm.limits import Cgroups
from civic_kernel.warm.wire import (
    MOST_BYTES,
    MOST_FILES,
    Kind,
    Limits,
    Malformed,
    Order,
    Peer,
    decode,
    peer_of,
    reply,
)

#: Children of one uid that run at once: a seat's server, its kernels, and room to restart them.
MOST_CHILDREN = 24
#: An asker that does not finish its line within this is let go.
LINE_SECONDS = 5.0
#: Askers of one uid that wait at once. The Hub asks for thirty seats in the same moment.
MOST_ASKERS = 100


@dataclass(frozen=True)
class Rules:
    """Which uids there are. `reports` is the uid of the reports service, -1 where there is none."""

    first_uid: int
    end_uid: int
    first_run: int
    reports: int = -1
    #: What holds for children that ask for themselves, as a seat's kernels do: these two each process carries itself,
    #: while memory and processor are counted in the group that the Hub made for the seat.
    limits: Limits = field(default_factory=Limits)

    def reason_against(self, peer: Peer, order: Order) -> str | None:
        """Why `peer` may not have this; None where it may."""
        if os.geteuid() != 0:
            if peer.uid != os.geteuid() or order.uid not in (-1, peer.uid) or order.groups:
                return "not yours"
            return None
        if order.kind is Kind.RUN or order.kind is Kind.END:
            return self._reason_against_run(peer, order)
        uid = order.uid if order.uid != -1 else peer.uid
        if uid == 0 or not self.first_uid <= uid < min(self.end_uid, self.first_run):
            return "no such user"
        if peer.uid == 0:
            return None
        if order.limits != Limits():
            return "limits are the workspace's"
        if uid != peer.uid or not set(order.groups) <= peer.groups:
            return "not yours"
        return None

    def _reason_against_run(self, peer: Peer, order: Order) -> str | None:
        """A run's user is chosen here (`uid` -1) and does nothing else; only a run that there is can be ended."""
        if peer.uid not in (0, self.reports) or order.groups:
            return "not yours"
        is_named = self.first_run <= order.uid < self.end_uid
        return None if (is_named if order.kind is Kind.END else order.uid == -1) else "no such user"


@dataclass
class _Asker:
    """Somebody who has connected and not been answered yet."""

    peer: Peer
    since: float
    got: bytes = b""
    files: list[int] = field(default_factory=list)


class Template:
    """Serves on `path` until SIGTERM; `cgroups` where limits can be set; `gateway` is the socket for runs."""

    def __init__(self, path: Path, rules: Rules, cgroups: Cgroups | None, gateway: str | None = None) -> None:
        self._path = path
        self._gateway = gateway
        self._rules = rules
        self._cgroups = cgroups
        self._selector = selectors.DefaultSelector()
        self._askers: dict[socket.socket, _Asker] = {}
        self._running: Counter[int] = Counter()
        self._next_run = rules.first_run
        self._above = -1
        self._stopped = False

    def serve(self) -> None:
        """Blocks. Raises RuntimeError if this process has more than one thread."""
        wait_for_single_thread()
        # Whoever started us is above all children too, who end with it and not with us.
        self._above = os.pidfd_open(os.getppid())
        listener = self._bind()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # What is there now is there for good: a collection in a child would touch, and so copy, every page.
        gc.collect()
        gc.freeze()
        gc.disable()
        while not self._stopped:
            ready = self._selector.select(1.0)
            looked = time.monotonic()
            for key, _ in ready:
                key.data(key.fileobj)
            self._drop_the_slow(looked)

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
            peer = peer_of(connected)
            if sum(asker.peer.uid == peer.uid for asker in self._askers.values()) >= MOST_ASKERS:
                # Whoever opens connections without end would take the descriptors that others need.
                connected.close()
                return
            self._askers[connected] = _Asker(peer, time.monotonic())
            self._selector.register(connected, selectors.EVENT_READ, self._read)

    def _drop_the_slow(self, looked: float) -> None:
        """By when it was last seen who has something to say: what came while sixty others were served waits there."""
        for connected in [c for c, asker in self._askers.items() if looked - asker.since > LINE_SECONDS]:
            self._let_go(connected)

    def _read(self, connected: socket.socket) -> None:
        asker = self._askers[connected]
        try:
            got, files, flags, _ = socket.recv_fds(connected, MOST_BYTES, MOST_FILES)
        except BlockingIOError:
            return
        except OSError:
            got, files, flags = b"", [], 0
        asker.files += files
        asker.got += got
        # MSG_CTRUNC: more files than there may be at once; the system has closed the rest.
        excess = len(asker.got) > MOST_BYTES or len(asker.files) > MOST_FILES
        if not got or excess or flags & socket.MSG_CTRUNC:
            self._let_go(connected)
        elif asker.got.endswith(b"\n"):
            reply(connected, self._answer(asker))
            self._let_go(connected)

    def _answer(self, asker: _Asker) -> dict[str, int | str]:
        try:
            order = decode(asker.got)
        except Malformed as fault:
            return {"refused": str(fault)}
        reason = self._rules.reason_against(asker.peer, order)
        if reason is None and order.kind is Kind.END:
            return {"ended": end_all(order.uid)}
        if reason is None and not asker.files:
            reason = "no letter"
        uid = self._uid_for(asker.peer, order) if reason is None else -1
        if reason is None and self._running[uid] >= MOST_CHILDREN:
            reason = "too many"
        if reason is not None:
            return {"refused": reason}
        try:
            pid, child = self._fork(asker, order, uid)
        except OSError:  # a limit, or no sandbox for a run
            return {"refused": "could not start"}
        self._running[uid] += 1
        self._selector.register(child, selectors.EVENT_READ, lambda child: self._ended(child, uid))
        try:
            return {"pid": pid, "started": start_time(pid), "uid": uid}
        except OSError:  # it has ended already
            return {"refused": "could not start"}

    def _uid_for(self, peer: Peer, order: Order) -> int:
        """Whom the child becomes. A run gets the user that has rested longest: the next number of the range that
        nothing runs under."""
        if order.kind is not Kind.RUN or os.geteuid() != 0:
            return peer.uid if order.uid == -1 else order.uid
        first, end = self._rules.first_run, self._rules.end_uid
        for _ in range(end - first):
            uid, self._next_run = self._next_run, max(first, (self._next_run + 1) % end)
            if not self._running[uid]:
                return uid
        return first

    def _fork(self, asker: _Asker, order: Order, uid: int) -> tuple[int, int]:
        """The child's pid and a pidfd. It is a grandchild: its parent ends at once, so that it is adopted by the
        workspace's supervisor and does not end with this template. Raises OSError."""
        as_root = os.geteuid() == 0
        if as_root and self._cgroups is not None and asker.peer.uid in (0, self._rules.reports):
            self._cgroups.make(uid, order.limits)
        follow = os.pidfd_open(asker.peer.pid) if order.follows else None
        ours, theirs = socket.socketpair()
        ours.settimeout(LINE_SECONDS)
        between = os.fork()
        if between == 0:
            status = 1
            with contextlib.suppress(BaseException):
                status = self._in_between(asker, order, uid if as_root else None, follow, theirs)
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
        self, asker: _Asker, order: Order, uid: int | None, follow: int | None, ready: socket.socket
    ) -> int:
        """In the process between template and child: forks and ends. Returns in this process only."""
        if order.limits == Limits():
            order = replace(order, limits=self._rules.limits)
        me = os.getpid()
        child = os.fork()
        if child != 0:
            return 0
        wait_for_adoption(me)
        ready.sendall(b"p%d" % os.getpid())
        status = 1
        try:
            status = live(order, uid, asker.files, follow, self._above, ready, self._cgroups, self._gateway)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            # Into the child's own log: it has become the person, or it has nothing to write to.
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            os._exit(status)

    def _ended(self, child: int, uid: int) -> None:
        self._selector.unregister(child)
        os.close(child)
        self._running[uid] -= 1
        if self._running[uid] == 0:
            del self._running[uid]
            if os.geteuid() == 0 and uid >= self._rules.first_run:
                # What a run has left behind must not be there when its user's number is used again.
                end_all(uid)
            if self._cgroups is not None:
                self._cgroups.remove(uid)

    def _let_go(self, connected: socket.socket) -> None:
        for descriptor in self._askers.pop(connected).files:
            os.close(descriptor)
        self._selector.unregister(connected)
        connected.close()


def end_all(uid: int) -> int:
    """SIGKILL for every process of `uid`, until there is none; how many there were. `uid` is a run's: a number that
    nobody else ever has. As root; without, there are no runs' users."""
    ended = 0
    if uid <= 0 or os.geteuid() != 0:
        return ended
    for _ in range(1_000):  # one that forks without end is stopped by its limit of processes, and so here
        found = [int(name) for name in os.listdir("/proc") if name.isdigit() and _owner(name) == uid]
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended += len(found)
        time.sleep(0.001)
    return ended


def _owner(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
        return -1 if state in (b"Z", b"X") else os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def wait_for_single_thread(patience: float = 10.0) -> None:
    """Raises RuntimeError where a second thread runs and does not end: matplotlib's timer while it reads fonts does."""
    end = time.monotonic() + patience
    while (count := len(os.listdir("/proc/self/task"))) != 1:
        if time.monotonic() > end:
            raise RuntimeError(f"the template has {count} threads and may not fork")
        time.sleep(0.05)
