"""The slow, obvious interpreter: the oracle that every engine must agree with before noise.

It reads rows as dictionaries (the columns of a private view) and shares no code with the compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, assert_never

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
    Not,
    Or,
    Persons,
    Value,
)

Row = Mapping[str, Any]


def interpret(bound: BoundPlan, rows: Iterable[Row]) -> dict[tuple[Value, ...], dict[str, int]]:
    """Exact measures of each non-empty cell, by the values of `plan.by`."""
    found: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        if bound.plan.where is None or _holds(bound.plan.where, row):
            cell = tuple(_read(key, row) for key in bound.plan.by)
            found.setdefault(cell, []).append(row)
    return {
        cell: {name: _measure(measure, members) for name, measure in bound.plan.measures}
        for cell, members in found.items()
    }


def _measure(measure: Count | Persons, members: list[Row]) -> int:
    match measure:
        case Count():
            return len(members)
        case Persons():
            return len({row["unit"] for row in members})
        case _:
            assert_never(measure)


def _read(key: GroupKey, row: Row) -> Value:
    match key:
        case ColumnKey("month"):
            return str(row["period"])
        case ColumnKey(column):
            value = row[column]
            return value.date().isoformat() if isinstance(value, datetime) else str(value)
        case FunctionKey(KeyFunction.HOUR, column):
            return int(row[column].hour)
        case FunctionKey(KeyFunction.WEEKDAY, column):
            return int(row[column].weekday())
        case _:
            raise AssertionError("every key function is interpreted")


def _holds(node: Filter, row: Row) -> bool:
    match node:
        case And(parts):
            return all(_holds(part, row) for part in parts)
        case Or(parts):
            return any(_holds(part, row) for part in parts)
        case Not(part):
            return not _holds(part, row)
        case In(key, values):
            return _read(key, row) in values
        case Between(key, low, high):
            value = _comparable(_read(key, row), low)
            return bool(_comparable(low, low) <= value <= _comparable(high, low))
        case Compare(key, op, bound):
            left, right = _comparable(_read(key, row), bound), _comparable(bound, bound)
            match op:
                case Comparison.EQ:
                    return bool(left == right)
                case Comparison.LT:
                    return bool(left < right)
                case Comparison.LE:
                    return bool(left <= right)
                case Comparison.GT:
                    return bool(left > right)
                case Comparison.GE:
                    return bool(left >= right)
                case _:
                    assert_never(op)
        case _:
            assert_never(node)


def _comparable(value: Value, like: Value) -> Any:
    """Dates compare as dates, months and words as text, numbers as numbers."""
    if isinstance(like, str) and len(like) == 10 and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value
