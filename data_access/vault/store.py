"""The encrypted store: a folder of DuckDB files, each written whole under another name and then renamed.

A file that no database row names is an orphan (of a crash between rename and commit, or of a load that was
refused) and is swept; a row that names no file cannot come about, since the rename comes before the commit.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from data_access.catalog import ColumnType, Dataset
from data_access.errors import CivicError, VaultDamaged
from data_access.vault.duck import attach, identifier, lock, open_connection, reason_of
from data_access.vault.keys import LineageKeys, sync_folder

_LOCK = ".lock"
_STAGED, _SCRATCH = ".staged-", ".scratch-"

# Columns of the vault's own in the full table `data`. A catalog name starts with a letter, so none can
# collide.
PERSON, PERIOD, RANK, PLACE = "_person", "_period", "_rank", "_place"


@dataclass(frozen=True)
class Staged:
    """A finished, flushed file under a temporary name; `sha256` is over its encrypted bytes."""

    path: Path
    sha256: str


class VaultStore:
    """`vault/`. `threads` and `memory` (DuckDB's notation) bound each of its connections."""

    def __init__(self, folder: Path, *, threads: int = 2, memory: str = "2GB") -> None:
        self.folder = folder
        self.threads = threads
        self.memory = memory
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(folder, 0o700)

    def path(self, file: str) -> Path:
        return self.folder / file

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """One writer or sweeper at a time, over processes; the system frees the lock when a process dies."""
        with (self.folder / _LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def stage(
        self,
        dataset: Dataset,
        tables: Iterable[pa.Table],
        keys: LineageKeys,
        progress: Callable[[str, float], None],
    ) -> Staged:
        """Write `tables` (as `intake.read_files` yields them) into a new encrypted file with a table `data`.

        `data` has the catalog's columns but the person's, the derived ones, and: `_person` pseudonym (a UUID:
        half of its text's bytes) or null, `_period` as 2026-09, `_rank` from 1 within the person-period (null
        without a person; 1 throughout where the dataset names no person). Where it names none there is also
        `_place`, from 1 in the order of the files: no row number that DuckDB gives keeps that order when several
        threads write. Refusals of `tables` pass through; `sweep` removes what they leave.
        """
        with self.connection() as connection:
            # The rows in their first form lie under a key that nobody keeps: what a crash leaves of it is
            # noise.
            rough = self._temporary()
            attach(connection, rough, "rough", secrets.token_hex(32))
            with self.writing(connection, keys) as staged:
                lock(connection)
                placed = 0
                for table in _ahead(tables):
                    if dataset.person_column is None:
                        places = pa.array(range(placed + 1, placed + 1 + table.num_rows), pa.int64())
                        table = table.append_column(PLACE, places)
                    placed += table.num_rows
                    _insert(connection, _pseudonymised(table, dataset, keys))
                _rank(connection, dataset, keys, progress)
            connection.execute("DETACH rough")
        rough.unlink()
        return staged[0]

    def publish(self, staged: Staged, file: str) -> None:
        """Give a staged file its name. Never over another file: names hold a random part."""
        os.rename(staged.path, self.path(file))
        sync_folder(self.folder)

    def sweep(self, known: Collection[str]) -> int:
        """Remove what is not in `known`; how many. Only inside `exclusive()`, with `known` read inside it.

        Where nothing at all is known, only unfinished files go: a database that names no file is either new
        or the wrong one, and a slip in a setting must not cost the data.
        """
        removed = 0
        for path in self.folder.iterdir():
            unfinished = path.name.startswith((_STAGED, _SCRATCH))
            if path.name in known or path.name == _LOCK or not (known or unfinished):
                continue
            removed += 1
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        return removed

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with a spill folder of its own inside the vault; DuckDB's faults become ours."""
        scratch = self.folder / f"{_SCRATCH}{secrets.token_hex(8)}"
        connection = open_connection(threads=self.threads, memory=self.memory, scratch=scratch)
        fault: CivicError | None = None
        try:
            yield connection
        except duckdb.Error as error:
            fault = reason_of(error)
        finally:
            connection.close()
            shutil.rmtree(scratch, ignore_errors=True)
        if fault is not None:
            raise fault from None

    @contextmanager
    def writing(self, connection: duckdb.DuckDBPyConnection, keys: LineageKeys) -> Iterator[list[Staged]]:
        """Attach a new encrypted file as `made`; on leaving it is flushed and described in the yielded
        list.
        """
        path = self._temporary()
        result: list[Staged] = []
        attach(connection, path, "made", keys.file_hex)
        yield result
        connection.execute("CHECKPOINT made")
        connection.execute("DETACH made")
        os.chmod(path, 0o600)
        result.append(Staged(path, _flushed_hash(path)))

    def _temporary(self) -> Path:
        return self.folder / f"{_STAGED}{secrets.token_hex(8)}"


def new_file_name(lineage: str, number: int, kind: str, keys: LineageKeys) -> str:
    """`bike-rides-demo-3-data-<fingerprint>-<random>.duckdb`: the fingerprint tells a foreign key before a
    load.
    """
    return f"{lineage}-{number}-{kind}-{keys.fingerprint}-{secrets.token_hex(4)}.duckdb"


def fingerprint_in(file: str) -> str:
    return file.removesuffix(".duckdb").split("-")[-2]


def check_hash(path: Path, sha256: str) -> None:
    """Raises VaultDamaged unless `path` holds the very bytes that were recorded.

    AES-GCM already tells a changed block; the hash also tells an older file of the same key put in its place.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        found = ""
    if found != sha256:
        raise VaultDamaged()


def _flushed_hash(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    sync_folder(path.parent)
    return digest


def _ahead(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """`tables`; the next one is read while this one is written, since each leaves a core idle."""
    coming = iter(tables)
    with ThreadPoolExecutor(1, "intake") as reader:
        following = reader.submit(next, coming, None)
        while (table := following.result()) is not None:
            following = reader.submit(next, coming, None)
            yield table


def _insert(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> None:
    rows = f"SELECT * REPLACE ({PERSON}::UUID AS {PERSON}) FROM incoming"
    connection.register("incoming", table)
    connection.execute(f"CREATE TABLE IF NOT EXISTS rough.data AS {rows} LIMIT 0")
    connection.execute(f"INSERT INTO rough.data {rows}")
    connection.unregister("incoming")


def _pseudonymised(table: pa.Table, dataset: Dataset, keys: LineageKeys) -> pa.Table:
    """The person column replaced by `_person`; a column of nulls where the dataset names nobody."""
    person = dataset.person_column
    if person is None:
        return table.append_column(PERSON, pa.nulls(table.num_rows, pa.string()))
    # Each distinct person is hashed once: the same person, the same pseudonym, in whatever file.
    coded = pc.dictionary_encode(table[person]).combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    names = pa.array(keys.pseudonyms(coded.dictionary.to_pylist()), pa.string())
    place = table.schema.get_field_index(person)
    return table.set_column(place, PERSON, names.take(coded.indices))


def _rank(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    keys: LineageKeys,
    progress: Callable[[str, float], None],
) -> None:
    """Fill `made.data` out of `rough.data`, a month at a time: a person-period lies in one, so what has to be sorted
    at once fits into memory, however many years there are.
    """
    statement = _ranking(dataset)
    if dataset.time_column is None:
        connection.execute(f"CREATE TABLE made.data AS {statement}")
        progress("rank", 1.0)
        return
    parameters = {} if dataset.person_column is None else {"key": keys.rank.hex()[:32]}
    month = f"date_trunc('month', {identifier(dataset.time_column)})"
    months = connection.execute(
        f"SELECT first, first + INTERVAL 1 MONTH, strftime(first, '%Y-%m') "
        f"FROM (SELECT DISTINCT {month} AS first FROM rough.data) ORDER BY first"
    ).fetchall()
    progress("rank", 0.0)
    connection.execute(
        f"CREATE TABLE made.data AS {statement} LIMIT 0",
        {"first": None, "next": None, "period": "", **parameters},
    )
    for done, (first, following, period) in enumerate(months, 1):
        connection.execute(
            f"INSERT INTO made.data {statement}",
            {"first": first, "next": following, "period": period, **parameters},
        )
        progress("rank", done / len(months))


def _ranking(dataset: Dataset) -> str:
    """The rows of one month, `$first` to before `$next`, with their ranks.

    The order within a person-period is by a keyed hash of pseudonym, period and content. The content is the
    source's columns: derived ones are functions of those and of public tables, and a mended station list should
    not change whose rides are kept. Equal rows stand side by side; which of them is kept is all the same, since
    they are equal. (Two different rows with one hash are not expected in 2^64.)

    sha256(key ‖ content) is enough here: it must be unguessable without the key, each field tells where it ends,
    so no content is the beginning of another, and no hash ever leaves this statement. 128 bits of key, since a
    shorter text is a block of SHA-256 less for each row. DuckDB has no HMAC, and Python's would take a second for
    each million rows and more memory.
    """
    own = [identifier(name) for name in dataset.columns if name != dataset.person_column]
    columns = ", ".join([*own, *(identifier(name) for name in dataset.derived)])
    if dataset.time_column is None:
        # Facts about places, of which the catalog lets nobody be a column.
        return f"SELECT {columns}, {PERSON}, NULL::VARCHAR AS {PERIOD}, 1::INTEGER AS {RANK}, {PLACE} FROM rough.data"
    time = identifier(dataset.time_column)
    rows = f"rough.data WHERE {time} >= $first AND {time} < $next"
    if dataset.person_column is None:
        return f"SELECT {columns}, {PERSON}, $period AS {PERIOD}, 1::INTEGER AS {RANK}, {PLACE} FROM {rows}"
    content = " || ".join(
        [f"{PERSON}::VARCHAR", *(_framed(name, column.type) for name, column in dataset.columns.items())]
    )
    # 16 bytes sort twice as fast as their text. Only the hash is carried through the sort, not the row.
    return f"""
        WITH ranked AS (
            SELECT rowid AS place, row_number() OVER (
                PARTITION BY {PERSON} ORDER BY left(sha256($key || {content}), 32)::UUID
            )::INTEGER AS rank
            FROM {rows} AND {PERSON} IS NOT NULL
        ), month AS (SELECT rowid AS place, * FROM {rows})
        SELECT {columns}, {PERSON}, $period AS {PERIOD}, ranked.rank AS {RANK}
        FROM month LEFT JOIN ranked USING (place)
    """


def _framed(name: str, kind: ColumnType) -> str:
    """The column as text that shows where it ends."""
    column = identifier(name)
    match kind:
        case ColumnType.PERSON:
            return "''"
        case ColumnType.TEXT | ColumnType.PADDED_NUMBER:
            return f"coalesce(length({column}) || ':' || {column}, '-')"
        case ColumnType.TIMESTAMP:
            return f"coalesce(epoch_us({column})::VARCHAR, '') || ';'"
        case _:
            return f"coalesce({column}::VARCHAR, '') || ';'"
