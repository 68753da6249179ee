"""Earlier contents: what is kept, for how long, and within how many bytes."""

import os
from itertools import pairwise

import pytest

from civic_kernel.lab.history import DAY, HOUR, MINUTE, History


class Clock:
    def __init__(self, at=1_790_000_000):
        self.at = at

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def history(tmp_path, clock):
    made = History(tmp_path / "h.sqlite", clock)
    yield made
    made.close()


def contents(history, path="a.ipynb"):
    return [history.content(version).decode() for version in history.versions(path)]


def test_a_content_comes_back_byte_for_byte_and_the_same_one_is_kept_once(history, clock):
    raw = os.urandom(5_000)
    assert history.keep("a.ipynb", raw)
    clock.at += 60
    assert not history.keep("a.ipynb", raw)
    [version] = history.versions("a.ipynb")
    assert history.content(version) == raw


def test_three_hours_of_saves_keep_all_of_the_last_minutes_and_older_ones_ever_sparser(history, clock):
    start, end = clock.at, 3 * HOUR
    for second in (*range(0, end - 1_500, 30), *range(end - 1_500, end + 1, 5)):
        clock.at = start + second
        history.keep("a.ipynb", b"saved at %d" % second)
    ages = [clock.at - version.taken_at for version in history.versions("a.ipynb")]
    steps = {age: older - age for age, older in pairwise(ages)}
    assert all(step == 5 for age, step in steps.items() if age < 10 * MINUTE - 5)
    assert all(step == 10 for age, step in steps.items() if 10 * MINUTE + 10 < age < 1_480)
    assert all(step == 30 for age, step in steps.items() if 1_510 < age < HOUR - 30)
    assert all(step <= 90 for age, step in steps.items() if age < 2 * HOUR - 90)
    assert all(600 <= step <= 660 for age, step in steps.items() if age > 2 * HOUR + 600)


def test_yesterdays_content_is_still_there_and_so_is_that_of_a_month_ago(history, clock):
    start = clock.at
    for day in (0, 29, 30):
        clock.at = start + day * DAY
        for minute in range(3):
            clock.at += minute * 10
            history.keep("a.ipynb", b"day %d minute %d" % (day, minute))
    kept = contents(history)
    assert kept[0] == "day 30 minute 2"
    assert {text.split(" minute")[0] for text in kept} == {"day 0", "day 29", "day 30"}


def test_bytes_are_bounded_and_every_notebook_keeps_its_newest(tmp_path, clock):
    most = 200_000
    history = History(tmp_path / "small.sqlite", clock, most)
    for number in range(60):
        clock.at += HOUR
        history.keep(f"{number % 3}.ipynb", os.urandom(20_000))
    held = [history.content(v) for path in ("0", "1", "2") for v in history.versions(f"{path}.ipynb")]
    assert 100_000 < sum(map(len, held)) <= most
    assert len(history.paths()) == 3
    assert (tmp_path / "small.sqlite").stat().st_size < 3 * most
    history.close()


def test_a_renamed_notebook_or_folder_keeps_its_history_and_its_neighbour_has_its_own(history):
    history.keep("work/a.ipynb", b"1")
    history.keep("workshop/a.ipynb", b"2")
    history.move("work", "done")
    history.move("done/a.ipynb", "done/b.ipynb")
    assert contents(history, "done/b.ipynb") == ["1"]
    assert contents(history, "workshop/a.ipynb") == ["2"]
    assert contents(history, "work/a.ipynb") == []


def test_a_history_that_somebody_wrote_over_is_begun_anew_and_laid_aside(tmp_path, clock):
    file = tmp_path / "h.sqlite"
    file.write_bytes(b"not a database at all" * 100)
    history = History(file, clock)
    assert history.keep("a.ipynb", b"1")
    assert file.with_suffix(".damaged").is_file()
    assert file.stat().st_mode & 0o777 == 0o600
    history.close()
