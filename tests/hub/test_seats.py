"""From inside real seats: as whom they run, and what they cannot reach."""

import json
import os
import shutil
import subprocess
import sysconfig
import urllib.request
from pathlib import Path

import httpx
import psutil
import pytest

from hub_config import home
from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.members.people import open_people
from hub_config.settings import PREFIX, PYTHON
from tests.hub.conftest import add_people, make_settings, write_config
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


def account(hub, name):
    people = open_people(hub.settings)
    found = people.account(name)
    people.close()
    return found


def test_a_seat_runs_as_its_own_user_in_a_home_that_is_closed_to_others(hub, expert):
    uid = account(hub, "expert-han").uid
    code = "import os, json; print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups(), os.getcwd()]))"
    resuid, resgid, groups, cwd = json.loads(expert.run(code))
    assert resuid == resgid == [uid] * 3
    assert groups == []
    folder = hub.settings.home / "homes" / "expert-han"
    assert Path(cwd) == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_uid == folder.stat().st_gid == uid


def test_a_seat_can_regain_nothing(expert):
    assert expert.run("import os; os.setuid(0)") == "PermissionError"
    status = expert.run("print(open('/proc/self/status').read())")
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status


READ = """
import os
def look(path):
    try:
        return open(path).read() if os.path.isfile(path) else repr(os.listdir(path))
    except OSError as error:
        return type(error).__name__
print(look({path!r}))
"""


def test_a_seat_reads_neither_vault_ledger_keys_hub_nor_another_home(hub, expert, analyst):
    base = hub.settings.home
    planted = []
    for folder, owner in [
        ("vault", home.VAULT_USER),
        ("db", home.VAULT_USER),
        ("keys", home.VAULT_USER),
        ("hub", "root"),
        ("logs", "root"),
        ("homes/analyst-lee", None),
    ]:
        file = base / folder / "planted.txt"
        file.write_text("the secret")
        uid = account(hub, "analyst-lee").uid if owner is None else home.user_ids(owner)[0]
        os.chown(file, uid, -1)
        file.chmod(0o644)  # open by its own mode: it is the folder that must hold
        planted.append(file)
    for file in planted:
        assert expert.run(READ.format(path=str(file))) in ("PermissionError", "FileNotFoundError"), file
        assert expert.run(f"print(open({str(file)!r}).read())") == "PermissionError", file
        assert expert.run(READ.format(path=str(file.parent))) == "PermissionError", file
    for file in [base / "hub" / "workspace.sqlite", base / "reports.token", base / "hub" / "proxy.token"]:
        assert file.is_file()
        assert expert.run(f"open({str(file)!r}, 'rb')") == "PermissionError", file
    assert expert.run(READ.format(path=str(base / "homes"))) == "PermissionError"
    # Positive controls: the same code reads what is there to be read, as the owner.
    assert analyst.run(READ.format(path=str(base / "homes/analyst-lee/planted.txt"))) == "the secret"
    assert all(file.read_text() == "the secret" for file in planted)


def test_a_seat_cannot_look_into_or_signal_the_processes_of_others(hub, expert, analyst):
    supervisor = psutil.Process(hub.workspace.pid)
    uid = account(hub, "expert-han").uid
    others = [p for p in supervisor.children(recursive=True) if p.uids().real != uid]
    assert {p.uids().real for p in others} >= {0, home.user_ids(home.VAULT_USER)[0]}
    pids = [p.pid for p in others]
    assert expert.run(f"[open(f'/proc/{{p}}/environ').read() for p in {pids[:1]}]") == "PermissionError"
    code = (
        "import os\nran = []\n"
        f"for p in {pids}:\n"
        "    for act in (lambda: open(f'/proc/{p}/environ').read(), lambda: os.kill(p, 0)):\n"
        "        try:\n            act(); ran.append(p)\n"
        "        except PermissionError: pass\n"
        "print(ran)"
    )
    assert expert.run(code) == "[]"
    own = [p.pid for p in supervisor.children(recursive=True) if p.uids().real == uid]
    assert len(own) >= 2  # server and kernel
    assert expert.run(f"import os; print([os.kill(p, 0) for p in {own[:2]}])") == "[None, None]"  # control


def test_a_seats_environment_is_the_allow_list_and_nothing_else(expert):
    names = set(json.loads(expert.run("import os, json; print(json.dumps(sorted(os.environ)))")))
    ours = {n for n in names if n.startswith("CIVIC_")}
    assert ours == {"CIVIC_GATEWAY_URL", "CIVIC_LANGUAGE", "CIVIC_PURPOSE", "CIVIC_TEAM", "CIVIC_WARM_SOCKET"}
    assert not {n for n in names if "DATABASE" in n or "CONFIGPROXY" in n}
    assert (
        expert.run("import os; print(os.environ['CIVIC_TEAM'], os.environ['CIVIC_LANGUAGE'])") == "river ko"
    )
    assert expert.run("import getpass, tempfile; print(getpass.getuser())") == "expert-han"
    assert "/homes/expert-han/.tmp" in expert.run("import tempfile; print(tempfile.gettempdir())")


def ask_gateway(hub, token):
    request = urllib.request.Request(f"{hub.url}/services/data/")
    request.add_header("Authorization", f"token {token}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_the_gateway_runs_as_the_vaults_user_and_learns_who_asks_and_for_which_team(hub, expert):
    token = expert.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
    told = ask_gateway(hub, token)
    assert told["uid"] == home.user_ids(home.VAULT_USER)[0]
    assert "CIVIC_HUB_DATABASE_URL" not in told["environment"]
    assert told["asker"]["name"] == "expert-han"
    held = set(told["asker"]["scopes"])
    assert {"custom:civic:ask", "custom:civic:read", "access:services!service=data"} <= held
    assert not {s for s in held if "approve" in s or "load" in s or "release" in s or s.startswith("tokens")}
    assert told["user"]["groups"] == ["role-expert", "slot-01", "team-river"]


def test_the_reports_service_is_known_by_its_own_token(hub):
    told = ask_gateway(hub, home.read_token(hub.settings, "reports"))
    assert told["asker"]["kind"] == "service" and told["asker"]["name"] == "reports"
    assert {"custom:civic:ask", "custom:civic:release"} <= set(told["asker"]["scopes"])


def test_a_seats_token_opens_the_reports_service_and_a_stewards_does_not(hub):
    session = Session(hub.url, hub.secrets["expert-han"])
    token = session.token(
        ["access:services!service=reports", "access:services!service=data", "custom:civic:ask"],
        lifetime_s=60,
        note="test",
    )
    address = hub.settings.workspace_url + "/services/reports"

    def asked(given):
        http = httpx.Client(trust_env=False, timeout=30)
        with http:
            return http.get(f"{address}/v1/reports", headers={"Authorization": f"token {given}"})

    offered = asked(token)
    assert offered.status_code == 200
    assert "bike_routes" in {report["name"] for report in offered.json()["reports"]}
    assert asked("0" * 32).json()["code"] == "not_signed_in"
    steward = Session(hub.url, hub.secrets["city-steward"])
    theirs = steward.token(["access:services!service=data"], lifetime_s=60, note="test")
    assert asked(theirs).json()["code"] == "not_allowed"
    if hub.settings.is_root:
        uid = home.user_ids(home.REPORTS_USER)[0]
        found = [p for p in psutil.process_iter(["cmdline", "uids"]) if is_service(p, hub)]
        assert [process.info["uids"].real for process in found] == [uid]


def is_service(process, hub):
    supervisor = psutil.Process(hub.workspace.pid)
    return (
        "civic_kernel.reports.service" in (process.info["cmdline"] or []) and supervisor in process.parents()
    )


def test_a_steward_holds_her_own_sides_right_and_cannot_ask_for_the_others(hub):
    session = Session(hub.url, hub.secrets["city-steward"])
    token = session.token(
        ["access:services!service=data", "custom:civic:approve:city"], lifetime_s=60, note="test"
    )
    assert "custom:civic:approve:city" in ask_gateway(hub, token)["asker"]["scopes"]
    with pytest.raises(SignInRefused):
        session.token(["custom:civic:approve:cso"], lifetime_s=60, note="test")


def test_koreans_see_korean_and_the_others_english(expert, analyst):
    setting = "lab/api/settings/@jupyterlab/translation-extension:plugin"
    assert "ko_KR" in expert.get(setting)["raw"] + json.dumps(expert.get(setting)["schema"])
    assert "ko_KR" not in json.dumps(analyst.get(setting))
    assert expert.get("lab/api/translations/ko_KR")["data"]


def test_a_forked_kernel_draws_below_the_cell(expert):
    """The template has imported the drawing part for no shell, and the child's shell has to be told of it."""
    assert expert.run("import matplotlib.pyplot as p; p.plot([1, 2]); p.title('따릉이')") == "<image/png>"


def test_co_editing_is_on_in_the_teams_room_and_off_in_a_seat(hub, expert):
    room = Seat(hub.url, hub.secrets["expert-han"], owner="room-01")
    assert '"disableRTC": false' in room.page("lab")
    assert '"disableRTC": true' in expert.page("lab")
    path = hub.settings.home / "rooms" / "room-01"
    assert path.stat().st_uid == hub.settings.uid_base + 10_001
    assert path.stat().st_mode & 0o777 == 0o700


def test_the_other_member_enters_the_room_and_an_outsider_does_not(hub):
    member = Seat(hub.url, hub.secrets["analyst-lee"], owner="room-01")
    assert member.get("api/status")
    outsider = Session(hub.url, hub.secrets["outsider-yun"])
    with pytest.raises(SignInRefused):
        outsider.api("POST", "users/room-01/server", {})
    with pytest.raises(SignInRefused):
        outsider.token(["access:servers!user=room-01"], lifetime_s=60, note="test")


def test_a_rooms_token_may_ask_and_says_whose_room_it_is_but_holds_no_members_right(hub):
    room = Seat(hub.url, hub.secrets["expert-han"], owner="room-01")
    told = ask_gateway(hub, room.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])"))
    assert sorted(told["user"]["groups"]) == ["room-of-river", "rooms"]
    assert "custom:civic:ask" in told["asker"]["scopes"]
    assert not {s for s in told["asker"]["scopes"] if "facilitate" in s or "approve" in s}


def test_who_leads_holds_the_right_in_a_token_of_her_session(hub):
    right = "custom:civic:facilitate"
    tokens = ["access:services!service=data", right]
    own = Session(hub.url, hub.secrets["facilitator-mo"]).token(tokens, lifetime_s=60, note="test")
    assert right in ask_gateway(hub, own)["asker"]["scopes"]
    with pytest.raises(SignInRefused):
        Session(hub.url, hub.secrets["expert-han"]).token(tokens, lifetime_s=60, note="test")


def test_a_seat_starts_from_an_installation_whose_checkout_is_closed(folder):
    """The layout that set-up makes as root: packages, templates and proxy in a prefix that all may read, the
    checkout, from which everything is started, in a folder with mode 0700."""
    checkout, prefix = folder / "closed", folder / "prefix"
    checkout.mkdir(mode=0o700)
    here = Path(__file__).resolve().parents[2]
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", prefix], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(prefix)}))
    (packages / "dependencies.pth").write_text(str(Path(sysconfig.get_path("purelib")).resolve()))
    shutil.copytree(here / "hub_config", packages / "hub_config")
    (prefix / "share/civic").mkdir(parents=True)
    shutil.copytree(here / "templates", prefix / "share/civic/templates")
    for name in ("share/civic/vendor", "share/jupyter", "share/jupyterhub", "bin/configurable-http-proxy"):
        (prefix / name).symlink_to(PREFIX / name)
    settings = make_settings(folder / "home")
    secrets = add_people(settings)
    script = (
        "import sys; from pathlib import Path\n"
        "from hub_config import settings; from hub_config.starting import running\n"
        "running.start(settings.read_settings(), print, config=Path(sys.argv[1]), detach=True)"
    )
    config = write_config(folder)
    config.write_text(config.read_text().replace(str(here), str(packages)))
    environment = {"PATH": os.environ["PATH"], **settings.environment()}
    command = [prefix / "bin/python", "-P", "-c", script, config]
    subprocess.run(command, cwd=checkout, env=environment, check=True, timeout=120)
    try:
        seat = Seat(settings.workspace_url, secrets["expert-han"])
        told = seat.run("import sys, os; print(sys.prefix, os.environ.get('PYTHONPATH'))")
        assert told == f"{prefix} None"
    finally:
        from hub_config.starting.running import find_running

        find_running(settings).stop()
