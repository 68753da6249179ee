"""The slow, obvious interpreter of the open lane: what the file says, read row by row.

It takes the question as it was written, not its canonical form, reads rows as the catalog types them (decimals as
`Decimal`, times as `datetime`), and shares no code with the compiler. Unknown is None, as in SQL (Kleene's logic).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, assert_never

from data_access.query.nodes import (
    EVERY_COLUMN,
    SEASONS,
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
    Mean,
    Missing,
    Not,
    Or,
    Plan,
    Rows,
    Sum,
    Value,
)
from data_access.query.open_schema import OpenSchema

Row = Mapping[str, Any]
_SEASONS = dict(
    zip((3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2), (s for s in SEASONS for _ in range(3)), strict=True)
)


def interpret_rows(question: Rows, schema: OpenSchema, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """All rows that pass, in order, as tuples of the named columns: pages are cut from these."""
    names = list(schema.columns) if question.columns == (EVERY_COLUMN,) else list(question.columns)
    return [tuple(row[name] for name in names) for row in rows if _passes(question.where, row, schema)]


def interpret_cells(
    plan: Plan, schema: OpenSchema, rows: Iterable[Row]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The measures of each cell that has rows, by the values of `plan.by`; a mean is (rows, total)."""
    found: dict[tuple[Any, ...], list[Row]] = {} if plan.by else {(): []}
    for row in rows:
        if _passes(plan.where, row, schema):
            found.setdefault(tuple(_read(key, row, schema) for key in plan.by), []).append(row)
    return {
        cell: {name: _measure(measure, members) for name, measure in plan.measures}
        for cell, members in found.items()
    }


def _measure(measure: Any, members: list[Row]) -> Any:
    match measure:
        case Count():
            return len(members)
        case Sum(column):
            return sum((row[column] for row in members if row[column] is not None), Decimal(0))
        case Mean(column):
            values = [row[column] for row in members if row[column] is not None]
            return len(values), sum(values, Decimal(0))
        case _:
            raise AssertionError("every measure of the open lane is interpreted")


def _passes(where: Filter | None, row: Row, schema: OpenSchema) -> bool:
    return where is None or _holds(where, row, schema) is True


def _read(key: GroupKey, row: Row, schema: OpenSchema) -> Any:
    match key:
        case ColumnKey(column) if column in schema.columns:
            return row[column]
        case ColumnKey():
            return row[schema.time_column or ""].strftime("%Y-%m")
        case FunctionKey(KeyFunction.HOUR, column):
            return row[column].hour
        case FunctionKey(KeyFunction.WEEKDAY, column):
            return row[column].weekday()
        case FunctionKey(KeyFunction.SEASON):
            return _SEASONS[row[schema.time_column or ""].month]
        case _:
            raise AssertionError("every key function of the open lane is interpreted")


def _holds(node: Filter, row: Row, schema: OpenSchema) -> bool | None:
    match node:
        case And(parts):
            return _all([_holds(part, row, schema) for part in parts])
        case Or(parts):
            return _not(_all([_not(_holds(part, row, schema)) for part in parts]))
        case Not(part):
            return _not(_holds(part, row, schema))
        case Missing(column, holds):
            return (row[column] is None) == holds
    assert isinstance(node, Compare | In | Between)
    value = _read(node.key, row, schema)
    if value is None:
        return None
    match node:
        case In(_, values):
            return any(_first(v, value) <= value < _after(v, value) for v in values)
        case Between(_, low, high):
            return bool(_first(low, value) <= value < _after(high, value))
        case Compare(_, op, bound):
            first, after = _first(bound, value), _after(bound, value)
            match op:
                case Comparison.EQ:
                    return bool(first <= value < after)
                case Comparison.LT:
                    return bool(value < first)
                case Comparison.LE:
                    return bool(value < after)
                case Comparison.GT:
                    return bool(value >= after)
                case Comparison.GE:
                    return bool(value >= first)
                case _:
                    assert_never(op)
        case _:
            assert_never(node)


def _all(parts: list[bool | None]) -> bool | None:
    if any(part is False for part in parts):
        return False
    return None if any(part is None for part in parts) else True


def _not(part: bool | None) -> bool | None:
    return None if part is None else not part


def _first(bound: Value, like: Any) -> Any:
    """What a written value begins with: a day with its first instant."""
    if isinstance(like, datetime):
        return datetime.combine(date.fromisoformat(str(bound)), datetime.min.time())
    return Decimal(str(bound)) if isinstance(like, int | Decimal) else bound


def _after(bound: Value, like: Any) -> Any:
    """The first that comes after it; whatever lies between belongs to it."""
    if isinstance(like, datetime):
        return datetime.combine(date.fromisoformat(str(bound)) + timedelta(days=1), datetime.min.time())
    if isinstance(like, int | Decimal):
        # A column has at most nine decimals.
        return Decimal(str(bound)) + Decimal("1e-10")
    return f"{bound}\0"
