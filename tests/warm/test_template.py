"""The template forks whom it should, as whom it should, and nothing brings it down."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from civic_kernel import warm
from civic_kernel.warm import template as templates
from civic_kernel.warm.limits import find_cgroups
from civic_kernel.warm.template import MOST_ASKERS, MOST_CHILDREN, Rules
from civic_kernel.warm.wire import Kind, Letter, Limits, Malformed, Order, Peer, decode, encode, seal, unseal
from hub_config.settings import PYTHON
from tests.warm.conftest import ALICE, BOB, FIRST, ROOT, RUN, Running, arguments, start

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="who may become whom needs root")
ORDER = Order(Kind.KERNEL)
LETTER = Letter(("kernel",), {"HOME": "/"}, "/")
RULES = Rules(FIRST, FIRST + 20, RUN, reports=900)


def asked_by(who, /, **wish):
    return RULES.reason_against(Peer(1, who, frozenset()), Order(Kind.KERNEL, **wish))


@as_root
def test_a_person_becomes_herself_and_nobody_else():
    assert asked_by(ALICE) is None
    assert asked_by(ALICE, uid=ALICE) is None
    for other in (BOB, 0, 900, RUN):
        assert asked_by(ALICE, uid=other)
    assert Rules(1, 2, 3).reason_against(Peer(1, ALICE, frozenset()), ORDER)


@as_root
def test_groups_are_those_that_the_person_is_in():
    request = Order(Kind.KERNEL, uid=ALICE, groups=(40_001,))
    assert RULES.reason_against(Peer(1, ALICE, frozenset({40_001})), request) is None
    assert RULES.reason_against(Peer(1, ALICE, frozenset({40_002})), request)
    assert RULES.reason_against(Peer(1, 0, frozenset()), request) is None


@as_root
def test_root_becomes_anybody_of_the_workspace_but_never_root_or_a_system_user():
    assert asked_by(0, uid=ALICE) is None
    for uid in (0, 900, FIRST - 1, FIRST + 20):
        assert asked_by(0, uid=uid)


@as_root
def test_limits_are_the_workspaces_to_set():
    assert asked_by(ALICE, limits=Limits(memory=2**40 - 1))
    assert asked_by(0, uid=ALICE, limits=Limits(memory=2**30)) is None


def test_a_request_survives_the_wire_and_anything_else_is_refused():
    order = Order(Kind.SEAT, 7, (8, 9), True, Limits(1, 2, 3))
    assert decode(encode(order)) == order
    letter = Letter(("a", "b"), {"K": "값"}, "/x", "/log", ("d",))
    sealed = seal(letter)
    assert unseal(sealed) == unseal(sealed) == letter
    with pytest.raises(PermissionError):
        os.write(sealed, b"x")  # what was ordered is what is read
    os.close(sealed)
    good = json.loads(encode(ORDER))
    for wrong in (
        {"kind": "shell"},
        {"uid": True},
        {"uid": -2},
        {"uid": 1.0},
        {"groups": ["0"]},
        {"follows": "yes"},
        {"limits": {"memory": "1"}},
        {"more": 1},
    ):
        with pytest.raises(Malformed):
            decode(json.dumps({**good, **wrong}).encode())
    for garbage in (b"", b"\n", b"[]\n", b"null\n", b"{}\n", b"\xff\n", b"[" * 5000 + b"\n"):
        with pytest.raises(Malformed):
            decode(garbage)


SELF = """
import json, os, sys, resource
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
files = sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) > 2
               and os.path.exists(f"/proc/self/fd/{n}"))
print(json.dumps({
    "uid": status["Uid"].split(), "gid": status["Gid"].split(), "groups": status["Groups"].split(),
    "env": sorted(os.environ), "cwd": os.getcwd(), "leader": os.getsid(0) == os.getpid(),
    "mask": os.umask(0), "privileges": status.get("NoNewPrivs", "").strip(), "core": resource.getrlimit(4),
    "caps": status["CapEff"].strip(), "files": files, "secret": open("/proc/self/environ").read().count("SECRET")}))
"""


def test_a_child_is_who_it_should_be_with_nothing_of_the_templates(template):
    told = json.loads(template.printed(ALICE, SELF).splitlines()[0])
    me = str(ALICE if os.geteuid() == 0 else os.getuid())
    assert set(told["uid"]) == set(told["gid"]) == {me}
    assert told["groups"] == [] or os.geteuid() != 0
    assert "SECRET_OF_THE_HUB" not in told["env"] and "JUPYTERHUB_API_TOKEN" not in told["env"]
    assert told["env"].count("HOME") == 1 and "OMP_NUM_THREADS" not in told["env"]
    assert told["cwd"] == str(template.home(ALICE)) and told["leader"]
    assert told["mask"] == 0o077 and told["core"] == [0, 0]
    if os.geteuid() == 0:
        assert told["privileges"] == "1" and int(told["caps"], 16) == 0
    # Of the template's own files: neither its socket's listener nor another asker's connection.
    assert not [name for name in told["files"] if name in template.files()]


LOOK = """
import re
# As a pattern, so that the word itself is in this process only if somebody put it there.
word = re.compile(rb"token[-]of[-]a[-]neighbour")
found = 0
for line in open("/proc/self/maps"):
    span, rights = line.split()[:2]
    if "r" not in rights or "[v" in line:
        continue
    low, high = (int(end, 16) for end in span.split("-"))
    with open("/proc/self/mem", "rb", 0) as memory:
        try:
            memory.seek(low)
            found += len(word.findall(memory.read(high - low)))
        except (OSError, ValueError, OverflowError):
            continue
print(found)
"""


def test_what_one_person_gives_her_process_is_in_no_later_ones_memory(template):
    secret = {"JUPYTERHUB_API_TOKEN": "-".join(["token", "of", "a", "neighbour"])}
    assert int(template.printed(ALICE, LOOK, env=secret)) >= 1  # the control: her own memory has it
    assert int(template.printed(BOB if os.geteuid() == 0 else ALICE, LOOK)) == 0


def test_a_request_without_a_letter_is_refused(template):
    with connect(template) as one:
        one.sendall(encode(Order(Kind.KERNEL, uid=ALICE if os.geteuid() == 0 else -1)))
        assert b"no letter" in one.recv(1000)


FLOOD = """
import socket, sys, time
held = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[2]))]
for one in held:
    one.connect(sys.argv[1])
print("flooding", flush=True)
time.sleep(60)
"""


@as_root
def test_nobody_takes_every_descriptor_of_the_template(template):
    command = [PYTHON, "-P", "-c", FLOOD, template.socket, str(MOST_ASKERS * 2)]
    flood = subprocess.Popen(
        command, user=ALICE, group=ALICE, extra_groups=[], cwd="/", stdout=subprocess.PIPE, text=True
    )
    assert flood.stdout.readline() == "flooding\n"
    assert len(template.files()) <= MOST_ASKERS + 5
    assert "ok" in template.printed(BOB, "print('ok')")
    flood.kill()
    flood.wait()
    flood.stdout.close()


def test_two_children_do_not_draw_the_same_numbers(template):
    code = "import random, numpy; print(random.random(), numpy.random.random())"
    first, second = template.printed(ALICE, code).split()[:2], template.printed(ALICE, code).split()[:2]
    assert not set(first) & set(second)


def test_children_outlive_the_template_and_a_new_one_takes_its_place(template, folder):
    child = template.program(ALICE, "import time; time.sleep(600)")
    template.stop(signal.SIGKILL)
    assert child.is_alive()
    again = start(folder)
    # In another home: the code of a child is a file of its person's, which the first may not have read yet.
    assert "still here" in again.printed(BOB if os.geteuid() == 0 else ALICE, "print('still here')")
    again.stop()
    assert child.is_alive()
    warm.send_signal(child.pid, child.started, signal.SIGKILL)


ASKER = """
import sys, time
from hub_config.settings import PYTHON
from tests.warm.conftest import Running
running = Running.__new__(Running)
from pathlib import Path
running.folder, running.socket = Path(sys.argv[1]), sys.argv[2]
child = running.program(int(sys.argv[3]), "import time; time.sleep(600)", follows=True)
print(child.pid, child.started, flush=True)
time.sleep(600)
"""


def test_a_child_that_follows_ends_with_the_one_who_asked(template):
    asker = subprocess.Popen(
        [sys.executable, "-c", ASKER, str(template.folder), template.socket, str(ALICE)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid, started = map(int, asker.stdout.readline().split())
    assert warm.is_alive(pid, started)
    asker.kill()
    asker.wait()
    asker.stdout.close()
    end = time.monotonic() + 10
    while warm.is_alive(pid, started):
        assert time.monotonic() < end
        time.sleep(0.02)


SUPERVISOR = """
import sys
from pathlib import Path
from tests.warm.conftest import Running
running = Running(Path(sys.argv[1]), *sys.argv[2:])
print(running.process.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_that_comes_after_its_supervisor_was_killed_is_not_left_alone(folder):
    """Between the fork and the tie a child has nobody: killed just then, the workspace would leave it its port."""
    above = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(folder), *arguments()],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(above.stdout.readline())
    template = Running.__new__(Running)
    template.folder, template.socket = folder, str(folder / "s")
    assert "with" in template.printed(ALICE, "print('with a supervisor')")
    above.kill()
    above.wait()
    above.stdin.close()
    above.stdout.close()
    try:
        with pytest.raises(warm.Refused, match="could not start"):
            template.program(ALICE, "import time; time.sleep(600)")
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_number_that_was_given_to_another_process_is_not_ours(template):
    assert not warm.is_alive(os.getpid(), 1)
    assert not warm.send_signal(os.getpid(), 1, signal.SIGKILL)


def connect(template):
    one = socket.socket(socket.AF_UNIX)
    one.connect(template.socket)
    one.settimeout(20)
    return one


def test_garbage_half_a_request_and_a_flood_leave_it_serving(template):
    silent = connect(template)
    for garbage in (b"\n", b"{}\n", b"\xff" * 70_000, b'{"kind":"seat"}\n', b"x" * 100):
        with connect(template) as one:
            one.sendall(garbage)
            if garbage.endswith(b"\n"):
                assert b"refused" in one.recv(1000)
    with connect(template) as one:
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
        socket.send_fds(one, [encode(ORDER)], files)
        assert one.recv(1000) == b""  # more files than a request may carry: let go unanswered
        for descriptor in files:
            os.close(descriptor)
    assert "ok" in template.printed(ALICE, "print('ok')")
    # An asker that never finishes its line is let go.
    assert silent.recv(10) == b""
    silent.close()


def test_an_answer_that_nobody_waits_for_stops_nothing(template):
    for _ in range(5):
        one = connect(template)
        one.sendall(encode(ORDER))
        one.close()
    assert "ok" in template.printed(ALICE, "print('ok')")


@as_root
def test_nobody_takes_more_children_than_her_share(template):
    children = [template.program(ALICE, "import time; time.sleep(600)") for _ in range(MOST_CHILDREN)]
    with pytest.raises(warm.Refused, match="too many"):
        template.program(ALICE, "print(1)")
    assert "mine" in template.printed(BOB, "print('mine')")
    for child in children:
        warm.send_signal(child.pid, child.started, signal.SIGKILL)


@as_root
def test_a_person_who_asks_for_a_neighbours_process_is_refused_over_the_real_socket(template):
    code = f"""
from civic_kernel import warm
for uid in ({ALICE}, {BOB}, 0):
    letter = warm.Letter(("kernel", "--version"), {{}}, "/")
    try:
        warm.ask({template.socket!r}, warm.Order(warm.Kind.KERNEL, uid=uid), letter); print(uid, "started")
    except warm.Refused as fault:
        print(uid, fault)
"""
    told = template.printed(ALICE, code).splitlines()
    assert told[:3] == [f"{ALICE} started", f"{BOB} not yours", "0 no such user"]


def test_without_a_template_the_asker_is_told(folder):
    with pytest.raises(warm.NoTemplate):
        warm.ask(str(folder / "s"), ORDER, LETTER)


def test_it_refuses_to_fork_with_a_second_thread():
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="threads"):
            templates.wait_for_single_thread(patience=0.2)
    finally:
        gate.set()
        thread.join()


def test_the_true_preload_leaves_one_thread():
    code = (
        "import tempfile; from civic_kernel.warm.preload import prepare_environment, preload\n"
        "prepare_environment(tempfile.mkdtemp()); preload()\n"
        "from civic_kernel.warm.template import wait_for_single_thread; wait_for_single_thread()\n"
        "import sys; assert 'jupyterhub.singleuser.app' not in sys.modules; print('one')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "one", done.stderr


HOG = """
import os
held = []
try:
    for _ in range(100):
        held.append(bytearray(20_000_000))
    print("unlimited")
except MemoryError:
    print("limited")
"""


@as_root
def test_a_seat_that_takes_all_memory_is_ended_and_its_neighbour_goes_on(template):
    if find_cgroups(f"civic-test-{FIRST}") is None:
        pytest.skip("no cgroup of this machine may be written; the Hub's watcher is tested beside it")
    neighbour = template.program(BOB, "import time; time.sleep(600)", limits=Limits(memory=400_000_000))
    told = template.printed(ALICE, HOG, limits=Limits(memory=400_000_000))
    assert "unlimited" not in told
    assert "unlimited" in template.printed(ALICE, HOG, limits=Limits(memory=4_000_000_000))  # the control
    assert neighbour.is_alive()
    warm.send_signal(neighbour.pid, neighbour.started, signal.SIGKILL)


FORKS = """
import os, time
made = 0
try:
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(5); os._exit(0)
        made += 1
    print("all", made)
except OSError:
    print("stopped", made)
"""


@as_root
def test_a_seat_that_forks_without_end_is_stopped_and_its_neighbour_goes_on(template):
    told = template.printed(ALICE, FORKS, limits=Limits(processes=40))
    assert told.startswith("stopped") and int(told.split()[1]) <= 40
    assert "mine" in template.printed(BOB, "print('mine')", limits=Limits(processes=40))
