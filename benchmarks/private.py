"""The private lane: from plan to signed stored answer, beside the plain query on an ordinary warm table.

The quantised beat is left out (the clock is an argument); everything else is there: decision, price, charge,
engine, noise, signature, two durable transactions. Every round asks what nobody asked before, since a repeated
question would be free.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import duckdb

from benchmarks.city import RIDES, catalog, city, policy_document
from benchmarks.figures import Figure, at_most, interleaved, median
from benchmarks.workspace import Workspace, workspace
from data_access.vault import find_view

QUESTIONS: dict[str, tuple[list[Any], str]] = {
    "gu × hour": (
        ["start_gu", {"fn": "hour", "column": "started_at"}],
        "SELECT start_gu, hour(started_at), count(*) FROM rides GROUP BY ALL",
    ),
    "gu × month": (["start_gu", "month"], "SELECT start_gu, period, count(*) FROM rides GROUP BY ALL"),
}


def private(rides: int, rounds: int) -> list[Figure]:
    with (
        city(rides) as files,
        TemporaryDirectory(prefix="civic-bench-plain-") as scratch,
        workspace(catalog()) as ours,
    ):
        policy = ours.open(policy_document())
        ours.load(policy, files.rides, tables=files.root)
        kept, plain = _plain_table(ours, policy.lineage, policy.hash(), Path(scratch))
        click.echo(f"{rides:,} rides made, {kept:,} in the view and in the plain table, {rounds} rounds")
        figures: list[Figure] = []
        for name, (by, sql) in QUESTIONS.items():
            figures += _one(ours, name, by, partial(_fetch, plain, sql), rounds)
        plain.close()
    return figures


def _one(ours: Workspace, name: str, by: list[Any], plain: Callable[[], object], rounds: int) -> list[Figure]:
    plan = {"dataset": RIDES, "by": by, "measures": {"rides": {"fn": "count"}}}

    def ask() -> None:
        # Afresh: whatever is stored already, or can be added up from what is, would be given free.
        assert ours.ask(plan, "0.01", fresh=True).charged > 0

    def ask_again() -> None:
        assert ours.ask(plan, "0.01").charged == 0

    interleaved([ask, plain], 2)
    asked, queried, free = map(median, interleaved([ask, plain, ask_again], rounds))
    return [
        Figure(f"count by {name}: plan to signed answer", asked * 1000, "ms"),
        Figure(f"count by {name}: plain DuckDB", queried * 1000, "ms"),
        at_most(f"count by {name}: ours ÷ plain", asked / queried, "×", 2, size="(at 10M rows)"),
        at_most(f"count by {name}: free re-ask", free * 1000, "ms", 20),
    ]


def _fetch(plain: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    return plain.execute(sql).fetchall()


def _plain_table(
    ours: Workspace, lineage: str, policy_hash: str, folder: Path
) -> tuple[int, duckdb.DuckDBPyConnection]:
    """The very rows of the view, and how many, in an ordinary DuckDB file on a connection of its own."""
    with ours.parts.database.reading() as connection:
        view = find_view(connection, lineage, policy_hash)
    assert view is not None
    with ours.parts.engine.reader(view) as reader:
        rows = reader.execute("FROM view").to_arrow_table()
    plain = duckdb.connect(str(folder / "plain.duckdb"), config={"threads": "2"})
    plain.register("rows_of_view", rows)
    plain.execute("CREATE TABLE rides AS FROM rows_of_view")
    plain.unregister("rows_of_view")
    plain.execute("CHECKPOINT")
    return rows.num_rows, plain
