"""The team's room with two real browsers in it, and what somebody who may only look can do to it."""

import json
import os
import urllib.error
import urllib.request

import pytest
import websocket
from playwright.sync_api import expect

from hub_config.client import Session
from hub_config.members.people import open_people
from hub_config.members.teams import Teams
from tests.hub.conftest import KOREAN
from tests.hub.notebooks import cells, editor, make_notebook, open_notebook
from tests.hub.seat import Seat
from tests.hub.waiting import wait_for
from tests.rooms.typist import Typist

pytestmark = [pytest.mark.hub, pytest.mark.slow]


@pytest.fixture(scope="module")
def seat(hub):
    return Seat(hub.url, hub.secrets["expert-han"], owner="room-01")


def test_an_observers_update_changes_nothing_and_a_members_does(hub, seat):
    make_notebook(seat, "watched.ipynb", "a = 1")
    people = open_people(hub.settings)
    teams = Teams(people._engine, hub.settings)
    teams.put("river", "outsider-yun", "observer", by="test")
    try:
        base = f"{hub.url}/user/room-01/"
        observer = Session(hub.url, hub.secrets["outsider-yun"])
        own = observer.token(["access:servers!user=outsider-yun"], lifetime_s=60, note="test")
        member = Typist(base, seat.token, "watched.ipynb")
        room = f"json:notebook:{member.session['fileId']}"
        address = base.replace("http:", "ws:") + f"api/collaboration/room/{room}"
        before = cells(seat, "watched.ipynb")
        # With all that an observer can have: a token of her own, the document's name, the session's number.
        for header in ([f"Authorization: token {own}"], [f"Cookie: {cookies(observer)}"], []):
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                websocket.create_connection(
                    f"{address}?sessionId={member.session['sessionId']}", header=header, timeout=10
                )
            assert refused.value.status_code == 403
        with pytest.raises(urllib.error.HTTPError) as refusal:
            Typist(base, own, "watched.ipynb")
        refusal.value.close()
        assert refusal.value.code == 403
        assert cells(seat, "watched.ipynb") == before
        member.type(" + 1")  # the control: the same bytes from a member
        wait_for(lambda: (cells(seat, "watched.ipynb") or before)[0]["source"] == "a = 1 + 1")
        member.sleep()
    finally:
        teams.remove("river", "outsider-yun", by="test")
        people.close()


def cookies(session):
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in session._jar)


@pytest.mark.browser
def test_two_people_write_in_one_notebook_and_see_each_other_by_name(hub, seat, signed_in, look):
    make_notebook(seat, "together.ipynb", "", "print('second')")
    han, lee = signed_in("expert-han"), signed_in("analyst-lee", "en-GB")
    for page in (han, lee):
        open_notebook(page, hub, "room-01", "together.ipynb")
    editor(han, 0).click()
    han.keyboard.type("rides = 9800")
    expect(editor(lee, 0)).to_contain_text("rides = 9800", timeout=15_000)
    expect(lee.locator(".jp-remote-cursor").first).to_be_attached(timeout=15_000)
    editor(lee, 1).click()
    lee.keyboard.press("Control+End")
    lee.keyboard.type("  # and Lee")
    expect(editor(han, 1)).to_contain_text("# and Lee", timeout=15_000)
    expect(editor(han, 0)).to_contain_text("rides = 9800")
    # Names, and not the room's account, stand beside the cursors.
    flag = han.locator(".jp-remote-userFlag-name").first
    expect(flag).to_have_text("Analyst-Lee", timeout=15_000)
    expect(lee.locator(".jp-remote-userFlag-name").first).to_have_text(KOREAN["expert-han"], timeout=15_000)
    look(han, "room-two-people", ours=False)

    editor(han, 0).click()
    han.keyboard.press("Shift+Enter")
    editor(lee, 1).click()
    lee.keyboard.press("Shift+Enter")
    expect(han.locator(".jp-OutputArea-output").first).to_contain_text("second", timeout=60_000)

    def ran_by():
        found = cells(seat, "together.ipynb") or []
        return [cell["metadata"].get("civic", {}).get("ran_by") for cell in found[:2]]

    wait_for(lambda: ran_by() == [KOREAN["expert-han"], "Analyst-Lee"])
    log = hub.settings.home / "rooms" / "room-01" / ".collaboration" / "ran.jsonl"
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    told = [(line["person"], line["cell"]) for line in lines if line["notebook"] == "together.ipynb"]
    # Each presses in a browser of their own: who comes first to the server is not the test's to say.
    assert sorted(told) == [("analyst-lee", "cell-1"), ("expert-han", "cell-0")]
    assert log.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        assert log.stat().st_uid == hub.settings.uid_base + 10_001
