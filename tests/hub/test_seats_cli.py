"""`civic seats …` beside a workspace that need not run."""

import json
import re
import time

import pytest
from click.testing import CliRunner

from hub_config import home
from hub_config.members.people import open_people
from hub_config.workshop.cards import CardRefused, open_cards
from hub_config.workshop.seats_cli import seats
from hub_config.workshop.workshops import open_workshops


@pytest.fixture
def civic(settings, folder):
    home.prepare(settings)
    people = open_people(settings)
    people.add_team("bike", "자전거 모임", "Bike group")
    people.close()

    def run(*words, code=0, as_json=True):
        words = [*words, "--json"] if as_json else words
        done = CliRunner().invoke(seats, words, env={**settings.environment(), "CIVIC_LANGUAGE": "ko"})
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout) if as_json else done.output

    return run


def printed(path):
    return re.findall(r'class="code">([0-9A-Z-]+)<', path.read_text("utf-8"))


def test_the_command_of_the_issue_gives_a_sheet_that_only_its_owner_can_read(civic, settings, folder):
    sheet = folder / "cards.html"
    words = ("--workshop", "Bike lanes, Mapo", "--team", "bike", "--seats", "30", "--until", "tomorrow")
    made = civic("print", *words, "--out", str(sheet))
    assert made == {"workshop": "bike-lanes-mapo", "made": True, "seats": 30, "sheet": str(sheet)}
    assert sheet.stat().st_mode & 0o777 == 0o600
    document = sheet.read_text("utf-8")
    assert len(set(printed(sheet))) == 30 and document.count("<svg") == 30 and 'lang="ko"' in document
    # It prints without the workspace: nothing in it is fetched.
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", document) and "@import" not in document
    cards = open_cards(settings)
    assert {cards.seat_for(code) for code in printed(sheet)} == {
        f"seat-bike-lanes-mapo-{number:02d}" for number in range(1, 31)
    }
    cards.close()
    assert "자리 30개" in civic("list", as_json=False)
    # Cards for this machine alone would be found out in the morning.
    again = civic("print", *words, "--out", str(sheet), as_json=False)
    assert "이미 열려" in again and "이 컴퓨터에서만" in again and len(set(printed(sheet))) == 30


def test_a_lost_card_an_extension_and_the_end(civic, settings, folder):
    first, second = folder / "first.html", folder / "second.html"
    civic("print", "--workshop", "Lost", "--team", "bike", "--seats", "2", "--out", str(first))
    civic("card", "seat-lost-01", "--out", str(second))
    cards = open_cards(settings)
    with pytest.raises(CardRefused, match="revoked"):
        cards.seat_for(printed(first)[0])
    assert cards.seat_for(printed(second)[0]) == "seat-lost-01"
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 9 * 3600 + 3 * 86_400))
    assert civic("extend", "lost", "--until", until)["ends_at"] > time.time() + 2 * 86_400
    civic("end", "lost")
    with pytest.raises(CardRefused, match="ended"):
        cards.seat_for(printed(first)[1])
    cards.close()
    assert civic("extend", "lost", "--until", until, code=5)["code"] == "workshop_refused"
    assert civic("end", "nowhere", code=5)["message"] == "그런 워크숍이 없습니다."
    assert civic("card", "facilitator", code=5)["code"] == "workshop_refused"


def test_a_notebook_of_ones_own_is_kept_for_every_seat_and_another_is_refused(civic, settings, folder):
    own = folder / "내 공책.ipynb"
    own.write_text("{}", "utf-8")
    words = ("print", "--workshop", "Own", "--team", "bike", "--seats", "1", "--out", str(folder / "c.html"))
    civic(*words, "--notebook", str(own))
    kept = home.workshop_notebook(settings, "own", "내 공책.ipynb")
    assert kept is not None and kept.read_text("utf-8") == "{}" and kept.stat().st_mode & 0o777 == 0o644
    for wrong in ("nothing.ipynb", str(folder), "/etc/passwd"):
        words = ("print", "--workshop", "Wrong", "--team", "bike", "--notebook", wrong)
        assert civic(*words, code=5)["code"] == "workshop_refused"
    assert civic("print", "--workshop", "W", "--team", "nobody", code=5)["code"] == "person_refused"


def test_homes_are_removed_only_past_their_date_and_only_when_told(civic, settings, folder):
    civic("print", "--workshop", "Old", "--team", "bike", "--seats", "1", "--out", str(folder / "c.html"))
    homes = settings.home / "homes"
    for name in ("seat-old-01", ".seat-old-01.1700000000", "seat-old-010", "expert"):
        (homes / name).mkdir()
    assert civic("clear", "--yes") == {"homes": [], "removed": True}
    later = open_workshops(settings, lambda: time.time() + 60 * 86_400)
    assert later.past() == ["seat-old-01"]
    later.close()
    workshops = open_workshops(settings)
    with workshops._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workspace_workshops SET ends_at = 1, homes_until = 2")
    workshops.close()
    expected = ["seat-old-01", ".seat-old-01.1700000000"]
    assert civic("clear") == {"homes": expected, "removed": False} and (homes / "seat-old-01").exists()
    assert civic("clear", "--yes") == {"homes": expected, "removed": True}
    assert sorted(path.name for path in homes.iterdir()) == ["expert", "seat-old-010"]


def test_a_check_without_a_running_workspace_is_red_and_says_what_to_do(civic, settings, folder):
    sheet = str(folder / "c.html")
    civic("print", "--workshop", "Early", "--team", "bike", "--seats", "101", "--out", sheet)
    found = {line["what"]: line for line in civic("check", "early", code=9)["findings"]}
    assert found["cards"]["good"] and "101" in found["cards"]["says"]
    assert not found["places"]["good"] and "CIVIC_MOST_SEATS" in found["places"]["says"]
    assert not found["address"]["good"] and "답하지 않습니다" in found["address"]["says"]
    assert not found["seat"]["good"]
    assert civic("check", "nowhere", code=5)["code"] == "workshop_refused"
