"""The private lane: from plan to signed stored answer, beside the plain query on an ordinary warm table.

The quantised beat is left out (the clock is an argument); everything else is there: decision, price, charge,
engine, noise, signature, two durable transactions. Every round asks what nobody asked before, since a repeated
question would be free. The plain table has the very rows of the view, with text as text, as tables have it.

A tenth of the rides is measured as well: what a further row costs us is compared with what it costs DuckDB. The
peers are asked the first question after that (`benchmarks.peers`), while nothing of ours is in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import duckdb
import pyarrow as pa

from benchmarks.city import RIDES, catalog, city, policy_document
from benchmarks.figures import Figure, at_most, interleaved, median
from benchmarks.peers import against_opendp, against_smartnoise
from benchmarks.workspace import Workspace, workspace
from data_access.policy import Policy
from data_access.vault import find_view

RHO = "0.01"
#: From here on the bars of 100 million rows hold; below, those of 10 million.
LARGE = 100_000_000


@dataclass(frozen=True)
class Question:
    name: str
    by: list[Any]
    measures: Mapping[str, Any]
    sql: str
    #: ours ÷ plain may be at most this: at 10 million rides, at 100 million. None: it is only told.
    bars: tuple[float, float] | None

    @property
    def plan(self) -> dict[str, Any]:
        return {"dataset": RIDES, "by": self.by, "measures": self.measures}


_BY_HOUR = ["start_gu", {"fn": "hour", "column": "started_at"}]
_BOTH = {"rides": {"fn": "count"}, "minutes": {"fn": "sum", "column": "minutes"}}
FIRST = Question(
    "count + sum by gu × hour",
    _BY_HOUR,
    _BOTH,
    "SELECT start_gu, hour(started_at), count(*), sum(minutes) FROM rides GROUP BY ALL",
    (2, 1.3),
)
QUESTIONS = (
    FIRST,
    Question(
        "persons by gu × hour",
        _BY_HOUR,
        {"riders": {"fn": "persons"}},
        "SELECT start_gu, hour(started_at), count(DISTINCT unit) FROM rides GROUP BY ALL",
        (2, 2),
    ),
    # Twelve answers, each signed and charged to its month, and the one that joins them.
    Question(
        "count + sum by gu × month",
        ["start_gu", "month"],
        _BOTH,
        "SELECT start_gu, period, count(*), sum(minutes) FROM rides GROUP BY ALL",
        None,
    ),
)


@dataclass(frozen=True)
class Timed:
    """Medians, in seconds."""

    ours: float
    plain: float
    free: float


def private(rides: int, rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    with _loaded(rides, figures) as (ours, policy, scratch):
        figures.append(_memory(ours, rides))
        kept, plain = _plain_table(ours, policy, scratch)
        click.echo(f"{rides:,} rides made, {kept:,} in the view and in the plain table, {rounds} rounds")
        timed = {each.name: _timed(ours, each, plain, rounds) for each in QUESTIONS}
        plain.close()
    for question in QUESTIONS:
        figures += _figures(question, timed[question.name], rides)
    with _loaded(rides // 10, []) as (ours, policy, scratch):
        _kept, plain = _plain_table(ours, policy, scratch)
        small = _timed(ours, FIRST, plain, rounds)
        plain.close()
    if rides >= LARGE:
        # One run of the larger size tells both bars.
        figures += _figures(replace(FIRST, name=f"{FIRST.name}, a tenth of the rides"), small, rides // 10)
        figures += against_opendp(rides // 10, small.ours, rounds)
    large = timed[FIRST.name]
    further = (large.ours - small.ours) / (large.plain - small.plain)
    figures.append(at_most("a further row: ours ÷ plain", further, "×", 1))
    # Each at the size that its bar is for: OpenDP at ours, SmartNoise, which takes minutes there, at a tenth.
    figures += against_opendp(rides, large.ours, rounds)
    return figures + against_smartnoise(rides // 10, small.ours, rounds)


@contextmanager
def _loaded(rides: int, figures: list[Figure]) -> Iterator[tuple[Workspace, Policy, Path]]:
    """A workspace with the city's rides in it, and room beside it."""
    with (
        city(rides, "parquet") as files,
        TemporaryDirectory(prefix="civic-bench-plain-") as scratch,
        workspace(catalog()) as ours,
    ):
        policy = ours.open(policy_document())
        began = time.perf_counter()
        ours.load(policy, files.rides, tables=files.root)
        figures.append(Figure("load of the Parquet files", rides / (time.perf_counter() - began), "rows/s"))
        yield ours, policy, Path(scratch)


def _memory(ours: Workspace, rides: int) -> Figure:
    """The most that this process has in memory while it answers, what the load left to it included."""
    pa.default_memory_pool().release_unused()
    status = Path("/proc/self/status")
    # Linux: begin to count anew.
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    for question in QUESTIONS:
        ours.ask(question.plan, RHO, fresh=True)
    [peak] = [line.split()[1] for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return at_most(
        "peak memory while answering", int(peak) * 1024 / 1e9, "GB", 4, size=f"(at {LARGE // 10**6}M rows)"
    )


def _timed(ours: Workspace, question: Question, plain: duckdb.DuckDBPyConnection, rounds: int) -> Timed:
    def ask() -> None:
        # Afresh: whatever is stored already, or can be added up from what is, would be given free.
        assert ours.ask(question.plan, RHO, fresh=True).charged > 0

    def ask_again() -> None:
        assert ours.ask(question.plan, RHO).charged == 0

    query: Callable[[], object] = partial(_fetch, plain, question.sql)
    interleaved([ask, query], 2)
    return Timed(*map(median, interleaved([ask, query, ask_again], rounds)))


def _figures(question: Question, timed: Timed, rides: int) -> list[Figure]:
    name, ratio = question.name, timed.ours / timed.plain
    large = rides >= LARGE
    size = f"(at {100 if large else 10}M rows)"
    return [
        Figure(f"{name}: plan to signed answer", timed.ours * 1000, "ms"),
        Figure(f"{name}: plain DuckDB", timed.plain * 1000, "ms"),
        Figure(f"{name}: ours ÷ plain", ratio, "×")
        if question.bars is None
        else at_most(f"{name}: ours ÷ plain", ratio, "×", question.bars[large], size=size),
        at_most(f"{name}: free re-ask", timed.free * 1000, "ms", 20),
    ]


def _fetch(plain: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    return plain.execute(sql).fetchall()


def _plain_table(ours: Workspace, policy: Policy, folder: Path) -> tuple[int, duckdb.DuckDBPyConnection]:
    """The very rows of the view, and how many, in an ordinary DuckDB file on a connection of its own."""
    with ours.parts.database.reading() as connection:
        view = find_view(connection, policy.lineage, policy.hash())
    assert view is not None
    plain = duckdb.connect(str(folder / "plain.duckdb"), config={"threads": "2"})
    texts = ", ".join(f"{name}::VARCHAR AS {name}" for name in ("period", *policy.keys))
    with ours.parts.engine.reader(view) as reader:
        # In pieces: whole, 100 million rows would need 5 GB on the way.
        rows = reader.execute("FROM view").to_arrow_reader(1_000_000)
        plain.register("rows_of_view", rows)
        plain.execute(f"CREATE TABLE rides AS SELECT * REPLACE ({texts}) FROM rows_of_view")
        plain.unregister("rows_of_view")
    plain.execute("CHECKPOINT")
    [kept] = plain.execute("SELECT count(*) FROM rides").fetchall()
    return int(kept[0]), plain
