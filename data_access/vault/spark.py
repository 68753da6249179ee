"""Reads views that stand as tables in Spark: the second engine, with the same integers as the first.

A city that keeps its data in Spark can have the private view there; only this module and the compiler's dialect
know of it. No setting chooses it, for two reasons that no code here can take away: Spark cannot read the vault's
encrypted file, and a table cannot be held against the hash that the view was recorded with. Who takes it trusts
whoever may write Spark's tables (docs/design.md, section 9).

Import it where it is used: pyspark is no requirement of the workspace.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from data_access.errors import CivicError, InternalFault, VaultDamaged
from data_access.query.schema import Dialect
from data_access.vault.records import View

#: What the compiled text relies on. A cluster may have any of them otherwise, and would then answer another question
#: without a word.
MEANING = {
    # A sum past 2^63 fails. Without it, it wraps round to a number that looks like any other.
    "spark.sql.ansi.enabled": "true",
    # An asker may call a measure as a column is called but for one capital.
    "spark.sql.caseSensitive": "true",
    # Dates of a filter are days of the view's own clock, wherever the machine is.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.session.timeZone": "UTC",
    # A domain's value `${…}` would be replaced before the text is parsed.
    "spark.sql.variable.substitute": "false",
    # The compiler doubles backslashes.
    "spark.sql.parser.escapedStringLiterals": "false",
    # `GROUP BY 1` is the first column, not the number one.
    "spark.sql.groupByOrdinal": "true",
}
#: What would show exact counts beside the lane, or leave rows on a disk: setting, wanted, what it is when unset.
_QUIET = (
    ("spark.ui.enabled", "false", "true"),
    ("spark.eventLog.enabled", "false", "false"),
    ("spark.io.encryption.enabled", "true", "false"),
)
#: And what would send them over a network to anybody who asks.
_SEALED = (
    ("spark.authenticate", "true", "false"),
    ("spark.network.crypto.enabled", "true", "false"),
)
#: A collated string would take `m` for `M`; a floating number has NaN, and sums that depend on their order; a
#: `timestamp` is an instant, whose hour depends on who looks.
_TYPES = frozenset({"bigint", "string", "timestamp_ntz"})
_KEPT_OPEN = 8


#: PySpark writes each error, with the row that caused it, to standard error through these.
_TALKATIVE = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")


def _quietly(call: Callable[[], Any], fault: type[CivicError]) -> Any:
    """What `call` returns, or `fault`: raised outside the handler, so that Spark's error, which quotes values, is
    nowhere that a traceback would look.
    """
    with suppress(PySparkException, Py4JError):
        return call()
    raise fault()


@dataclass(frozen=True)
class SparkReader:
    """The part of DuckDB's connection that answering uses. Raises InternalFault for whatever Spark says."""

    session: SparkSession

    def execute(self, sql: str) -> _Result:
        return _Result(_quietly(lambda: self.session.sql(sql), InternalFault))


@dataclass(frozen=True)
class _Result:
    frame: Any

    def to_arrow_table(self) -> Any:
        return _quietly(self.frame.toArrow, InternalFault)


class SparkEngine:
    """`session` is a running one, whose settings are the operator's; `table_of` names the table of a view, with the
    columns that `make_view` writes, its ENUMs as strings. Thread-safe. Raises ValueError, naming the setting, where
    the session would let exact numbers out.
    """

    dialect: Final = Dialect.SPARK

    def __init__(self, session: SparkSession, table_of: Callable[[View], str]) -> None:
        settings = session.sparkContext.getConf()
        local = str(session.sparkContext.master).partition("[")[0] == "local"
        for name, wanted, unset in (*_QUIET, *(() if local else _SEALED)):
            if settings.get(name, unset) != wanted:
                raise ValueError(f"{name} must be {wanted}")
        session.sparkContext.setLogLevel("OFF")
        for name in _TALKATIVE:
            PySparkLogger.getLogger(name).disabled = True
        self._session = session
        self._table_of = table_of
        self._open: OrderedDict[str, SparkSession] = OrderedDict()
        self._guard = threading.Lock()

    @contextmanager
    def reader(self, view: View) -> Iterator[SparkReader]:
        """A session of its own on which the view is the table `view`.

        Raises VaultDamaged where there is no such table or a column has a type that no view has.
        """
        yield SparkReader(_quietly(lambda: self._opened(view), VaultDamaged))

    def close(self) -> None:
        """Forgets the views. The session belongs to whoever started it."""
        with self._guard:
            self._open.clear()

    def _opened(self, view: View) -> SparkSession:
        with self._guard:
            opened = self._open.get(view.file)
            if opened is None:
                opened = self._session.newSession()
                for name, value in MEANING.items():
                    opened.conf.set(name, value)
                table = opened.table(self._table_of(view))
                if not {kind for _, kind in table.dtypes} <= _TYPES:
                    raise VaultDamaged()
                table.createOrReplaceTempView("view")
                self._open[view.file] = opened
            self._open.move_to_end(view.file)
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
            return opened
