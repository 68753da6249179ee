"""Seats that nobody uses are closed, with their kernels, by the Hub's own service."""

import contextlib
import os
import subprocess
import time

import psutil
import pytest

from hub_config.members.people import open_people
from hub_config.settings import CULLER_USER, read_settings
from hub_config.spawners import make_seat_arguments
from tests.hub.seat import Seat

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the culler's uid needs root"),
]


def culler_of(hub):
    for process in psutil.Process(hub.workspace.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "jupyterhub_idle_culler" in process.cmdline():
                return process
    raise AssertionError("no culler runs")


def processes_of(hub, name):
    people = open_people(hub.settings)
    uid = people.account(name).uid
    people.close()
    found = []
    for process in psutil.process_iter(["uids", "status"]):
        about = process.info
        if about["uids"] and about["uids"].real == uid and about["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@contextlib.contextmanager
def culling(culler, seconds):
    """The service's own command, user and token, with another patience."""
    words = [f"--timeout={seconds}" if word.startswith("--timeout") else word for word in culler.cmdline()]
    words = ["--cull-every=1" if word.startswith("--cull-every") else word for word in words]
    uid = culler.uids().real
    process = subprocess.Popen(
        words,
        env=culler.environ(),
        cwd="/",
        user=uid,
        group=uid,
        extra_groups=[],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert "Traceback" not in said and "403" not in said, said


def test_a_seat_that_nobody_uses_ends_with_its_kernels_and_not_before_its_time(hub):
    culler = culler_of(hub)
    assert culler.uids().real == hub.settings.uid_base + CULLER_USER
    assert f"--timeout={120 * 60}" in culler.cmdline()
    seat = Seat(hub.url, hub.secrets["outsider-yun"])
    assert seat.run("kept = open('kept.txt', 'w').write('work'); print(kept)") == "4"
    there = processes_of(hub, "outsider-yun")
    assert len(there) >= 2  # server and kernel
    with culling(culler, 600):
        time.sleep(2)
        assert processes_of(hub, "outsider-yun") == there
    with culling(culler, 1):
        end = time.monotonic() + 30
        while processes_of(hub, "outsider-yun"):
            assert time.monotonic() < end
            time.sleep(0.2)
    while seat.session.api("GET", "users/outsider-yun")["servers"]:  # the Hub notes it a moment later
        assert time.monotonic() < end
        time.sleep(0.2)
    assert (hub.settings.home / "homes/outsider-yun/kept.txt").read_text() == "work"


def test_a_kernels_turn_comes_after_its_servers(hub):
    people = open_people(hub.settings)
    account = people.account("expert-han")
    people.close()
    home = hub.settings.home / "homes/expert-han"

    def patience(**more):
        settings = read_settings({**hub.settings.environment(), **more})
        prefix = "--MappingKernelManager.cull_idle_timeout="
        return [
            int(a.removeprefix(prefix)) for a in make_seat_arguments(settings, account, home) if prefix in a
        ]

    assert patience(CIVIC_SEAT_IDLE="60")[0] > 60 * 60
    assert patience(CIVIC_SEAT_IDLE="0") == []
