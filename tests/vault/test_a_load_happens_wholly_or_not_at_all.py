"""Refusals and kill -9 in the middle of a load: the old state is whole, and the next load works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import making
import pytest
from making import CANARY, LINEAGE, dataset, policy, rows_of, trip, write_trips

from data_access.audit.chain import check_chain, read_events
from data_access.errors import CivicError, LoadRefused, LoadValue, PolicyLineageChanged
from data_access.flows.loading import Vault, load, sweep
from data_access.parties import SigningKey
from data_access.vault import find_version
from data_access.vault.records import known_files

ROOT = Path(__file__).resolve().parents[2]


def _state(vault: Vault) -> tuple[Any, ...]:
    """Everything a load may change: rows, events, what the view answers."""
    with vault.database.reading() as connection:
        version = find_version(connection, LINEAGE)
        return version, [event.body for event in read_events(connection)], rows_of(vault, policy(dataset()))


def _files(vault: Vault) -> set[str]:
    return {path.name for path in vault.store.folder.iterdir()} - {".lock"}


def _known(vault: Vault) -> set[str]:
    with vault.database.reading() as connection:
        return known_files(connection)


def _load(vault: Vault, path: Path) -> None:
    load(vault, dataset(), [path], lineage=LINEAGE, policy=policy(dataset()), by="test")


def test_a_load_records_version_view_and_events_together(tmp_path: Path) -> None:
    key = SigningKey.generate()
    vault = making.vault(tmp_path / "state", key)
    _load(vault, write_trips(tmp_path / "a.csv", [trip()]))
    with vault.database.reading() as connection:
        events = read_events(connection)
        version = find_version(connection, LINEAGE)
    vault.database.close()
    check_chain(events, key.public)
    facts = [event.document()["event"] for event in events]
    assert [each["kind"] for each in facts] == ["data_loaded", "view_made"]
    # Public words and hashes: no count, no file, no person.
    assert facts[0]["facts"] == {
        **{"lineage": LINEAGE, "version": 1, "catalog": dataset().hash()},
        **{"whole_until": "2026-10"},
    }
    assert facts[1]["facts"] == {"lineage": LINEAGE, "version": 1, "policy": policy(dataset()).hash()}
    assert version is not None
    assert version.number == 1
    assert _files(vault) == _known(vault)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(path.read_bytes().replace(b",7,", b",seven,")),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes() + b"\xff\xff\n"),
    ],
    ids=["truncated", "value", "empty", "missing", "bytes"],
)
def test_a_refused_file_leaves_the_old_version_and_nothing_else(
    vault: Vault, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    _load(vault, write_trips(tmp_path / "a.csv", [trip(member=f"M{n}") for n in range(5)]))
    before, files = _state(vault), _files(vault)
    # The first file is good: the fault comes after rows have been staged.
    good = write_trips(tmp_path / "b.csv", [trip(member=f"M{n}") for n in range(9)])
    bad = write_trips(tmp_path / "c.csv", [trip()])
    spoil(bad)
    with pytest.raises(LoadRefused):
        load(vault, dataset(), [good, bad], lineage=LINEAGE, policy=policy(dataset()), by="test")
    assert _state(vault) == before
    assert _files(vault) == files
    _load(vault, good)
    assert len(rows_of(vault, policy(dataset()))) == 9


def test_a_refusal_holds_no_value_anywhere_behind_it(vault: Vault, tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(sex=CANARY), trip(minutes=CANARY)])
    with pytest.raises(LoadValue) as caught:
        _load(vault, path)
    current: BaseException | None = caught.value
    while current is not None:
        assert CANARY not in repr(current) + str(current) + repr(vars(current))
        current = current.__cause__ or current.__context__


def test_a_fault_of_the_ledger_leaves_no_version(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event cannot be written, so the row is not either."""
    path = write_trips(tmp_path / "a.csv", [trip()])

    def broken(*_arguments: object) -> None:
        raise CivicError

    monkeypatch.setattr(type(vault.chain), "append", broken)
    with pytest.raises(CivicError):
        _load(vault, path)
    assert _known(vault) == _files(vault) == set()


# The child loads version 2 and kills itself, as -9 from outside would, at the named step.
_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import making
from data_access.flows import loading
from data_access.vault import store, views
from data_access.db import Database

root, step = Path(sys.argv[3]), sys.argv[4]

def die(*_a, **_k):
    os.kill(os.getpid(), signal.SIGKILL)

def dies_after(owner, name, nth=1):
    real, calls = getattr(owner, name), [0]
    def wrapped(*a, **k):
        result = real(*a, **k)
        calls[0] += 1
        if calls[0] == nth:
            die()
        return result
    setattr(owner, name, wrapped)

def progress(stage, fraction):
    if step == f"{stage} {fraction:.1f}":
        die()

match step:
    case "rows staged": dies_after(store, "_insert")
    case "view flushed": dies_after(store, "_flushed_hash", 2)
    case "version recorded": dies_after(loading, "record_version")
    case "file renamed": dies_after(store.VaultStore, "publish")
    case "both renamed": dies_after(store.VaultStore, "publish", 2)

loading.load(
    making.vault(root / "state"), making.dataset(), [root / "b.csv"], lineage=making.LINEAGE,
    policy=making.policy(making.dataset()), by="test", progress=progress,
)
"""


@pytest.mark.parametrize(
    "step",
    [
        "rows staged",
        "rank 1.0",
        "view flushed",
        "version recorded",
        "file renamed",
        "both renamed",
    ],
)
def test_kill_9_leaves_the_old_state_whole_and_the_next_load_works(
    vault: Vault, tmp_path: Path, step: str
) -> None:
    _load(vault, write_trips(tmp_path / "a.csv", [trip(member=f"M{n}") for n in range(5)]))
    before = _state(vault)
    new = write_trips(tmp_path / "b.csv", [trip(member=f"{CANARY}{n}", sex=CANARY) for n in range(300)])
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(ROOT), str(Path(__file__).parent), str(tmp_path), step],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert _state(vault) == before
    for path in vault.store.folder.rglob("*"):
        assert path.is_dir() or CANARY.encode("utf-8") not in path.read_bytes()
    assert _files(vault) > _known(vault)
    assert sweep(vault) > 0
    assert _files(vault) == _known(vault)
    assert _state(vault) == before
    _load(vault, new)
    assert len(rows_of(vault, policy(dataset()))) == 300
    assert _files(vault) == _known(vault)


def test_a_database_that_names_no_file_costs_no_data(vault: Vault, tmp_path: Path) -> None:
    """A slip in a setting leads to an empty database; the sweep at the next start must not follow it."""
    _load(vault, write_trips(tmp_path / "a.csv", [trip()]))
    before = _state(vault)
    (vault.store.folder / ".staged-left").write_bytes(b"unfinished")
    empty = making.vault(tmp_path / "elsewhere")
    assert sweep(replace(empty, store=vault.store)) == 1
    empty.database.close()
    assert _state(vault) == before


def test_a_lineage_belongs_to_one_dataset(vault: Vault, tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip()])
    _load(vault, path)
    other = dataset().model_copy(update={"id": "others"})
    with pytest.raises(PolicyLineageChanged):
        load(vault, other, [path], lineage=LINEAGE, policy=None, by="test")
    with pytest.raises(PolicyLineageChanged):
        load(vault, dataset(), [path], lineage="another", policy=policy(dataset()), by="test")


def test_two_loads_at_once_become_two_versions(vault: Vault, tmp_path: Path) -> None:
    """One waits for the other; neither sweeps what the other is writing."""
    path = write_trips(tmp_path / "a.csv", [trip()])
    faults: list[BaseException] = []

    def run() -> None:
        try:
            _load(vault, path)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    with vault.database.reading() as connection:
        version = find_version(connection, LINEAGE)
    assert version is not None
    assert version.number == 3
    assert len(_files(vault)) == 6
