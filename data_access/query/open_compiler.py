"""Questions of the open lane to SQL through Ibis. The view holds the rows as they are (vault/views.py).

Texts and whole numbers as they stand, decimals as whole numbers of their last place, times as timestamps, and two
columns of its own: `_place`, counted from 1 in the order of the files, and `_period` where there is a time column.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

import ibis
import ibis.expr.types as ir

from data_access.query.compiler import VIEW
from data_access.query.expressions import Leaf, compare, function_key, predicate
from data_access.query.nodes import (
    Between,
    ColumnKey,
    Compare,
    Count,
    Filter,
    FunctionKey,
    GroupKey,
    In,
    Mean,
    Rows,
    Sum,
    Value,
    key_name,
)
from data_access.query.open_binding import OpenBound, column_of, scaled
from data_access.query.open_schema import TIMES, OpenSchema, OpenType

PLACE, PERIOD = "_place", "_period"
_TYPES = {
    OpenType.TEXT: "string",
    OpenType.INTEGER: "int64",
    OpenType.DECIMAL: "int64",
    OpenType.MOMENT: "timestamp",
    OpenType.DAY: "timestamp",
}
#: A sum of int64 may need more, and an engine that wraps around would be wrong in silence.
_WIDE = "decimal(38, 0)"


def compile_open(bound: OpenBound, *, most: int) -> str:
    """Rows: `_place` and the columns, in order of place, one more than the plan's limit, so that it shows whether there
    are more. Cells: the keys by name and the
    columns of `parts_of` each measure, at most `most` of them, in no order.
    """
    table = _kept(bound)
    plan = bound.plan
    if isinstance(plan, Rows):
        if bound.cursor is not None:
            table = table.filter(table[PLACE] > bound.cursor.place)
        assert plan.limit is not None  # binding fills it in
        chosen = table.select(PLACE, *plan.columns).order_by(PLACE).limit(plan.limit + 1)
        return str(ibis.to_sql(chosen, dialect="duckdb"))
    keys = {key_name(key): _key(key, table, bound.schema) for key in plan.by}
    measures: dict[str, Any] = {}
    for name, measure in plan.measures:
        match measure:
            case Count():
                measures[name] = table.count()
            case Sum(column):
                measures[name] = _sum(table[column])
            case Mean(column):
                measures |= {f"{name}:rows": table[column].count(), f"{name}:total": _sum(table[column])}
            case _:
                raise AssertionError("every measure of the open lane is compiled")
    found = table.group_by(**keys).aggregate(**measures) if keys else table.aggregate(**measures)
    return str(ibis.to_sql(found.limit(most), dialect="duckdb"))


def compile_matching(bound: OpenBound) -> str:
    """How many rows the filter lets through, whatever the page."""
    return str(ibis.to_sql(_kept(bound).aggregate(matching=ibis._.count()), dialect="duckdb"))


def _kept(bound: OpenBound) -> ir.Table:
    schema = bound.schema
    columns = {PLACE: "int64"} | ({PERIOD: "string"} if schema.time_column else {})
    columns |= {name: _TYPES[column.type] for name, column in schema.columns.items()}
    table = ibis.table(columns, name=VIEW)
    where = bound.plan.where
    return table if where is None else table.filter(_predicate(where, table, schema))


def _sum(column: Any) -> Any:
    return column.sum().cast(_WIDE).fill_null(0)


def _key(key: GroupKey, table: ir.Table, schema: OpenSchema) -> Any:
    match key:
        case ColumnKey(column):
            return table[column] if column in schema.columns else table[PERIOD]
        case FunctionKey():
            return function_key(key, table, PERIOD)
        case _:
            assert_never(key)


def _predicate(node: Filter, table: ir.Table, schema: OpenSchema) -> Any:
    def leaf(node: Leaf) -> Any:
        match node:
            case In(key, values):
                return _key(key, table, schema).isin([_literal(value, key, schema) for value in values])
            case Compare(key, op, value):
                return compare(_key(key, table, schema), op, _literal(value, key, schema))
            case Between():
                raise AssertionError("the canonical form has no `between`")
            case _:
                assert_never(node)

    return predicate(node, table, leaf)


def _literal(value: Value, key: GroupKey, schema: OpenSchema) -> Any:
    column = column_of(key, schema)
    if column.type is OpenType.DECIMAL:
        return scaled(value, column)
    if column.type in TIMES:
        return datetime.fromisoformat(str(value))
    return value
