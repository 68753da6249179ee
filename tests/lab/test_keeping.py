"""When contents are kept, and that keeping them never stands in the way of a save."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from civic_kernel.lab import keeping
from civic_kernel.lab.history import History
from civic_kernel.lab.keeping import MOST, MOST_WITH_OUTPUTS, Keeper


@pytest.fixture
def keeper(tmp_path):
    made = Keeper(History(tmp_path / ".civic/h.sqlite", time.time), tmp_path, logging.getLogger("test"))
    yield made
    made.history.close()


def notebook(source, outputs=()):
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": source, "execution_count": 1}
    return json.dumps({"cells": [{**cell, "outputs": list(outputs)}], "metadata": {}, "nbformat": 4})


def kept(keeper, path="a.ipynb"):
    return [keeper.history.content(version).decode() for version in keeper.history.versions(path)]


def test_what_another_program_writes_is_kept_within_a_minute(keeper, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "EVERY", 0.05)
    file = tmp_path / "a.ipynb"
    file.write_text(notebook("mine"))

    async def story():
        await keeper.told(None, "", {"action": "get", "path": "a.ipynb"})
        looking = asyncio.create_task(keeper.look_every_minute())
        file.write_text(notebook("of a program, and longer"))
        while len(kept(keeper)) < 2:
            await asyncio.sleep(0.02)
        looking.cancel()

    asyncio.run(asyncio.wait_for(story(), 20))
    assert "of a program" in kept(keeper)[0] and "mine" in kept(keeper)[1]


def test_a_large_notebook_is_kept_without_its_outputs_and_one_of_200_megabytes_is_said_not_to_be(
    keeper, tmp_path
):
    file = tmp_path / "a.ipynb"
    file.write_text(notebook("written for an hour", [{"text": "x" * MOST_WITH_OUTPUTS}]))
    keeper.after_save(os_path=str(file))
    [bare] = kept(keeper)
    assert "written for an hour" in bare and len(bare) < 1_000 and not keeper.failed
    with file.open("r+b") as grown:
        grown.truncate(200_000_000)
    assert file.stat().st_size > MOST
    began = time.monotonic()
    keeper.after_save(os_path=str(file))
    assert keeper.failed and time.monotonic() - began < 1 and kept(keeper) == [bare]


def test_neither_a_pipe_nor_a_full_disk_nor_a_place_outside_stops_a_save(keeper, tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")
    keeper.before_save(path="/pipe.ipynb")
    keeper.after_save(os_path="/etc/elsewhere.ipynb")
    assert keeper.history.paths() == []
    (tmp_path / "a.ipynb").write_text(notebook("x"))
    keeper.history.close()  # every use of it raises sqlite3.ProgrammingError now
    keeper.after_save(os_path=str(tmp_path / "a.ipynb"))
    assert keeper.failed


def test_a_server_that_is_killed_while_it_keeps_loses_at_most_the_last_content(tmp_path):
    file = tmp_path / "h.sqlite"
    code = (
        "import itertools, pathlib, sys, time; from civic_kernel.lab.history import History\n"
        "history = History(pathlib.Path(sys.argv[1]), time.time)\n"
        "for n in itertools.count():\n"
        "    history.keep('a.ipynb', b'%d ' % n * 10_000); print(n, flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    told = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    history = History(file, time.time)
    numbers = [int(history.content(v).split()[0]) for v in history.versions("a.ipynb")]
    assert numbers == list(range(len(numbers)))[::-1] and len(numbers) in (told[-1] + 1, told[-1] + 2)
    assert not file.with_suffix(".damaged").exists()
    history.close()
