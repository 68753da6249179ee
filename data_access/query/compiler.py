"""Bound plans to SQL through Ibis: only compiled plans are ever executed, never a user's text."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, assert_never

import ibis
import ibis.expr.types as ir

from data_access.query.binding import BoundPlan
from data_access.query.expressions import Leaf, compare, function_key, predicate
from data_access.query.measures import vectors
from data_access.query.nodes import (
    Between,
    ColumnKey,
    Compare,
    Count,
    Filter,
    FunctionKey,
    GroupKey,
    Histogram,
    In,
    KeyFunction,
    Mean,
    Measure,
    Persons,
    Quantiles,
    Share,
    Sum,
    key_name,
)
from data_access.query.schema import PERIOD_KEY, Dialect, Schema

#: The table of a private view, and its two columns that no policy names.
VIEW = "view"
PERIOD = "period"
UNIT = "unit"


def compile_sql(
    bound: BoundPlan, dialect: Dialect = Dialect.DUCKDB, *, units: tuple[int, int] | None = None
) -> str:
    """One row for each non-empty cell: key columns by name, then the columns of `bound.vectors`, integers; with
    `units` of those from the first up to, but without, the second alone.

    Spark's text means the same only under the settings that `vault.spark` insists on.
    """
    return str(ibis.to_sql(expression(bound, units), dialect=dialect.value))


def expression(bound: BoundPlan, units: tuple[int, int] | None = None) -> ir.Table:
    """The unbound Ibis expression of the plan over a private view."""
    schema = bound.schema
    columns = {PERIOD: "string", schema.time_column: "timestamp"} | dict.fromkeys(schema.keys, "string")
    columns |= dict.fromkeys(schema.measures, "int64")
    if schema.counts_persons:
        columns[UNIT] = "int64"
    table = ibis.table(columns, name=VIEW)
    if units is not None:
        table = table.filter(table[UNIT] >= units[0], table[UNIT] < units[1])
    if bound.plan.where is not None:
        table = table.filter(_predicate(bound.plan.where, table, schema))
    keys = {key_name(key): _value(key, table, schema) for key in bound.plan.by}
    measures: dict[str, Any] = {}
    for name, measure in bound.plan.measures:
        names = [column for vector in vectors(name, measure, schema) for column in vector.columns]
        measures |= zip(names, _aggregates(measure, table, schema), strict=True)
    return table.group_by(**keys).aggregate(**measures) if keys else table.aggregate(**measures)


def _value(key: GroupKey, table: ir.Table, schema: Schema) -> Any:
    match key:
        case ColumnKey(column):
            return table[PERIOD if column == PERIOD_KEY else column]
        case FunctionKey(KeyFunction.BAND, column):
            known = schema.measures[column]
            *bands, other = known.bands
            value = table[column]
            ends = [(value <= high, band) for (_, high), band in zip(known.bins, bands, strict=True)]
            return ibis.cases((value.isnull(), other), *ends)
        case FunctionKey():
            return function_key(key, table, PERIOD)
        case _:
            assert_never(key)


def _aggregates(measure: Measure, table: ir.Table, schema: Schema) -> list[Any]:
    """In the order of the columns of `vectors`. A cell has rows, but perhaps none with a value: that sum is 0."""
    match measure:
        case Count() | Share(None):
            return [table.count()]
        case Persons():
            return [table[UNIT].nunique()]
        case Sum(column):
            return [_sum(table[column])]
        case Mean(column):
            known = schema.measures[column]
            # Twice the distance from the clip's middle, which may lie on a half: whole numbers only.
            return [table[column].count(), _sum(table[column] * 2 - (known.low + known.high))]
        case Share(where) if where is not None:
            condition = _predicate(where, table, schema)
            return [_count(table, condition), _count(table, ~condition)]
        case Histogram(column) | Quantiles(column):
            bins = schema.measures[column].bins
            return [_count(table, table[column].between(low, high)) for low, high in bins]
        case _:
            raise AssertionError("every measure is compiled")


def _count(table: ir.Table, condition: Any) -> Any:
    # For Spark a count with a condition becomes a sum, which is null where every value of the cell is missing.
    return table.count(where=condition).fill_null(0)


def _sum(column: Any) -> Any:
    return column.sum().cast("int64").fill_null(0)


def _predicate(node: Filter, table: ir.Table, schema: Schema) -> Any:
    def leaf(node: Leaf) -> Any:
        match node:
            case Compare(ColumnKey(column)) | Between(ColumnKey(column)) if column == schema.time_column:
                return _dates(node, table)
            case In(key, values):
                return _value(key, table, schema).isin(list(values))
            case Between(key, low, high):
                return _value(key, table, schema).between(low, high)
            case Compare(key, op, value):
                return compare(_value(key, table, schema), op, value)
            case _:
                assert_never(node)

    return predicate(node, table, leaf)


def _dates(node: Leaf, table: ir.Table) -> Any:
    """Whole days; the end day belongs to a `between`."""
    match node:
        case Between(key, str(low), str(high)):
            column = table[key.column]
            return (column >= _midnight(low)) & (column < _midnight(high) + timedelta(days=1))
        case Compare(key, op, str(value)):
            return compare(table[key.column], op, _midnight(value))
        case _:
            raise AssertionError("binding lets only dates through")


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day)
