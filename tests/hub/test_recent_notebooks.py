"""The start page's list of notebooks is read by the Hub, which may read everything, from a home that is not its own."""

import os
import types

import pytest

from hub_config.pages import notebooks
from hub_config.pages.notebooks import recent_notebooks

ACCOUNT = types.SimpleNamespace(name="han", is_room=False)


@pytest.fixture
def home(tmp_path):
    made = tmp_path / "homes" / "han"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def listed(tmp_path):
    settings = types.SimpleNamespace(home=tmp_path)
    return lambda: [one.path for one in recent_notebooks(settings, ACCOUNT)]


def write(path, changed):
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    os.utime(path, (changed, changed))


def test_the_newest_come_first_from_the_home_and_its_folders(home, listed):
    write(home / "첫걸음.ipynb", 100)
    write(home / "examples" / "bike.ipynb", 300)
    write(home / "notes.txt", 400)
    write(home / ".hidden" / "old.ipynb", 500)
    write(home / "examples" / ".bike-checkpoint.ipynb", 500)
    assert listed() == ["examples/bike.ipynb", "첫걸음.ipynb"]


def test_a_name_leads_to_its_notebook(home, tmp_path):
    write(home / "나의 공책 #1?.ipynb", 0)
    (one,) = recent_notebooks(types.SimpleNamespace(home=tmp_path), ACCOUNT)
    assert one.url == "lab/tree/%EB%82%98%EC%9D%98%20%EA%B3%B5%EC%B1%85%20%231%3F.ipynb"
    assert (one.name, one.when) == ("나의 공책 #1?", "1970-01-01 09:00")


def test_no_link_is_followed_out_of_the_home(home, listed, tmp_path):
    secret = tmp_path / "keys"
    write(secret / "secret-of-the-city.ipynb", 100)
    (home / "folder").symlink_to(secret)
    (home / "file.ipynb").symlink_to(secret / "secret-of-the-city.ipynb")
    assert listed() == []
    write(home / "mine.ipynb", 100)
    assert listed() == ["mine.ipynb"]  # the control: the same look finds what is hers
    os.rename(home, tmp_path / "moved")
    home.symlink_to(secret)
    assert listed() == []


def test_what_is_no_notebook_or_no_text_is_passed_over(home, listed):
    os.mkfifo(home / "pipe.ipynb")
    (home / "folder.ipynb").mkdir()
    (home / os.fsdecode(b"\xff.ipynb")).write_text("{}")
    write(home / "line\nbreak.ipynb", 0)
    assert listed() == []


def test_a_folder_of_very_many_files_costs_no_more_than_a_bound(home, listed, monkeypatch):
    monkeypatch.setattr(notebooks, "LOOKED_AT", 3)
    for number in range(9):
        write(home / f"{number}.ipynb", number)
    assert len(listed()) == 3


def test_without_a_home_there_is_nothing(listed):
    assert listed() == []
