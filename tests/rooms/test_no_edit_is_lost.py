"""Several people in one notebook, and what may go wrong meanwhile: nothing of it loses or doubles what they wrote."""

import os
import re
import sqlite3
import time
import urllib.parse
import zlib

import pytest


def until(hold, seconds=15):
    end = time.monotonic() + seconds
    while not hold():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def pair(room, request):
    """A notebook of this test's own, and two people in it."""
    path = f"{request.node.name}.ipynb"
    room.write(path, "a = 1", "b = 2")
    people = room.typist(path), room.typist(path)
    yield path, *people
    for one in people:
        one.sleep()


def test_what_one_types_the_other_sees_and_the_file_has_it_a_second_later(room, pair):
    path, han, lee = pair
    han.type(" + 1")
    lee.type(" + 2", cell=1)
    for one in (han, lee):
        one.until(lambda one=one: one.sources == ["a = 1 + 1", "b = 2 + 2"])
    until(lambda: room.read(path) == ["a = 1 + 1", "b = 2 + 2"], 5)


def test_who_slept_comes_back_and_both_hers_and_theirs_is_there_once(room, pair):
    path, han, lee = pair
    lee.sleep()
    han.type(" + 1")
    lee.type(" + 2", cell=1, away=True)
    until(lambda: room.read(path)[:1] == ["a = 1 + 1"], 5)
    lee.connect()
    for one in (han, lee):
        one.until(lambda one=one: one.sources == ["a = 1 + 1", "b = 2 + 2"])
    until(lambda: room.read(path) == ["a = 1 + 1", "b = 2 + 2"], 5)


FORGOTTEN = "Deleting Y document from memory"


def left_alone(room, last):
    before = room.log().count("Cleaning room")
    last.sleep()
    time.sleep(0.2)
    if room.log().count("Cleaning room") > before:
        return True
    last.connect()
    return False


def test_who_slept_until_the_room_had_forgotten_the_document_comes_back_to_each_cell_once(room, pair):
    path, han, lee = pair
    han.type(" + 1")
    lee.until(lambda: lee.sources[0] == "a = 1 + 1")
    until(lambda: room.read(path)[:1] == ["a = 1 + 1"], 5)
    forgotten = room.log().count(FORGOTTEN)
    han.sleep()
    # It is forgotten once the last one leaves, and only if the server has noticed by then that she is the last.
    until(lambda: left_alone(room, lee))
    until(lambda: room.log().count(FORGOTTEN) > forgotten)
    lee.type(" + 2", cell=1, away=True)
    lee.connect()
    lee.until(lambda: lee.sources == ["a = 1 + 1", "b = 2 + 2"])
    han.connect()
    han.until(lambda: han.sources == ["a = 1 + 1", "b = 2 + 2"])
    until(lambda: room.read(path) == ["a = 1 + 1", "b = 2 + 2"], 5)


def test_a_killed_server_comes_back_with_what_was_typed_until_then_and_meanwhile(room, pair):
    path, han, lee = pair
    han.type(" + 1")
    lee.until(lambda: lee.sources[0] == "a = 1 + 1")
    assert room.read(path) == ["a = 1", "b = 2"], "in the second before the file is written"
    room.kill()
    lee.type(" + 2", cell=1, away=True)
    room.start()
    for one in (han, lee):
        one.base = room.base
        one.connect()
    for one in (han, lee):
        one.until(lambda one=one: one.sources == ["a = 1 + 1", "b = 2 + 2"])
    until(lambda: room.read(path) == ["a = 1 + 1", "b = 2 + 2"], 5)


def test_a_file_that_was_put_in_place_while_nobody_looked_wins_over_the_store(room, pair):
    """However old its content is: `mv` keeps a file's date."""
    path, han, lee = pair
    room.write("backup.ipynb", "a = 'from last week'")
    os.utime(room.folder / "backup.ipynb", (1, 1))
    han.type(" + 1")
    until(lambda: room.read(path)[:1] == ["a = 1 + 1"], 5)
    forgotten = room.log().count(FORGOTTEN)
    han.sleep()
    until(lambda: left_alone(room, lee))
    until(lambda: room.log().count(FORGOTTEN) > forgotten)
    (room.folder / "backup.ipynb").rename(room.folder / path)
    other = room.typist(path)
    other.until(lambda: other.sources == ["a = 'from last week'"])
    other.sleep()
    assert room.read(path) == ["a = 'from last week'"]


def versions(room, path):
    page = room.ask("GET", f"civic/restore?path={urllib.parse.quote(path)}&lang=en").decode()
    return [int(found) for found in re.findall(r'name="version" value="(\d+)"', page)]


def test_what_another_program_writes_is_seen_by_all_and_what_it_replaced_is_kept(room, pair):
    path, han, lee = pair
    until(lambda: "Watching" in room.log())
    han.type(" + 'typed in the last second'")
    lee.until(lambda: "typed" in lee.sources[0])
    room.write(path, "a = 'written by a program'")
    for one in (han, lee):
        one.until(lambda one=one: one.sources == ["a = 'written by a program'"])
    until(lambda: room.read(path) == ["a = 'written by a program'"], 5)
    assert versions(room, path), "the restore page offers it"
    history = sqlite3.connect(room.folder / ".civic" / "history.sqlite")
    contents = [zlib.decompress(row[0]).decode() for row in history.execute("SELECT data FROM content")]
    history.close()
    assert any("typed in the last second" in content for content in contents)


def test_a_notebook_that_a_run_has_written_is_seen_and_never_changed(room, request):
    """Papermill's output belongs to another user: two writers of one notebook is how hubs lose work."""
    path, other = f"{request.node.name}.ipynb", f"{request.node.name}-control.ipynb"
    for file in (path, other):
        room.write(file, "a = 'as it was run'")
    (room.folder / path).chmod(0o444)
    before = (room.folder / path).read_bytes()
    for file in (path, other):
        han, lee = room.typist(file), room.typist(file)
        han.type(" + 'afterwards'")
        lee.until(lambda lee=lee: "afterwards" in lee.sources[0])
        han.save()
        han.sleep()
        lee.sleep()
    until(lambda: room.read(other) == ["a = 'as it was run' + 'afterwards'"], 5)  # the control
    assert (room.folder / path).read_bytes() == before
