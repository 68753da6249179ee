"""What both compilers make of a plan in the same words of Ibis: the logic of a filter, and functions of a column.

The lanes differ in what a column is (a private view's integers and public keys, an open view's values as the files have
them) and so in the leaves of a filter, which each brings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, assert_never

import ibis
import ibis.expr.types as ir

from data_access.query.nodes import (
    SEASONS,
    And,
    Between,
    Compare,
    Comparison,
    Filter,
    FunctionKey,
    In,
    KeyFunction,
    Missing,
    Not,
    Or,
    season_of,
)

Leaf = Compare | Between | In


def predicate(node: Filter, table: ir.Table, leaf: Callable[[Leaf], Any]) -> Any:
    """The filter as a condition on `table`; `leaf` compiles what compares a key."""
    match node:
        case And(parts):
            return reduce(lambda a, b: a & b, (predicate(part, table, leaf) for part in parts))
        case Or(parts):
            return reduce(lambda a, b: a | b, (predicate(part, table, leaf) for part in parts))
        case Not(part):
            return ~predicate(part, table, leaf)
        case Missing(column, holds):
            return table[column].isnull() if holds else table[column].notnull()
        case Compare() | Between() | In():
            return leaf(node)
        case _:
            assert_never(node)


def function_key(key: FunctionKey, table: ir.Table, period: str) -> Any:
    """A function of a time that both lanes have; `period` is the view's column of months, `YYYY-MM`."""
    match key:
        case FunctionKey(KeyFunction.HOUR, column):
            return table[column].hour()
        case FunctionKey(KeyFunction.WEEKDAY, column):
            return table[column].day_of_week.index()
        case FunctionKey(KeyFunction.SEASON):
            month = table[period].substr(5, 2)
            listed = {
                season: [f"{n:02}" for n in range(1, 13) if season_of(f"0000-{n:02}") == season]
                for season in SEASONS
            }
            return ibis.cases(*((month.isin(months), season) for season, months in listed.items()))
        case _:
            raise AssertionError("every key function is compiled")


def compare(left: Any, op: Comparison, right: Any) -> Any:
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
