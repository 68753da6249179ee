"""The watcher against real processes of users of their own, and what it does where there are control groups."""

import os
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from hub_config import home
from hub_config.limits import watcher
from hub_config.limits.watcher import MEASURE_EVERY_S, Holder, Watcher, holder, last_ended, read_share
from hub_config.settings import CULLER_USER, PYTHON, ROOMS
from tests.hub.conftest import make_settings

pytestmark = pytest.mark.hub
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root")
HOLD = "import sys; held = bytearray(int(sys.argv[1]) * 2**20); print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def watched(folder):
    settings = make_settings(folder / "home", CIVIC_SEAT_MEMORY="200", CIVIC_CGROUPS="off")
    home.prepare(settings)
    return settings


@pytest.fixture
def people():
    """`people(uid, megabytes)` is a process of that user which holds so much."""
    started = []

    def start(uid, megabytes):
        as_user = {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(
            [PYTHON, "-I", "-S", "-c", HOLD, str(megabytes)], cwd="/", **pipes, **as_user
        )
        started.append(process)
        assert process.stdout.readline() == b"1\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        self.now += MEASURE_EVERY_S
        return self.now


@as_root
def test_who_is_over_loses_her_largest_process_and_nobody_else_any(watched, people):
    base = watched.uid_base
    small, large, neighbour = people(base, 30), people(base, 190), people(base + 1, 150)
    room, service = people(base + ROOMS + 1, 150), people(base + CULLER_USER, 250)
    Watcher(watched, Clock()).look()
    assert large.wait(timeout=5) == -signal.SIGKILL
    assert [p.poll() for p in (small, neighbour, room, service)] == [None] * 4
    assert last_ended(watched, base) == pytest.approx(1_000, abs=5)
    assert last_ended(watched, base + 1) is None


@as_root
def test_a_process_that_hides_its_owner_is_counted_all_the_same(watched):
    """Not dumpable, all that /proc tells of it is root's: whoever went by that would take it for the system's."""
    hide = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); " + HOLD
    uid = watched.uid_base
    command = [PYTHON, "-I", "-S", "-c", hide, "250"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, user=uid, group=uid, extra_groups=[], cwd="/", **pipes)
    assert process.stdout.readline() == b"1\n"
    assert os.stat(f"/proc/{process.pid}/stat").st_uid == 0
    Watcher(watched, Clock()).look()
    assert process.wait(timeout=5) == -signal.SIGKILL
    process.communicate()


def test_shared_pages_are_not_counted_to_everybody_in_full(watched, people):
    """Forked children share the template's pages: by what each seems to hold, thirty seats would all be over."""
    fork = (
        "import os, time; held = bytearray(150 * 2**20); a = os.fork(); b = a and os.fork(); "
        "(a and b) and print(1, flush=True); time.sleep(60)"
    )
    uid = watched.uid_base
    as_user = {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}
    family = subprocess.Popen(
        [PYTHON, "-I", "-S", "-c", fork],
        cwd="/",
        stdout=subprocess.PIPE,
        start_new_session=True,
        **as_user,
    )
    assert family.stdout.readline() == b"1\n"
    time.sleep(0.1)
    assert read_share(family.pid) < 100 * 2**20
    Watcher(watched, Clock()).look()
    assert family.poll() is None
    os.killpg(family.pid, signal.SIGKILL)
    family.communicate()


def test_without_root_each_process_below_the_workspace_counts_alone_and_its_own_parts_are_spared(
    watched, people
):
    settings = replace(watched, is_root=False)
    fine, over, hub = (
        people(watched.uid_base, 150),
        people(watched.uid_base, 250),
        people(watched.uid_base, 250),
    )
    Watcher(settings, Clock()).look(spared=(hub.pid,))
    assert over.wait(timeout=5) == -signal.SIGKILL
    assert fine.poll() is None and hub.poll() is None
    assert holder(settings) is Holder.WATCHER_ALONE


def test_it_looks_no_more_often_than_it_says(watched, monkeypatch):
    looks, now = [], [50.0]
    monkeypatch.setattr(watcher, "read_processes", lambda: looks.append(now[0]) or [])
    watch = Watcher(watched, lambda: now[0])
    for _ in range(10):
        watch.look()
        now[0] += MEASURE_EVERY_S / 5
    assert len(looks) == 2


@as_root
def test_where_there_are_control_groups_the_watcher_counts_whom_the_system_ended(folder, people):
    settings = make_settings(folder / "home", CIVIC_SEAT_MEMORY="100")
    home.prepare(settings)
    groups = watcher.find_groups(settings)
    if groups is None:
        pytest.skip("no control group of this machine may be written")
    assert holder(settings) is (Holder.GROUPS_2 if groups.version == 2 else Holder.GROUPS_1)
    uid, clock = settings.uid_base, Clock()
    watch = Watcher(settings, lambda: clock() + 60 * clock.now)
    groups.make(uid, watcher.warm.Limits(memory=100 * 2**20))
    watch.look()
    command = [PYTHON, "-I", "-S", "-c", HOLD, "150"]
    hog = subprocess.Popen(command, stdin=subprocess.PIPE, preexec_fn=lambda: groups.join(uid, os.getpid()))
    assert hog.wait(timeout=20) == -signal.SIGKILL
    hog.stdin.close()
    assert last_ended(settings, uid) is None
    watch.look()
    assert last_ended(settings, uid) is not None
    groups.remove(uid)
