"""Keys, encryption, damage: a wrong key and a changed byte are told apart, and neither yields a row."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from making import CANARY, LINEAGE, dataset, policy, rows_of, trip, write_trips

from data_access.errors import InternalFault, VaultDamaged, VaultKeyWrong
from data_access.flows.loading import Vault, load, make_missing_view
from data_access.vault import Engine, KeyStore, View, find_version, find_view
from data_access.vault.duck import attach, open_connection


@pytest.fixture
def loaded(vault: Vault, tmp_path: Path) -> Vault:
    rows = [trip(sex=CANARY, member=f"{CANARY}-{n}", minutes=str(n % 60)) for n in range(500)]
    path = write_trips(tmp_path / "a.csv", rows)
    of = policy(dataset(), keys={"sex": {"values": [CANARY]}})
    load(vault, dataset(), [path], lineage=LINEAGE, policy=of, by="test")
    return vault


def _view(vault: Vault) -> View:
    of = policy(dataset(), keys={"sex": {"values": [CANARY]}})
    with vault.database.reading() as connection:
        view = find_view(connection, LINEAGE, of.hash())
    assert view is not None
    return view


@pytest.fixture
def engine(loaded: Vault) -> Iterator[Engine]:
    made = Engine(loaded.store.folder, loaded.keys)
    yield made
    made.close()


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = KeyStore(folder).make(LINEAGE)
    assert KeyStore(folder).make(LINEAGE) == keys
    assert KeyStore(folder).make("another") != keys
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 4


def test_two_makers_at_once_agree_on_one_key(tmp_path: Path) -> None:
    found: list[str] = []
    makers = [
        threading.Thread(target=lambda: found.append(KeyStore(tmp_path / "keys").make(LINEAGE).fingerprint))
        for _ in range(8)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_never_shows_in_its_repr(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys").make(LINEAGE)
    shown = repr(keys) + str(keys)
    for secret in (keys.pseudonym, keys.file, keys.rank):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_pseudonyms_are_keyed_by_lineage(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    first = store.make("one").pseudonyms(["M1", "M2", "M1"])
    assert first[0] == first[2] != first[1]
    assert store.make("two").pseudonyms(["M1"]) != first[:1]
    assert all(len(bytes.fromhex(name)) == 16 for name in first)


def test_no_value_stands_in_any_file_of_the_vault(loaded: Vault) -> None:
    needles = [CANARY.encode("utf-8"), CANARY.encode("utf-16-le"), b"2026-09", b"started_at"]
    files = [path for path in loaded.store.folder.rglob("*") if path.is_file()]
    assert len(files) == 3  # data, view, lock
    for path in files:
        content = path.read_bytes()
        assert not any(needle in content for needle in needles)
        assert path.name == ".lock" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_search_above_would_find_an_unencrypted_value(tmp_path: Path) -> None:
    path = tmp_path / "plain.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE data AS SELECT ? AS sex, range FROM range(500)", [CANARY])
    assert CANARY.encode("utf-8") in path.read_bytes()


@pytest.mark.parametrize("ours", [True, False], ids=["vault", "control"])
def test_no_value_stands_in_what_spills_to_disk(tmp_path: Path, ours: bool) -> None:
    """A sort beyond memory spills; the folder is watched meanwhile. Stock DuckDB is the control."""
    scratch = tmp_path / "vault"
    scratch.mkdir()
    if ours:
        connection = open_connection(threads=1, memory="60MB", scratch=scratch)
        attach(connection, tmp_path / "made.duckdb", "made", bytes(32).hex())
    else:
        connection = duckdb.connect(
            config={"threads": 1, "memory_limit": "60MB", "temp_directory": str(scratch)}
        )
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"ATTACH '{tmp_path / 'made.duckdb'}' AS made")
    watched = _Watch(scratch)
    try:
        connection.execute(
            "CREATE TABLE made.data AS SELECT ? || hash(range) AS a FROM range(1_200_000) ORDER BY hash(a)",
            [CANARY],
        )
    finally:
        watched.stop()
        connection.close()
    assert "spill" in watched.kinds
    assert watched.found is not ours


class _Watch:
    def __init__(self, folder: Path) -> None:
        self.found = False
        self.kinds: set[str] = set()
        self._folder = folder
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.is_set():
            for folder, _folders, names in os.walk(self._folder):
                for name in names:
                    try:
                        content = (Path(folder) / name).read_bytes()
                    except OSError:
                        continue
                    if content:
                        self.kinds.add("spill" if name.startswith("duckdb_temp") else "file")
                    self.found |= CANARY.encode("utf-8") in content
            time.sleep(0.05)


def test_a_wrong_key_is_told_and_opens_nothing(loaded: Vault) -> None:
    path = loaded.keys._path(LINEAGE, "file")
    path.write_bytes(bytes(32))
    engine = Engine(loaded.store.folder, loaded.keys)
    with pytest.raises(VaultKeyWrong) as caught, engine.reader(_view(loaded)):
        pass
    assert bytes(32).hex() not in repr(caught.value.__context__) + repr(caught.value.__cause__)
    with pytest.raises(VaultKeyWrong):
        make_missing_view(loaded, dataset(), policy(dataset(), version=2))


@pytest.mark.parametrize("content", [b"", b"short", None])
def test_a_missing_or_cut_key_is_a_wrong_key_and_never_made_anew(
    loaded: Vault, tmp_path: Path, content: bytes | None
) -> None:
    path = loaded.keys._path(LINEAGE, "pseudonym")
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(VaultKeyWrong):
        load(loaded, dataset(), [tmp_path / "a.csv"], lineage=LINEAGE, policy=None, by="test")
    assert path.exists() == (content is not None)


def test_a_foreign_pseudonym_key_refuses_the_next_load(loaded: Vault, tmp_path: Path) -> None:
    loaded.keys._path(LINEAGE, "pseudonym").write_bytes(bytes(32))
    with pytest.raises(VaultKeyWrong):
        load(loaded, dataset(), [tmp_path / "a.csv"], lineage=LINEAGE, policy=None, by="test")
    with vault_versions(loaded) as number:
        assert number == 1


class vault_versions:
    """The number of the newest version."""

    def __init__(self, vault: Vault) -> None:
        self._reading = vault.database.reading()

    def __enter__(self) -> int:
        version = find_version(self._reading.__enter__(), LINEAGE)
        return 0 if version is None else version.number

    def __exit__(self, *error: object) -> None:
        self._reading.__exit__(None, None, None)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_damaged(loaded: Vault, engine: Engine, keep: float) -> None:
    path = loaded.store.path(_view(loaded).file)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(VaultDamaged), engine.reader(_view(loaded)):
        pass


@pytest.mark.parametrize("place", [0, 100, 5000, 14_000, -1])
def test_a_changed_byte_is_damage_even_to_duckdb_alone(loaded: Vault, tmp_path: Path, place: int) -> None:
    """Without the recorded hash, too: the encryption is authenticated."""
    content = bytearray(loaded.store.path(_view(loaded).file).read_bytes())
    content[place] ^= 1
    broken = tmp_path / "broken.duckdb"
    broken.write_bytes(content)
    connection = open_connection(threads=1, memory="200MB", scratch=None)
    try:
        with pytest.raises((VaultDamaged, duckdb.Error)):
            attach(connection, broken, "sealed", loaded.keys.get(LINEAGE).file_hex, read_only=True)
            connection.execute("SELECT * FROM sealed.view").fetchall()
            if place == -1:
                pytest.skip("the last byte lies in a block that the view does not use")
    finally:
        connection.close()


def test_a_missing_file_is_damage(loaded: Vault, engine: Engine) -> None:
    loaded.store.path(_view(loaded).file).unlink()
    with pytest.raises(VaultDamaged), engine.reader(_view(loaded)):
        pass


def test_an_older_file_of_the_same_key_is_damage(loaded: Vault, tmp_path: Path, engine: Engine) -> None:
    old = _view(loaded)
    of = policy(dataset(), keys={"sex": {"values": [CANARY]}})
    load(loaded, dataset(), [tmp_path / "a.csv"], lineage=LINEAGE, policy=of, by="test")
    new = _view(loaded)
    assert new.version == old.version + 1
    loaded.store.path(new.file).write_bytes(loaded.store.path(old.file).read_bytes())
    with pytest.raises(VaultDamaged), engine.reader(new):
        pass


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO sealed.view SELECT * FROM view",
        "DROP TABLE sealed.view",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT * FROM view) TO '/tmp/civic-leak.csv'",
        "ATTACH '/tmp/civic-leak.duckdb' AS x",
        "INSTALL spatial",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT error(any_value(sex)) FROM view",
    ],
)
def test_a_reader_reads_its_view_and_nothing_else(loaded: Vault, engine: Engine, statement: str) -> None:
    with pytest.raises((InternalFault, VaultDamaged)) as caught, engine.reader(_view(loaded)) as reader:
        reader.execute(statement).fetchall()
    behind = caught.value.__context__
    assert CANARY not in repr(behind) + str(behind) + repr(caught.value)


def test_readers_at_once_share_an_open_view(loaded: Vault, engine: Engine) -> None:
    view = _view(loaded)
    counts: list[int] = []

    def count() -> None:
        with engine.reader(view) as reader:
            row = reader.execute("SELECT count(*) FROM view").fetchone()
            assert row is not None
            counts.append(row[0])

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [500] * 8


def test_many_views_can_be_read_in_turn(loaded: Vault, engine: Engine) -> None:
    """More than are kept open, the first again at the end."""
    views = [
        make_missing_view(loaded, dataset(), policy(dataset(), version=number)) for number in range(2, 12)
    ]
    for view in [*views, views[0]]:
        with engine.reader(view) as reader:
            assert reader.execute("SELECT count(*) FROM view").fetchone() == (500,)
    assert len(rows_of(loaded, policy(dataset(), version=2))) == 500
