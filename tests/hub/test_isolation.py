"""What somebody tries from inside her own seat, and each time the same attempt where it is right to succeed."""

import json
import os
import urllib.error
import urllib.request

import psutil
import pytest

from hub_config import home
from hub_config.members.people import open_people
from tests.hub.seat import Seat

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root"),
]


@pytest.fixture(scope="module")
def expert(hub):
    return Seat(hub.url, hub.secrets["expert-han"])


@pytest.fixture(scope="module")
def analyst(hub):
    return Seat(hub.url, hub.secrets["analyst-lee"])


def uid_of(hub, name):
    people = open_people(hub.settings)
    uid = people.account(name).uid
    people.close()
    return uid


def processes_of(hub, name):
    """The server of `name` and her kernels, the server first."""
    uid = uid_of(hub, name)
    found = [p for p in psutil.Process(hub.workspace.pid).children(recursive=True) if p.uids().real == uid]
    return sorted(found, key=lambda process: process.create_time())


BECOME = """
import os, time
from civic_kernel import warm
home = os.path.expanduser("~/.tmp/asked")
os.makedirs(home + "/profile/startup", exist_ok=True)
with open(home + "/profile/startup/first.py", "w") as file:
    file.write("import os\\nopen('told', 'w').write(str(os.getuid()))\\nos._exit(0)\\n")
def become(uid=-1, **more):
    letter = warm.Letter(
        ("kernel", "--ipython-dir", home, "--profile-dir", home + "/profile"), {"HOME": home, "PATH": ""}, home
    )
    try:
        child = warm.ask(os.environ["CIVIC_WARM_SOCKET"], warm.Order(warm.Kind.KERNEL, uid=uid, **more), letter)
    except warm.Refused as refusal:
        return str(refusal)
    while child.is_alive():
        time.sleep(0.02)
    return open(home + "/told").read()
"""


def test_the_templates_socket_makes_nobody_out_of_a_seat_but_herself(hub, expert):
    expert.run(BECOME)
    neighbour, vault = uid_of(hub, "analyst-lee"), home.user_ids(home.VAULT_USER)[0]
    room, run = hub.settings.uid_base + 10_001, hub.settings.uid_base + 30_000
    tried = f"print([become(uid) for uid in ({neighbour}, 0, {vault}, {room}, {run})])"
    assert expert.run(tried) == str(
        ["not yours", "no such user", "no such user", "not yours", "no such user"]
    )
    assert expert.run(f"print(become(groups=({neighbour},)))") == "not yours"
    assert expert.run("print(become(limits=warm.Limits(memory=2**39)))") == "limits are the workspace's"
    assert expert.run("print(become())") == str(uid_of(hub, "expert-han"))


def test_a_seat_cannot_take_the_templates_place_or_end_it(hub, expert):
    expert.run(BECOME)
    assert expert.run("os.unlink(os.environ['CIVIC_WARM_SOCKET'])") == "PermissionError"
    assert expert.run("os.listdir(os.path.dirname(os.environ['CIVIC_WARM_SOCKET']))") == "PermissionError"
    garbage = (
        "import socket\n"
        "for sent in (b'\\0' * 5000, b'{\"kind\": \"seat\"}\\n', b'[' * 4000, b'GET / HTTP/1.1\\r\\n\\r\\n'):\n"
        "    with socket.socket(socket.AF_UNIX) as one:\n"
        "        one.connect(os.environ['CIVIC_WARM_SOCKET'])\n"
        "        one.sendall(sent)\n"
        "        one.shutdown(socket.SHUT_WR)\n"
        "        one.recv(4096)\n"
        "print(become())"
    )
    assert expert.run(garbage) == str(uid_of(hub, "expert-han"))


CALL = """
import json, os, urllib.request
def call(method, path, body=None, token=os.environ["JUPYTERHUB_API_TOKEN"]):
    request = urllib.request.Request(
        os.environ["JUPYTERHUB_API_URL"] + path, None if body is None else json.dumps(body).encode(),
        {"Authorization": "token " + token, "Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code
"""
#: What a seat's token is no key to: other people, their servers and tokens, and the Hub itself.
OTHERS = [
    ("GET", "/users", None),
    ("GET", "/users/analyst-lee", None),
    ("POST", "/users/analyst-lee/server", {}),
    ("DELETE", "/users/analyst-lee/server", None),
    ("POST", "/users/analyst-lee/tokens", {}),
    ("POST", "/users/analyst-lee/activity", {"last_activity": "2030-01-01T00:00:00Z"}),
    ("POST", "/users/room-01/server", {}),
    ("PATCH", "/users/expert-han", {"admin": True}),
    ("POST", "/users/expert-han/tokens", {}),
    ("GET", "/groups", None),
    ("POST", "/groups/role-city-steward/users", {"users": ["expert-han"]}),
    ("GET", "/services", None),
    ("GET", "/proxy", None),
    ("POST", "/shutdown", {}),
]


def test_a_seats_token_moves_nobody_else_on_the_hub(hub, expert, analyst):
    expert.run(CALL)
    # 403, or 404 where the Hub does not even say whether there is such a person.
    told = json.loads(expert.run(f"import json; print(json.dumps([call(*each) for each in {OTHERS!r}]))"))
    assert set(told) <= {403, 404}, [each for each, code in zip(OTHERS, told, strict=True) if code < 400]
    assert analyst.get("api/status")
    assert expert.run("print(call('GET', '/user'))") == "200"
    moment = '{"last_activity": "2026-01-01T00:00:00Z"}'
    assert expert.run(f"print(call('POST', '/users/expert-han/activity', {moment}))") == "200"


def test_another_persons_token_lies_where_a_seat_cannot_read_it_and_opens_her_seat_where_it_is_known(
    hub, expert
):
    server = processes_of(hub, "analyst-lee")[0]
    assert expert.run(f"open('/proc/{server.pid}/environ').read()") == "PermissionError"
    assert expert.run(f"open('/proc/{server.pid}/mem', 'rb')") == "PermissionError"
    # Not even there: the environment of a forked seat came in a sealed letter.
    assert "JUPYTERHUB_API_TOKEN" not in server.environ()
    own = expert.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
    token = Seat(hub.url, hub.secrets["analyst-lee"]).run(
        "import os; print(os.environ['JUPYTERHUB_API_TOKEN'])"
    )
    assert status_of(f"{hub.url}/user/analyst-lee/api/status", own) == 403
    assert status_of(f"{hub.url}/user/analyst-lee/api/status", token) == 200


def status_of(url, token):
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code


def test_a_neighbours_server_is_closed_also_at_its_own_port(hub, expert, analyst):
    port = next(
        c.laddr.port
        for c in processes_of(hub, "analyst-lee")[0].net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    )
    told = [
        expert.run(
            "import urllib.request, urllib.error\n"
            f"request = urllib.request.Request('http://127.0.0.1:{port}/user/analyst-lee/api/status',\n"
            f"    headers={{'Authorization': 'token ' + {token}}})\n"
            "try:\n    print(urllib.request.urlopen(request, timeout=20).status)\n"
            "except urllib.error.HTTPError as refusal:\n    print(refusal.code)"
        )
        for token in ("'x'", "os.environ['JUPYTERHUB_API_TOKEN']", repr(analyst.token))
    ]
    assert told == ["403", "403", "200"]


LISTEN = """
import json, time, uuid, zmq
from jupyter_client.session import Session
def listen(told, seconds=1.0):
    "What comes from a kernel's publisher within that time, and whether it obeyed an order."
    context = zmq.Context()
    def connect(kind, port):
        one = context.socket(kind)
        one.linger = 0
        # A publisher that finds the stranger's lock wrong ends her connection for good, and an order without a
        # connection would wait for ever.
        one.sndtimeo = 1000
        if "curve_publickey" in told:
            one.curve_serverkey = one.curve_publickey = told["curve_publickey"].encode()
            one.curve_secretkey = told["curve_secretkey"].encode()
        one.connect(f"ipc://{told['ip']}-{port}")
        return one
    heard = connect(zmq.SUB, told["iopub_port"])
    heard.subscribe(b"")
    orders = connect(zmq.DEALER, told["shell_port"])
    time.sleep(0.3)
    session = Session(key=told.get("key", "guessed").encode())
    content = {"code": "print('overheard')", "silent": False, "store_history": False, "allow_stdin": False}
    try:
        session.send(orders, "execute_request", content)
    except zmq.Again:
        pass
    got, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and b"overheard" not in got:
        if heard.poll(100):
            got += b"".join(heard.recv_multipart())
    context.destroy(0)
    return b"overheard" in got
"""


def test_a_neighbours_kernel_neither_obeys_nor_is_overheard(hub, expert, analyst):
    analyst.run("print('a kernel')")
    runtime = hub.settings.home / "homes/analyst-lee/.local/share/jupyter/runtime"
    file = runtime / f"kernel-{analyst.kernel}.json"
    told = json.loads(file.read_text())
    assert told["transport"] == "ipc"  # no port, which another would be given before the kernel is there
    assert expert.run(f"open({str(file)!r})") == "PermissionError"
    expert.run(LISTEN)
    ports = {name: told[name] for name in ("ip", "iopub_port", "shell_port")}
    # Somebody works in it all the while, so that there is something to hear.
    work = (
        "import threading, time\ndef speak():\n    for _ in range(30): print('overheard'); time.sleep(0.1)\n"
    )
    analyst.run(work + "threading.Thread(target=speak).start()")
    assert expert.run(f"print(listen({ports!r}))") == "False"
    assert expert.run(f"print(listen({ports!r} | {{'key': {told['key']!r}}}))") == "False"
    assert expert.run(f"print(listen({told!r}))") == "True"


def test_the_proxys_own_port_takes_orders_from_the_hub_alone(hub, expert):
    port = hub.settings.proxy_api_port
    url = f"http://127.0.0.1:{port}/api/routes"
    seen = (
        "import os, urllib.request, urllib.error\n"
        f"for headers in ({{}}, {{'Authorization': 'token ' + os.environ['JUPYTERHUB_API_TOKEN']}}):\n"
        f"    try:\n        print(urllib.request.urlopen(urllib.request.Request({url!r}, headers=headers)).status)\n"
        "    except urllib.error.HTTPError as refusal:\n        print(refusal.code)"
    )
    assert expert.run(seen).split() == ["403", "403"]
    assert status_of(url, home.read_token(hub.settings, "proxy")) == 200


def test_of_the_hubs_own_files_a_seat_reads_none(hub, expert):
    base = hub.settings.home
    files = [
        "hub/jupyterhub.sqlite",
        "hub/workspace.sqlite",
        "hub/cookie_secret",
        "hub/proxy.token",
        "logs/hub.log",
    ]
    for file in [base / name for name in files]:
        assert file.is_file() and file.stat().st_size > 0
        assert expert.run(f"open({str(file)!r}, 'rb')") == "PermissionError", file
    assert expert.run(f"import os; os.listdir({str(base)!r})") == "PermissionError"
    assert expert.run("print(len(os.listdir(os.path.expanduser('~'))) > 0)") == "True"
