"""Bound plans to SQL through Ibis: only compiled plans are ever executed, never a user's text."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce
from typing import Any, assert_never

import ibis
import ibis.expr.types as ir

from data_access.query.binding import BoundPlan
from data_access.query.nodes import (
    And,
    Between,
    ColumnKey,
    Compare,
    Comparison,
    Count,
    Filter,
    FunctionKey,
    GroupKey,
    In,
    KeyFunction,
    Measure,
    Not,
    Or,
    Persons,
    key_name,
)
from data_access.query.schema import PERIOD_KEY, Schema

#: The table of a private view, and its two columns that no policy names.
VIEW = "view"
PERIOD = "period"
UNIT = "unit"


def compile_sql(bound: BoundPlan, dialect: str = "duckdb") -> str:
    """One row for each non-empty cell: key columns by name, then one integer per measure."""
    return str(ibis.to_sql(expression(bound), dialect=dialect))


def expression(bound: BoundPlan) -> ir.Table:
    """The unbound Ibis expression of the plan over a private view."""
    schema = bound.schema
    columns = {PERIOD: "string", schema.time_column: "timestamp"} | dict.fromkeys(schema.keys, "string")
    if schema.counts_persons:
        columns[UNIT] = "int64"
    table = ibis.table(columns, name=VIEW)
    if bound.plan.where is not None:
        table = table.filter(_predicate(bound.plan.where, table, schema))
    keys = {key_name(key): _value(key, table) for key in bound.plan.by}
    measures = {name: _aggregate(measure, table) for name, measure in bound.plan.measures}
    return table.group_by(**keys).aggregate(**measures) if keys else table.aggregate(**measures)


def _value(key: GroupKey, table: ir.Table) -> Any:
    match key:
        case ColumnKey(column):
            return table[PERIOD if column == PERIOD_KEY else column]
        case FunctionKey(KeyFunction.HOUR, column):
            return table[column].hour()
        case FunctionKey(KeyFunction.WEEKDAY, column):
            return table[column].day_of_week.index()
        case _:
            raise AssertionError("every key function is compiled")


def _aggregate(measure: Measure, table: ir.Table) -> Any:
    match measure:
        case Count():
            return table.count()
        case Persons():
            return table[UNIT].nunique()
        case _:
            assert_never(measure)


def _predicate(node: Filter, table: ir.Table, schema: Schema) -> Any:
    match node:
        case And(parts):
            return reduce(lambda a, b: a & b, (_predicate(p, table, schema) for p in parts))
        case Or(parts):
            return reduce(lambda a, b: a | b, (_predicate(p, table, schema) for p in parts))
        case Not(part):
            return ~_predicate(part, table, schema)
        case Compare(ColumnKey(column)) | Between(ColumnKey(column)) if column == schema.time_column:
            return _dates(node, table)
        case In(key, values):
            return _value(key, table).isin(list(values))
        case Between(key, low, high):
            return _value(key, table).between(low, high)
        case Compare(key, op, value):
            return _compare(_value(key, table), op, value)
        case _:
            assert_never(node)


def _compare(left: Any, op: Comparison, right: Any) -> Any:
    match op:
        case Comparison.EQ:
            return left == right
        case Comparison.LT:
            return left < right
        case Comparison.LE:
            return left <= right
        case Comparison.GT:
            return left > right
        case Comparison.GE:
            return left >= right
        case _:
            assert_never(op)


def _dates(node: Filter, table: ir.Table) -> Any:
    """Whole days; the end day belongs to a `between`."""
    match node:
        case Between(key, str(low), str(high)):
            column = table[key.column]
            return (column >= _midnight(low)) & (column < _midnight(high) + timedelta(days=1))
        case Compare(key, op, str(value)):
            return _compare(table[key.column], op, _midnight(value))
        case _:
            raise AssertionError("binding lets only dates through")


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day)
