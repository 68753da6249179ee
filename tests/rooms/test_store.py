"""The store of shared documents: bounded, and right after it has been pressed together."""

import asyncio
import time
from types import SimpleNamespace

import pycrdt.store.sqlite
import pytest
from jupyter_server_ydoc.stores import SQLiteYStore
from pycrdt import Doc, Text

from civic_kernel.rooms.store import KEEP, BoundedStore


def typed_into(store_class, file, count, text, clock=None, at=(), anew=False):
    """A document of `count` updates written through the store, and what the store then gives back; with the largest
    file in between, in bytes. `at` moves the clock before the update of that
    number; `anew`: each takes the place of the one before."""

    async def write():
        store = store_class(path="river.ipynb")
        running = asyncio.ensure_future(store.start())
        await store.started.wait()
        await store.db_initialized.wait()
        doc, largest = Doc(), 0
        doc["text"] = shared = Text()
        updates = []
        doc.observe(lambda event: updates.append(event.update))
        await store.write(doc.get_update())
        for number in range(count):
            if number in at:
                clock.ahead += KEEP + 100
            updates.clear()
            if anew:
                shared.clear()
            shared += text
            for update in updates:
                await store.write(update)
            largest = max(largest, file.stat().st_size)
        back = Doc()
        back["text"] = Text()
        await store.apply_updates(back)
        await store.stop()
        await running
        return str(shared), str(back["text"]), largest

    return asyncio.run(write())


@pytest.fixture
def clock(monkeypatch):
    """What the store takes for the time."""
    clock = SimpleNamespace(ahead=0)
    clock.time = lambda: time.time() + clock.ahead
    monkeypatch.setattr(pycrdt.store.sqlite, "time", clock)
    return clock


def of(store, file, **more):
    return type("OfThisTest", (store,), {"db_path": str(file), **more})


def test_a_long_print_loop_leaves_a_bounded_file_and_the_whole_document(tmp_path):
    """An output that is shown anew with each line, as a bar of progress is. A small bound, and few lines; the real ones
    are in docs/figures.md."""
    what = {"count": 100, "text": "a line that a cell has printed, " * 1600, "anew": True}
    file, free = tmp_path / "store.db", tmp_path / "free.db"
    written, back, largest = typed_into(of(BoundedStore, file, cleanup_when_db_size_above=1.5), file, **what)
    assert written == back and len(back) == 1600 * 32
    assert largest < 1_800_000
    *_, unbounded = typed_into(of(SQLiteYStore, free), free, **what)
    assert unbounded > 4_500_000  # the control


def test_after_a_pause_nothing_of_the_document_is_missing(tmp_path, clock):
    file = tmp_path / "store.db"
    written, back, _ = typed_into(of(BoundedStore, file), file, 8, "word ", clock, at=(3, 6))
    assert written == back == "word " * 8


def test_the_librarys_own_store_still_needs_the_mending(tmp_path, clock):
    """Where this fails, pycrdt-store has been mended: BoundedStore's two functions can go."""
    file = tmp_path / "store.db"
    careless = of(SQLiteYStore, file, squash_after_inactivity_of=KEEP, checkpoint_interval=None)
    written, back, _ = typed_into(careless, file, 8, "word ", clock, at=(3, 6))
    assert written != back
