"""A killed Hub comes back and finds its seats; a killed template is replaced and nobody notices."""

import json
import os
import signal
import time

import psutil
import pytest

from hub_config import home
from hub_config.starting.running import running_pid
from tests.hub.command import hub_of, template_of
from tests.hub.conftest import add_people
from tests.hub.notebooks import cells, make_notebook
from tests.hub.seat import Seat
from tests.hub.waiting import wait_for
from tests.rooms.typist import Typist

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="seats of their own users need root"),
]


def server_of(settings, uid):
    found = [p for p in psutil.Process(running_pid(settings)).children() if p.uids().real == uid]
    return min(found, key=lambda process: process.create_time())


def test_seats_go_on_while_hub_and_template_are_killed_and_replaced(civic):
    secrets = add_people(civic.settings)
    civic.up()
    wait_for(lambda: home.warm_socket(civic.settings).exists())
    seat = Seat(civic.settings.workspace_url, secrets["expert-han"])
    uid = int(seat.run("import os; kept = 41; print(os.getuid())"))
    server = server_of(civic.settings, uid)
    assert "civic_kernel.warm" in " ".join(server.cmdline())  # forked, not started
    room = Seat(civic.settings.workspace_url, secrets["analyst-lee"], owner="room-01")
    make_notebook(room, "together.ipynb", "a = 1")
    typist = Typist(f"{civic.settings.workspace_url}/user/room-01/", room.token, "together.ipynb")
    typist.type(" + 1")

    template = template_of(civic.settings)
    template.kill()
    assert seat.run("print(kept + 1)") == "42"
    again = wait_for(lambda: template_of(civic.settings))
    assert again.pid != template.pid

    hub = hub_of(civic.settings)
    proxies = [p.pid for p in hub.children(recursive=True)]
    hub.kill()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in proxies))  # what it managed ends with it
    wait_for(lambda: (found := hub_of(civic.settings)) and found.pid != hub.pid)
    assert server.is_running() and server.status() != psutil.STATUS_ZOMBIE
    typist.type(" + 2", away=True)  # the proxy is gone, and with it everybody's connection

    def answers():
        try:
            return seat.run("print(kept + 1)")
        except Exception:
            return None

    assert wait_for(answers, within=60) == "42"
    typist.connect()
    typist.sleep()
    wait_for(lambda: (cells(room, "together.ipynb") or [{}])[0].get("source") == "a = 1 + 1 + 2")
    back = Seat(civic.settings.workspace_url, secrets["expert-han"])
    assert back.started_in < 5 and server.is_running()
    before = [hub_of(civic.settings).pid, template_of(civic.settings).pid]
    code, out, _ = civic.run("renew", "--json")  # an upgrade
    assert (code, json.loads(out)) == (0, {"state": "done"})
    assert hub_of(civic.settings).pid != before[0]
    assert wait_for(lambda: template_of(civic.settings)).pid != before[1]
    assert wait_for(answers, within=60) == "42" and server.is_running()
    newcomer = Seat(civic.settings.workspace_url, secrets["analyst-lee"])
    assert newcomer.run("print('with the new')") == "with the new"
    seat.session.api("DELETE", f"users/{seat.owner}/server")
    end = time.monotonic() + 20
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_seat_and_its_kernels_share_one_limit(civic):
    secrets = add_people(civic.settings)
    civic.up()
    wait_for(lambda: home.warm_socket(civic.settings).exists())
    seat = Seat(civic.settings.workspace_url, secrets["expert-han"])
    groups = seat.run("print(open('/proc/self/cgroup').read())")
    uid = seat.run("import os; print(os.getuid())")
    if f"civic-{civic.settings.uid_base}" not in groups:
        pytest.skip("no cgroup of this machine may be written")
    assert f"civic-{civic.settings.uid_base}/{uid}" in groups
    assert civic.settings.seat_memory == 1024
    # In a process of its own, which is what the system ends: the kernel goes on and can tell.
    hungry = (
        "import subprocess, sys; take = 'held = [bytearray(50_000_000) for _ in range({})]'\n"
        "print([subprocess.run([sys.executable, '-c', take.format(n)]).returncode for n in (5, 40)])"
    )
    assert seat.run(hungry) == f"[0, -{int(signal.SIGKILL)}]"
