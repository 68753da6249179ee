"""Starting, stopping, and being killed: nothing may stay behind."""

import json
import os
import signal
import socket
import time

import psutil
import pytest

from hub_config.errors import PartMissing, PortTaken
from hub_config.starting.running import check_ports, find_running, running_pid
from tests.hub.command import hub_of, processes_of
from tests.hub.conftest import add_people
from tests.hub.seat import Seat
from tests.hub.waiting import wait_for

pytestmark = pytest.mark.hub


def assert_gone(settings, within):
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            check_ports(settings)
        except PortTaken:
            time.sleep(0.1)
            continue
        if not processes_of(settings):
            return
        time.sleep(0.1)
    check_ports(settings)
    assert not processes_of(settings)


@pytest.mark.parametrize(
    "setting", ["CIVIC_PORT", "CIVIC_SITE_PORT", "CIVIC_GATEWAY_PORT", "CIVIC_PROXY_API_PORT"]
)
def test_a_taken_port_is_one_sentence_that_names_port_and_setting(civic, setting):
    port = civic.settings.ports[setting]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        code, out, err = civic.run("up")
    assert code == PortTaken.exit_code
    assert str(port) in err and setting in err and err.count("\n") == 1
    assert "Traceback" not in out + err
    assert not processes_of(civic.settings)


def test_up_detached_answers_a_second_up_says_so_and_down_ends_it(civic):
    code, out, err = civic.run("up", "--detach", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told == {
        "state": "ready",
        "workspace": civic.settings.workspace_url,
        "site": civic.settings.site_url,
    }
    code, out, _ = civic.run("up", "--json")
    assert (code, json.loads(out)["state"]) == (0, "already")
    assert civic.run("down")[0] == 0
    assert_gone(civic.settings, within=1)
    code, out, _ = civic.run("down", "--json")
    assert (code, json.loads(out)["state"]) == (0, "none")


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a seat's processes are found by their uid")
def test_ctrl_c_ends_every_process_also_what_a_seat_left_running(civic):
    secrets = add_people(civic.settings)
    up = civic.up()
    seat = Seat(civic.settings.workspace_url, secrets["expert-han"])
    code = "import subprocess; subprocess.Popen(['setsid', 'sleep', '600']); print('left')"
    assert seat.run(code) == "left"
    assert len(processes_of(civic.settings)) >= 3
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=60) == 0
    assert_gone(civic.settings, within=1)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["up", "supervisor"])
def test_kill_9_leaves_no_process_holding_a_port_and_takes_seats_and_kernels_along(civic, victim):
    secrets = add_people(civic.settings)
    up = civic.up()
    if os.geteuid() == 0:  # a seat's processes are found by their uid
        assert Seat(civic.settings.workspace_url, secrets["expert-han"]).run("print(1)") == "1"
    os.kill({"up": up.pid, "supervisor": running_pid(civic.settings)}[victim], signal.SIGKILL)
    up.wait(timeout=30)
    assert_gone(civic.settings, within=15)
    assert find_running(civic.settings) is None


def test_a_hub_that_is_killed_again_and_again_is_not_started_for_ever(civic):
    up = civic.up()
    for _ in range(4):
        hub = wait_for(lambda: hub_of(civic.settings))
        hub.kill()
        hub.wait(timeout=10)
    assert up.wait(timeout=30) != 0
    assert_gone(civic.settings, within=15)


def test_a_recycled_process_number_is_not_taken_for_the_workspace(settings):
    settings.home.mkdir()
    (settings.home / "run.pid").write_text(f"{os.getpid()} 12.5\n")
    assert running_pid(settings) is None
    (settings.home / "run.pid").write_text(f"{os.getpid()} {psutil.Process().create_time()}\n")
    assert running_pid(settings) == os.getpid()
    (settings.home / "run.pid").write_text("nonsense")
    assert running_pid(settings) is None


def test_links_are_made_shown_once_and_revoked(civic):
    add_people(civic.settings)
    code, out, _ = civic.run("links", "expert-han", "--json")
    made = json.loads(out)["links"]
    assert code == 0 and made[0]["link"].startswith(f"{civic.settings.workspace_url}/hub/login#k=")
    code, _, err = civic.run("links", "nobody-here")
    assert code == 5 and "nobody-here" in err
    code, out, _ = civic.run("links", "--revoke", "expert-han", "--json")
    assert json.loads(out)["revoked"] == {"expert-han": 2}


def test_without_set_up_the_missing_account_is_named(settings, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("accounts are only needed as root")
    from hub_config import home

    monkeypatch.setitem(home.FOLDERS, "vault", ("civic-no-such-user", 0o700))
    with pytest.raises(PartMissing) as refused:
        home.prepare(settings)
    assert "civic-no-such-user" in refused.value.sentence("en")
