"""Reads views, and nothing else: the only connection that a compiled question ever gets."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from data_access.errors import CivicError
from data_access.query.schema import Dialect
from data_access.vault.duck import attach, lock, open_connection, reason_of
from data_access.vault.keys import KeyStore
from data_access.vault.records import View
from data_access.vault.store import check_hash

# Opening a file costs a tenth of a second (the extension), a cursor on an open one nothing.
_KEPT_OPEN = 8


class Engine:
    """`folder` is the store's; `threads` and `memory` bound each open view. Thread-safe."""

    dialect: Final = Dialect.DUCKDB

    def __init__(self, folder: Path, keys: KeyStore, *, threads: int = 2, memory: str = "1GB") -> None:
        self._folder = folder
        self._keys = keys
        self._threads = threads
        self._memory = memory
        self._open: OrderedDict[str, duckdb.DuckDBPyConnection] = OrderedDict()
        self._guard = threading.Lock()

    @contextmanager
    def reader(self, view: View) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection on which the view is the table `view`.

        It can neither write, nor reach another file, nor spill to disk, nor change a setting. Raises
        VaultKeyWrong, VaultDamaged; a DuckDB error inside the block becomes one of these or InternalFault,
        its text wiped.
        """
        with self._guard:
            base = self._open.get(view.file)
            if base is None:
                base = self._opened(view)
                self._open[view.file] = base
            self._open.move_to_end(view.file)
            cursor = base.cursor()
            while len(self._open) > _KEPT_OPEN:
                # A cursor still at work keeps the closed base's database alive until it ends.
                self._open.popitem(last=False)[1].close()
        fault: CivicError | None = None
        try:
            yield cursor
        except duckdb.Error as error:
            fault = reason_of(error)
        finally:
            cursor.close()
        if fault is not None:
            raise fault from None

    def close(self) -> None:
        with self._guard:
            while self._open:
                self._open.popitem()[1].close()

    def _opened(self, view: View) -> duckdb.DuckDBPyConnection:
        path = self._folder / view.file
        check_hash(path, view.sha256)
        keys = self._keys.get(view.lineage)
        connection = open_connection(threads=self._threads, memory=self._memory, scratch=None)
        try:
            attach(connection, path, "sealed", keys.file_hex, read_only=True)
            connection.execute("CREATE VIEW view AS FROM sealed.view")
            lock(connection)
        except BaseException:
            connection.close()
            raise
        return connection
