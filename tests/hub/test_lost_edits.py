"""A notebook's earlier content comes back: from a real seat and a real room, over HTTP and in a real browser."""

import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.hub.seat import Seat

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root"),
]


@pytest.fixture(scope="module")
def seat(hub):
    return Seat(hub.url, hub.secrets["analyst-lee"])


KERNEL = {"name": "civic", "display_name": "Civic (Python)", "language": "python"}


def notebook(*sources):
    cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {},
            "source": s,
            "outputs": [],
            "execution_count": None,
        }
        for n, s in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


def save(seat, path, *sources):
    seat._open("PUT", f"api/contents/{path}", {"type": "notebook", "content": notebook(*sources)})


def sources(seat, path):
    return [cell["source"] for cell in seat.get(f"api/contents/{path}")["content"]["cells"]]


def versions(seat, path):
    page = seat.page(f"civic/restore?path={urllib.parse.quote(path)}&lang=en")
    return [int(found) for found in re.findall(r'name="version" value="(\d+)"', page)]


def put_back(seat, version):
    body = urllib.parse.urlencode({"version": version, "lang": "en"}).encode()
    address = f"{seat.url}/user/{seat.owner}/civic/restore"
    asked = urllib.request.Request(address, body, {"Authorization": f"token {seat.token}"})
    with urllib.request.urlopen(asked) as answer:
        return answer.read().decode()


def test_what_was_saved_before_comes_back_and_putting_it_back_can_be_undone(hub, seat):
    save(seat, "lost.ipynb", "the good one")
    save(seat, "lost.ipynb", "the bad one")
    page = put_back(seat, versions(seat, "lost.ipynb")[0])
    assert sources(seat, "lost.ipynb") == ["the good one"]
    undo = int(re.search(r'class="done".*?value="(\d+)"', page, re.S)[1])
    put_back(seat, undo)
    assert sources(seat, "lost.ipynb") == ["the bad one"]


def test_a_deleted_notebook_comes_back_with_its_folder(seat):
    seat._open("PUT", "api/contents/mine", {"type": "directory"})
    save(seat, "mine/gone.ipynb", "do not lose me")
    seat._open("DELETE", "api/contents/mine/gone.ipynb")
    seat._open("DELETE", "api/contents/mine")
    assert "mine/gone.ipynb" in seat.page("civic/restore")
    [kept] = versions(seat, "mine/gone.ipynb")
    put_back(seat, kept)
    assert sources(seat, "mine/gone.ipynb") == ["do not lose me"]


def test_what_another_program_wrote_is_kept_before_it_is_saved_over(hub, seat):
    save(seat, "twice.ipynb", "mine")
    other = json.dumps(notebook("of a program"))
    seat.run(f"open('twice.ipynb', 'w').write({other!r})")
    save(seat, "twice.ipynb", "mine again")
    put_back(seat, versions(seat, "twice.ipynb")[0])
    assert sources(seat, "twice.ipynb") == ["of a program"]


@pytest.mark.browser
def test_from_jupyterlab_a_lost_cell_is_back_after_three_presses(hub, seat, signed_in, look):
    save(seat, "work.ipynb", "what = 'I wrote for an hour'")
    save(seat, "work.ipynb", "")
    page = signed_in("analyst-lee", "en-US")
    foreign = []
    page.context.on("request", lambda r: None if r.url.startswith(hub.url) else foreign.append(r.url))
    page.goto(f"{hub.url}/user/analyst-lee/lab/tree/work.ipynb?reset")
    button = page.get_by_role("button", name="Earlier versions")
    button.wait_for(timeout=60_000)
    look(page, "lab-buttons", ours=False)
    with page.expect_popup() as opened:
        button.click()
    restore = opened.value
    restore.get_by_role("heading", level=1).wait_for()
    look(restore, "restore")
    restore.get_by_role("link", name="Look at the version of").last.click()
    assert "I wrote for an hour" in restore.locator("pre").inner_text()
    restore.get_by_role("button", name="Put back").click()
    restore.get_by_role("button", name="Undo").wait_for()
    # JupyterLab in the other tab shows it without a question.
    page.locator(".jp-NotebookPanel .cm-content").get_by_text("I wrote for an hour").wait_for(timeout=15_000)
    look(restore, "restored")
    restore.goto(f"{hub.url}/user/analyst-lee/civic/restore?lang=ko")
    look(restore, "restore-notebooks-ko")
    restore.goto(f"{hub.url}/user/analyst-lee/civic/restore?lang=ko&path=work.ipynb")
    look(restore, "restore-ko")
    assert [a for a in foreign if not a.startswith(("data:", "blob:"))] == []
    page.context.close()


@pytest.mark.browser
def test_what_is_put_back_in_a_room_shows_at_once_to_whoever_writes_in_it(hub, signed_in):
    room = Seat(hub.url, hub.secrets["expert-han"], owner="room-01")
    save(room, "ours.ipynb", "agreed = True")
    page = signed_in("expert-han", "en-US")
    address = f"{hub.url}/user/room-01/lab/tree/ours.ipynb"
    page.goto(address)
    if "oauth2/authorize" in page.url:
        page.get_by_role("button").first.click()
    page.wait_for_url(lambda url: "/user/room-01/lab" in url, timeout=60_000)
    page.goto(f"{address}?reset")
    cell = page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first
    cell.get_by_text("agreed").wait_for(timeout=60_000)
    cell.click()
    cell.fill("overwritten = 'in a hurry'")
    # The room itself saves what is typed, after a second without typing.
    deadline = time.monotonic() + 30
    while sources(room, "ours.ipynb") != ["overwritten = 'in a hurry'"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    put_back(room, versions(room, "ours.ipynb")[-1])
    cell.get_by_text("agreed").wait_for(timeout=15_000)
    assert sources(room, "ours.ipynb") == ["agreed = True"]
    assert room.run("import os; print(oct(os.stat('.civic/history.sqlite').st_mode & 0o777))") == "0o600"
    page.context.close()
