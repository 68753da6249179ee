"""Which periods a plan may read: those that its filter does not provably exclude.

Three-valued logic over whole months: of each part we know whether it *can* hold and whether it *can* fail for
some row of the month. What is not decided by month or date can do both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never

from data_access.query.canonical_form import matches
from data_access.query.nodes import And, Between, ColumnKey, Compare, Comparison, Filter, In, Missing, Not, Or
from data_access.query.schema import PERIOD_KEY, Schema


@dataclass(frozen=True)
class _Possible:
    true: bool
    false: bool


def charged_periods(where: Filter | None, schema: Schema) -> tuple[str, ...]:
    """Periods in order. An empty tuple means: the filter can hold in no month at all."""
    if where is None:
        return schema.periods
    return tuple(p for p in schema.periods if _possible(where, p, schema).true)


def _possible(node: Filter, period: str, schema: Schema) -> _Possible:
    match node:
        case And(parts):
            found = [_possible(part, period, schema) for part in parts]
            return _Possible(all(f.true for f in found), any(f.false for f in found))
        case Or(parts):
            found = [_possible(part, period, schema) for part in parts]
            return _Possible(any(f.true for f in found), all(f.false for f in found))
        case Not(part):
            inner = _possible(part, period, schema)
            return _Possible(inner.false, inner.true)
        case Compare(ColumnKey(column)) | In(ColumnKey(column)) | Between(ColumnKey(column)):
            if column == PERIOD_KEY:
                holds = matches(node, period)
                return _Possible(holds, not holds)
            if column == schema.time_column:
                return _possible_dates(node, period)
            return _Possible(True, True)
        case Compare() | In() | Between() | Missing():
            return _Possible(True, True)
        case _:
            assert_never(node)


def _possible_dates(node: Compare | In | Between, period: str) -> _Possible:
    first, last = month_days(period)
    match node:
        case Between(_, str(low), str(high)):
            start, end = date.fromisoformat(low), date.fromisoformat(high)
        case Compare(_, Comparison.GE, str(low)):
            start, end = date.fromisoformat(low), date.max
        case Compare(_, Comparison.LT, str(high)):
            bound = date.fromisoformat(high)
            if bound == date.min:
                return _Possible(False, True)
            start, end = date.min, bound - timedelta(days=1)
        case _:
            return _Possible(True, True)
    return _Possible(start <= last and end >= first and start <= end, start > first or end < last)


def month_days(period: str) -> tuple[date, date]:
    """First and last day of `YYYY-MM`."""
    year, month = map(int, period.split("-"))
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, 1), following - timedelta(days=1)
