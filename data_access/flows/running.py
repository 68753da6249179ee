"""A plan on an engine: the exact cells, before noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_access.query import BoundPlan, Dialect, Persons
from data_access.query.cells import Cells, dense
from data_access.query.compiler import UNIT, VIEW, compile_sql
from data_access.vault import Engine, View

if TYPE_CHECKING:
    from data_access.vault.spark import SparkEngine

#: Persons are told apart in memory, some 40 bytes for each cell that each of them touches: so many at a time.
#: Fewer also fit into the processor's cache, which makes the whole faster, not slower.
UNITS_AT_ONCE = 100_000


def exact_cells(engine: Engine | SparkEngine, view: View, bound: BoundPlan, sql: str) -> Cells:
    """`sql` is `bound`, compiled.

    A question about persons is asked of some of them after the others: each is in one part only, so all measures of
    the parts add up, and what it needs in memory does not grow with the city. Views are sorted by unit, so a part
    reads little more than its rows.
    """
    with engine.reader(view) as connection:

        def ask(text: str) -> dict[str, Sequence[Any]]:
            table = connection.execute(text).to_arrow_table()
            return {name: table[name].to_pylist() for name in table.column_names}

        parts = [sql]
        counts_persons = any(isinstance(measure, Persons) for _, measure in bound.plan.measures)
        # Spark has disks of its own, and its tables are in no order.
        if counts_persons and engine.dialect is Dialect.DUCKDB:
            units = ask(f'SELECT max("{UNIT}") AS units FROM "{VIEW}"')["units"][0] or 0
            if units > UNITS_AT_ONCE:
                starts = range(1, units + 1, UNITS_AT_ONCE)
                parts = [compile_sql(bound, units=(start, start + UNITS_AT_ONCE)) for start in starts]
        first, *others = (dense(bound, ask(part)) for part in parts)
    for cells in others:
        for name, grid in cells.columns.items():
            first.columns[name] += grid
    return first
