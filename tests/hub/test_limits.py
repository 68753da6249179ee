"""A workspace on a machine without control groups: who takes too much loses it, neighbours go on, and she is told."""

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from hub_config.client import Session, make_link
from hub_config.errors import SignInRefused
from hub_config.limits.watcher import last_ended
from hub_config.starting import running
from hub_config.starting.processes import MAX_PROCESSES
from hub_config.texts import text
from tests.hub.conftest import Running, add_people, make_settings, temporary_folder, write_config
from tests.hub.seat import Seat
from tests.hub.waiting import wait_for

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="limits of a user of one's own need root"),
]


@pytest.fixture(scope="module")
def small():
    """400 MB of memory and 60 MB of storage each, and the watcher to see to it; five seats, of which one at a time may
    start."""
    limits = {
        "CIVIC_SEAT_MEMORY": "400",
        "CIVIC_HOME_QUOTA": "60",
        "CIVIC_CGROUPS": "off",
        "CIVIC_MOST_SEATS": "5",
    }
    with temporary_folder() as folder:
        settings = make_settings(folder / "home", **limits)
        secrets = add_people(settings)
        config = write_config(folder)
        one_at_a_time = "from hub_config.runtime import current_line\ncurrent_line()._at_once = 1\n"
        config.write_text(config.read_text() + one_at_a_time)
        with running.start(settings, print, config=config) as workspace:
            wait_for(lambda: (settings.home / "warm/s").exists())
            yield Running(settings, workspace, secrets)


@pytest.fixture(scope="module")
def neighbour(small):
    seat = Seat(small.url, small.secrets["analyst-lee"])
    seat.run("kept = 41")
    return seat


#: In a process of its own, which is the largest and so what is ended: the kernel goes on and can tell.
HOG = (
    "import subprocess, sys\n"
    "take = 'import time; held = [bytearray(20_000_000) for _ in range({})]; time.sleep(1)'\n"
    "print([subprocess.run([sys.executable, '-c', take.format(n)]).returncode for n in (3, 40)])"
)


def test_a_seat_that_fills_its_memory_loses_its_largest_process_and_reads_why(
    small, neighbour, chromium, look
):
    seat = Seat(small.url, small.secrets["expert-han"])
    assert seat.run(HOG) == "[0, -9]"
    assert neighbour.run("print(kept + 1)") == "42"
    uid = int(seat.run("import os; print(os.getuid())"))
    assert last_ended(small.settings, uid) is not None
    page = chromium.new_page(locale="ko-KR")
    page.goto(make_link(small.url, small.secrets["expert-han"]))
    page.click("#enter")
    expect(page.get_by_role("status").first).to_contain_text("메모리 400 MB를 넘어")
    page.get_by_role("link", name=text("ko", "limits.link")).click()
    expect(page.locator("#holder")).to_have_text(text("ko", "limits.holder.watcher"))
    expect(page.locator("#held")).to_contain_text("MB")
    look(page, "limits")
    page.close()


def test_a_seat_that_starts_processes_without_end_is_stopped_and_its_neighbour_goes_on(small, neighbour):
    seat = Seat(small.url, small.secrets["expert-han"])
    bomb = (
        "import subprocess\nmade = []\ntry:\n    while len(made) < 3000:\n"
        "        made.append(subprocess.Popen(['/bin/sleep', '60']))\n"
        "except OSError:\n    print('stopped', len(made))\n"
        "[one.kill() for one in made]; [one.wait() for one in made]; made.clear()"
    )
    word, count = seat.run(bomb).split()
    assert word == "stopped" and 100 < int(count) < MAX_PROCESSES
    assert neighbour.run("print(kept + 1)") == "42"
    assert seat.run("print('still mine')") == "still mine"


def test_no_file_outgrows_the_storage_and_a_full_home_opens_again_once_room_is_made(small, chromium, look):
    seat = Seat(small.url, small.secrets["outsider-yun"])
    write = "import os\ndef write(name, megabytes):\n    with open(name, 'wb') as file:\n"
    write += "        for _ in range(megabytes): file.write(os.urandom(1_000_000))\n"
    seat.run(write)
    assert seat.run("write('one.bin', 61)") == "OSError"
    seat.run("os.unlink('one.bin'); write('지도.bin', 40); write('two.bin', 30)")
    seat.session.api("DELETE", "users/outsider-yun/server")
    wait_for(lambda: not seat.session.api("GET", "users/outsider-yun")["servers"])
    with pytest.raises(SignInRefused) as refused:
        seat.session.api("POST", "users/outsider-yun/server", {})
    assert refused.value.facts["status"] == 507
    page = chromium.new_page(locale="ko-KR")
    page.goto(make_link(small.url, small.secrets["outsider-yun"]))
    page.click("#enter")
    sentence = text("ko", "limits.full", megabytes=60)
    expect(page.get_by_role("status")).to_have_text(sentence)
    page.click("#start")
    expect(page.locator("h1")).to_have_text(text("ko", "error_page.507"))
    look(page, "storage-full")
    page.get_by_role("link", name=text("ko", "limits.make_room")).click()
    expect(page.locator("#held")).to_contain_text("60 MB")
    page.get_by_label("지도.bin").check()
    page.click("#delete")
    expect(page.get_by_label("지도.bin")).to_have_count(0)
    expect(page.get_by_label("two.bin")).to_have_count(1)
    page.close()
    assert (
        Seat(small.url, small.secrets["outsider-yun"]).run("import os; print(os.path.getsize('two.bin'))")
        == "30000000"
    )


def events_of(session, name):
    """What the waiting page is told of a seat that starts, until it is ready."""
    request = urllib.request.Request(f"{session.url}/hub/api/users/{name}/server/progress")
    request.add_header("X-XSRFToken", session._xsrf())
    request.add_header("Referer", f"{session.url}/hub/home")
    with session._opener.open(request, timeout=60) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                yield json.loads(line.removeprefix(b"data:"))


def test_who_comes_together_with_others_waits_in_line_and_one_too_many_is_told_when_to_come_again(small):
    for name in ("expert-han", "analyst-lee", "outsider-yun"):
        Seat(small.url, small.secrets[name])
    sessions = {
        n: Session(small.url, small.secrets[n]) for n in ("facilitator-mo", "city-steward", "cso-steward")
    }
    with ThreadPoolExecutor() as together:
        started = [
            together.submit(sessions[name].api, "POST", f"users/{name}/server", {})
            for name in ("facilitator-mo", "city-steward")
        ]
        heard = {}
        for name in ("facilitator-mo", "city-steward"):
            heard[name] = together.submit(wait_for, lambda n=name: listen(sessions[n], n))
        told = [future.result() for future in heard.values()]
        [future.result() for future in started]
    waited = [events for events in told if any(event.get("place") == 1 for event in events)]
    assert len(waited) == 1, told  # one started at once, the other was next
    first = next(event for event in waited[0] if event.get("place"))
    assert first["seconds"] >= 1 and str(first["seconds"]) in first["message"]
    assert all(events[-1].get("ready") for events in told)
    with pytest.raises(SignInRefused) as refused:
        sessions["cso-steward"].api("POST", "users/cso-steward/server", {})
    assert refused.value.facts["status"] == 429


def listen(session, name):
    try:
        return list(events_of(session, name))
    except urllib.error.HTTPError as none:
        none.close()
        return []  # nobody asked for it yet


def test_the_page_of_limits_is_for_people_who_are_signed_in_and_their_own_files_alone(small):
    with pytest.raises(urllib.error.HTTPError) as refused:
        request = urllib.request.Request(f"{small.url}/hub/limits", b"file=x", method="POST")
        urllib.request.build_opener(NoRedirect).open(request)
    with refused.value as answer:
        assert answer.code in (302, 403)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
