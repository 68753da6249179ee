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
    Histogram,
    In,
    KeyFunction,
    Mean,
    Measure,
    Missing,
    Not,
    Or,
    Persons,
    Quantiles,
    Share,
    Sum,
    Value,
)
from data_access.query.schema import Schema

Row = Mapping[str, Any]


def interpret(bound: BoundPlan, rows: Iterable[Row]) -> dict[tuple[Value, ...], dict[str, int]]:
    """Exact integers of each non-empty cell (the columns of `bound.vectors`), by the values of `plan.by`."""
    schema = bound.schema
    found: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        if bound.plan.where is None or _holds(bound.plan.where, row, schema):
            cell = tuple(_read(key, row, schema) for key in bound.plan.by)
            found.setdefault(cell, []).append(row)
    return {
        cell: {
            column: value
            for name, measure in bound.plan.measures
            for column, value in _measure(name, measure, members, schema)
        }
        for cell, members in found.items()
    }


def _measure(name: str, measure: Measure, members: list[Row], schema: Schema) -> Iterable[tuple[str, int]]:
    match measure:
        case Count() | Share(None):
            yield name, len(members)
        case Persons():
            yield name, len({row["unit"] for row in members})
        case Sum(column):
            yield name, sum(_present(column, members))
        case Mean(column):
            clip = schema.measures[column]
            values = _present(column, members)
            yield f"{name}:rows", len(values)
            yield f"{name}:centred", sum((value - clip.low) - (clip.high - value) for value in values)
        case Share(where):
            assert where is not None
            yes = [row for row in members if _holds(where, row, schema)]
            yield f"{name}:yes", len(yes)
            yield f"{name}:no", len(members) - len(yes)
        case Histogram(column) | Quantiles(column):
            edges = schema.measures[column].edges
            places = [_bin(value, edges) for value in _present(column, members)]
            for number in range(len(edges) - 1):
                yield f"{name}:{number}", places.count(number)
        case _:
            assert_never(measure)


def _present(column: str, members: list[Row]) -> list[int]:
    return [row[column] for row in members if row[column] is not None]


def _bin(value: int, edges: tuple[int, ...]) -> int:
    """The number of inner edges that `value` has reached."""
    return sum(edge <= value for edge in edges[1:-1])


def _read(key: GroupKey, row: Row, schema: Schema) -> Value:
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
        case FunctionKey(KeyFunction.SEASON):
            month = row["period"][-2:]
            for season, months in _SEASONS.items():
                if month in months:
                    return season
            raise AssertionError("a month of the calendar")
        case FunctionKey(KeyFunction.BAND, column):
            if row[column] is None:
                return "other"
            edges = schema.measures[column].edges
            place = _bin(row[column], edges)
            last = edges[place + 1] - (place < len(edges) - 2)
            return f"{edges[place]}..{last}"
        case _:
            raise AssertionError("every key function is interpreted")


_SEASONS = {
    "spring": ("03", "04", "05"),
    "summer": ("06", "07", "08"),
    "autumn": ("09", "10", "11"),
    "winter": ("12", "01", "02"),
}


def _holds(node: Filter, row: Row, schema: Schema) -> bool:
    match node:
        case And(parts):
            return all(_holds(part, row, schema) for part in parts)
        case Or(parts):
            return any(_holds(part, row, schema) for part in parts)
        case Not(part):
            return not _holds(part, row, schema)
        case Missing(column, holds):
            return (row[column] is None) == holds
        case In(key, values):
            return _read(key, row, schema) in values
        case Between(key, low, high):
            value = _comparable(_read(key, row, schema), low)
            return bool(_comparable(low, low) <= value <= _comparable(high, low))
        case Compare(key, op, bound):
            left, right = _comparable(_read(key, row, schema), bound), _comparable(bound, bound)
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
