"""Teams while everybody works: what stewards and the command line change, and what it changes for whom."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest
import websocket
from playwright.sync_api import expect

from hub_config import db, home
from hub_config.client import Session
from hub_config.errors import PersonRefused, SignInRefused
from hub_config.members.people import People
from hub_config.members.teams import CONSOLE, Teams
from hub_config.roles import SLOTS
from hub_config.rooms.results import give
from hub_config.settings import PYTHON
from hub_config.texts import text
from tests.hub.waiting import wait_for


@pytest.fixture
def tables(settings):
    home.prepare(settings)
    engine = db.open_database(settings)
    people = People(engine, settings)
    people.add_person("kim", display_ko="김", display_en="Kim", roles=["expert"])
    yield Teams(engine, settings, lambda: 1_000_000), people
    engine.dispose()


def test_a_member_may_enter_the_room_and_an_observer_only_look(tables):
    teams, people = tables
    assert teams.make("river", "강 모임", "River group", by="gu") == "room-01"
    teams.put("river", "kim", "member", by="gu")
    assert people.account("kim").groups == ["role-expert", "team-river", "slot-01"]
    teams.put("river", "kim", "observer", by="gu")
    account = people.account("kim")
    assert account.groups == ["role-expert"] and account.watches == ("river",) and account.rooms == ()
    teams.remove("river", "kim", by="gu")
    assert people.account("kim").watches == ()


def test_every_change_is_kept_with_who_made_it(tables):
    teams, _ = tables
    teams.make("river", "강 모임", "River group", by="gu")
    teams.rename("river", "큰강 모임", "Big river", by="cso")
    assert teams.put("river", "kim", "member", by="gu")
    assert not teams.put("river", "kim", "member", by="gu"), "what changes nothing is no change"
    teams.remove("river", "kim", by=CONSOLE)
    told = [(c.by, c.what, c.subject, c.team) for c in teams.changes()]
    assert told == [
        ("gu", "made", "river", "river"),
        ("cso", "renamed", "river", "river"),
        ("gu", "member", "kim", "river"),
        (CONSOLE, "removed", "kim", "river"),
    ]
    assert [c.what for c in teams.changes(newest=1)] == ["removed"]
    assert teams.find("river").title("ko") == "큰강 모임"


@pytest.mark.parametrize(
    ("slug", "title", "reason"),
    [
        ("River", "강", "name_malformed"),
        ("../vault", "강", "name_malformed"),
        ("lake", "  ", "title_malformed"),
        ("lake", "가" * 81, "title_malformed"),
        ("lake", "강\u202e모임", "title_malformed"),
        ("river", "강", "name_taken"),
    ],
)
def test_a_refused_team_leaves_nothing_behind(tables, slug, title, reason):
    teams, _ = tables
    teams.make("river", "강 모임", "River group", by="gu")
    with pytest.raises(PersonRefused) as refused:
        teams.make(slug, title, "Lake", by="gu")
    assert refused.value.facts["reason"] == reason
    assert len(teams.all()) == len(teams.changes()) == 1


def test_a_room_is_no_person_and_nobody_leaves_a_team_she_is_not_in(tables):
    teams, _ = tables
    teams.make("river", "강 모임", "River group", by="gu")
    for person, reason in (("room-01", "unknown"), ("nobody-here", "unknown"), ("kim", "not_in_team")):
        with pytest.raises(PersonRefused) as refused:
            teams.remove("river", person, by="gu")
        assert refused.value.facts["reason"] == reason
    with pytest.raises(PersonRefused):
        teams.put("river", "room-01", "member", by="gu")


def test_the_forty_first_team_is_refused_and_none_gets_a_used_room(tables):
    teams, _ = tables
    rooms = [teams.make(f"team{n}", "팀", "Team", by="gu") for n in range(len(SLOTS))]
    assert rooms == list(SLOTS)
    with pytest.raises(PersonRefused) as refused:
        teams.make("one-more", "팀", "Team", by="gu")
    assert refused.value.facts["reason"] == "rooms_used_up"


def test_a_run_given_to_a_room_is_there_to_be_read_and_cannot_be_changed_there(tables, settings, tmp_path):
    teams, people = tables
    room = people.account(teams.make("river", "강 모임", "River group", by="gu"))
    run = tmp_path / "bike.ipynb"
    run.write_text("{}")
    assert [give(settings, room, run) for _ in range(2)] == ["results/bike.ipynb", "results/bike-2.ipynb"]
    folder = settings.home / "rooms" / "room-01"
    assert sorted(f.name for f in (folder / "results").iterdir()) == ["bike-2.ipynb", "bike.ipynb"]
    assert (folder / "results/bike.ipynb").stat().st_mode & 0o777 == 0o444
    try_all = (
        "import os\nfor act in (lambda: open('results/bike.ipynb').read(), lambda: open('results/bike.ipynb', 'a'),"
        " lambda: os.remove('results/bike.ipynb'), lambda: os.rename('examples', 'results/x')):\n"
        "    try:\n        act(); print('done')\n    except OSError as e: print(type(e).__name__)"
    )
    if settings.is_root:
        as_room = {"user": room.uid, "group": room.uid, "extra_groups": []}
        done = subprocess.run([PYTHON, "-c", try_all], cwd=folder, capture_output=True, text=True, **as_room)
        assert done.stdout.split() == ["done", *["PermissionError"] * 3]


@pytest.mark.skipif(os.geteuid() != 0, reason="without root, room and workspace are one user")
def test_a_folder_or_link_of_the_rooms_own_is_not_written_into(tables, settings, tmp_path):
    teams, people = tables
    room = people.account(teams.make("river", "강 모임", "River group", by="gu"))
    run, elsewhere = tmp_path / "bike.ipynb", tmp_path / "elsewhere"
    run.write_text("{}")
    elsewhere.mkdir()
    folder = home.make_home(settings, "room-01", room.uid, is_room=True)
    results = folder / "results"

    def refused():
        with pytest.raises(PersonRefused) as refusal:
            give(settings, room, run)
        return refusal.value.facts["reason"] == "results_taken"

    results.symlink_to(elsewhere)
    assert refused() and not list(elsewhere.iterdir())
    results.unlink()
    results.mkdir()
    os.chown(results, room.uid, room.uid)
    assert refused() and not list(results.iterdir())


# -------------------------------------------------------------------------------------- with a running Hub


def civic(hub, *words):
    """`civic team …` as whoever runs the machine; its JSON document."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ".", **hub.settings.environment()}
    code = "from hub_config.members.teams_cli import team; team()"
    command = [PYTHON, "-c", code, *words, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout)


def groups(session):
    return sorted(session.api("GET", "user")["groups"])


@pytest.mark.hub
@pytest.mark.slow
def test_a_team_made_at_the_command_line_works_at_once_and_its_rights_end_at_once(hub):
    session = Session(hub.url, hub.secrets["outsider-yun"])
    with pytest.raises(SignInRefused):
        session.token(["access:servers!user=room-02"], lifetime_s=60, note="test")
    code, made = civic(hub, "add", "lake", "--ko", "호수 모임", "--en", "Lake group")
    assert (code, made) == (0, {"done": "made", "team": "lake", "room": "room-02"})
    civic(hub, "member", "lake", "outsider-yun")
    wait_for(lambda: "slot-02" in groups(session), 3)
    # The room is somebody's now: its own groups say whose, before anybody opens it.
    session.api("POST", "users/room-02/server", {})
    wait_for(lambda: session.api("GET", "users/room-02")["servers"].get("", {}).get("ready"), 60)
    token = session.token(["access:servers!user=room-02"], lifetime_s=600, note="test")

    def enters():
        request = urllib.request.Request(
            f"{hub.url}/user/room-02/api/contents", headers={"Authorization": f"token {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except urllib.error.HTTPError as refusal:
            refusal.close()
            assert refusal.code == 403
            return False

    assert enters()
    code, warned = civic(hub, "remove", "lake", "outsider-yun")
    assert code == 0 and warned["done"] == "nothing" and "Outsider-Yun" in warned["would"]
    assert enters() and "slot-02" in groups(session), "nothing changes before --yes"
    address = hub.url.replace("http:", "ws:")
    events = websocket.create_connection(
        f"{address}/user/room-02/api/events/subscribe", header=[f"Authorization: token {token}"], timeout=10
    )
    assert civic(hub, "remove", "lake", "outsider-yun", "--yes")[1]["done"] == "removed"
    wait_for(lambda: "slot-02" not in groups(session), 3)
    with pytest.raises(SignInRefused):
        session.token(["access:servers!user=room-02"], lifetime_s=60, note="test")
    wait_for(lambda: not enters(), 5)  # told: alone, the room's server would believe the Hub for 20 s
    opcode, why = events.recv_data()
    events.shutdown()
    assert (opcode, int.from_bytes(why[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1008)


@pytest.mark.hub
def test_a_verb_that_is_refused_says_so_in_one_sentence(hub):
    code, told = civic(hub, "member", "no-such-team", "expert-han")
    assert code == 5 and told["code"] == "person_refused"


@pytest.mark.hub
@pytest.mark.browser
def test_a_steward_changes_a_team_and_the_other_side_sees_who_did(hub, signed_in, look):
    city = signed_in("city-steward")
    city.goto(f"{hub.url}/hub/teams")
    team = city.get_by_role("region", name="강 모임")
    team.get_by_text(text("ko", "teams.add"), exact=False).first.click()
    team.get_by_label(text("ko", "teams.person")).select_option("outsider-yun")
    team.get_by_role("button", name=text("ko", "teams.add_button"), exact=True).click()
    expect(city.get_by_role("status")).to_have_text(text("ko", "teams.done.put"))
    look(city, "teams")
    outsider = Session(hub.url, hub.secrets["outsider-yun"])
    assert {"team-river", "slot-01"} <= set(groups(outsider)), (
        "at once: the page's own change waits for nothing"
    )

    cso = signed_in("cso-steward", "en-GB")
    cso.goto(f"{hub.url}/hub/teams")
    expect(cso.locator(".changes li").first).to_contain_text("Outsider-Yun a member of")
    expect(cso.locator(".changes li").first).to_contain_text("City-Steward")
    cso.get_by_role("region", name="River group").get_by_role(
        "button", name=text("en", "teams.remove_of", name="Outsider-Yun")
    ).click()
    expect(cso.locator("h1")).to_have_text(text("en", "teams.sure"))
    look(cso, "teams-sure")
    assert "slot-01" in groups(outsider), "not before she has said so once more"
    cso.get_by_role("button", name=text("en", "teams.sure_remove_button")).click()
    expect(cso.get_by_role("status")).to_have_text(text("en", "teams.done.remove"))
    assert not {"team-river", "slot-01"} & set(groups(outsider))


@pytest.mark.hub
@pytest.mark.browser
def test_only_stewards_see_the_page_and_no_other_page_can_read_or_press_it(hub, signed_in):
    expert = signed_in("expert-han")
    assert expert.goto(f"{hub.url}/hub/teams").status == 403
    steward = signed_in("city-steward")
    assert steward.goto(f"{hub.url}/hub/teams").status == 200
    # A script of the same origin without the Hub's headers, as a notebook in a seat could run it.
    steward.goto(f"{hub.url}/services/data/")
    tried = steward.evaluate(
        """async () => {
          const form = new URLSearchParams({do: 'put', team: 'river', person: 'outsider-yun', kind: 'member'});
          const tries = [['/hub/teams', {}], ['/hub/teams', {mode: 'no-cors'}], ['/hub/home', {mode: 'no-cors'}],
            ['/hub/teams', {method: 'POST', body: form}], ['/hub/logo', {}]];
          const found = [];
          for (const [url, how] of tries) found.push((await fetch(url, how)).status);
          return found;
        }"""
    )
    assert tried == [403, 403, 403, 403, 200]  # the last one is the control: what is no page is there for all
    read = "try { window.seen = other.document.body.innerText } catch (fault) { window.seen = null }"
    for address, is_read in (("/hub/teams", False), ("/services/data/", True)):
        with steward.expect_popup() as opened:
            steward.evaluate(f"window.other = window.open('{address}'); null")
        opened.value.wait_for_load_state()
        steward.evaluate(read)
        assert bool(steward.evaluate("seen")) is is_read
        opened.value.close()
