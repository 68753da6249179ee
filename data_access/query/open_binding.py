"""From a well-formed question to one that may be asked of an open dataset, in its one canonical form.

Equal questions are equal bytes here too, so that the same question has the same signed answer for as long as the
data are the same. What differs from the private lane: columns may be missing a value, and a comparison with a
missing value is neither true nor false, as in SQL. `not` is pushed down to the comparisons, where that stays exact;
above them only `and` and `or` are left, for which "unknown" and "false" are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NoReturn, assert_never

from data_access.canonical import canonical_bytes, content_id, sha256_hex
from data_access.errors import (
    MeasureRefused,
    PlanInvalid,
    TooManyCells,
    UnknownColumn,
    UnknownFunction,
    ValueOutsideDomain,
)
from data_access.query.binding import MAX_CELLS
from data_access.query.codec import encode_filter, encode_open
from data_access.query.nodes import (
    EVERY_COLUMN,
    FUNCTION_VALUES,
    MAX_PAGE,
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
    Measure,
    Missing,
    Not,
    Or,
    Persons,
    Plan,
    Rows,
    Sum,
    Value,
    key_name,
)
from data_access.query.open_schema import MONTH, NUMBERS, TIMES, OpenColumn, OpenSchema, OpenType
from data_access.query.schema import PERIOD_KEY

_CURSOR = re.compile(r"r([1-9][0-9]{0,8})-([1-9][0-9]{0,17})-([0-9a-f]{16})")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_MEASURES = ("count", "sum", "mean")
_FLIPPED = {
    Comparison.LT: Comparison.GE,
    Comparison.GE: Comparison.LT,
    Comparison.LE: Comparison.GT,
    Comparison.GT: Comparison.LE,
}


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: the place of its last row in one version of the data."""

    version: int
    place: int


@dataclass(frozen=True)
class OpenBound:
    """A canonical question, checked against `schema`. `bind_open` is its only maker."""

    plan: Plan | Rows
    schema: OpenSchema

    @cached_property
    def id(self) -> str:
        """`pln-…`: the same for every way of writing the same question."""
        return content_id("pln", canonical_bytes(self.document))

    @cached_property
    def document(self) -> dict[str, Any]:
        return encode_open(self.plan)

    @cached_property
    def cursor(self) -> Cursor | None:
        """Raises PlanInvalid for a continuation that no page of this question gave."""
        after = self.plan.after if isinstance(self.plan, Rows) else None
        if after is None:
            return None
        found = _CURSOR.fullmatch(after)
        if found is None or found[3] != self._check:
            raise PlanInvalid(where="after: the `next` of an earlier page of the same question")
        return Cursor(int(found[1]), int(found[2]))

    def continuation(self, ended: Cursor) -> str:
        """What `after` says for the page that follows. A function of question, version and place alone."""
        return f"r{ended.version}-{ended.place}-{self._check}"

    @cached_property
    def _check(self) -> str:
        """Ties a continuation to its question: under another filter the same place would skip rows in silence."""
        return sha256_hex(canonical_bytes(self.document | {"limit": None, "after": None}))[:16]


def bind_open(question: Plan | Rows, schema: OpenSchema) -> OpenBound:
    """Raises UnknownColumn, UnknownFunction, ValueOutsideDomain, MeasureRefused, TooManyCells or PlanInvalid."""
    where = None if question.where is None else _simple(question.where, schema, holds=True)
    if isinstance(question, Rows):
        bound = OpenBound(_rows(question, where, schema), schema)
        # A continuation of another question is refused here, before anything is priced or read.
        _ = bound.cursor
        return bound
    for key in question.by:
        column_of(key, schema)
    measures = []
    for name, measure in question.measures:
        _check_measure(name, measure, schema)
        measures.append((name, replace(measure, weight=1)))
    canonical = Plan(
        dataset=question.dataset,
        where=where,
        by=tuple(sorted(question.by, key=key_name)),
        measures=tuple(sorted(measures, key=lambda entry: entry[0])),
    )
    return OpenBound(canonical, schema)


def _rows(question: Rows, where: Filter | None, schema: OpenSchema) -> Rows:
    columns = tuple(schema.columns) if question.columns == (EVERY_COLUMN,) else question.columns
    for name in columns:
        if name not in schema.columns:
            raise UnknownColumn(column=name, dataset=schema.dataset, known=", ".join(schema.columns))
    limit = question.limit or min(MAX_PAGE, MAX_CELLS // len(columns))
    if limit * len(columns) > MAX_CELLS:
        raise TooManyCells(cells=limit * len(columns), maximum=MAX_CELLS)
    return Rows(question.dataset, where, columns, limit, question.after)


def _check_measure(name: str, measure: Measure, schema: OpenSchema) -> None:
    match measure:
        case Count():
            return
        case Sum(column) | Mean(column):
            known = {each.name for each in schema.columns.values() if each.type in NUMBERS}
            if column not in known:
                raise UnknownColumn(
                    column=column, dataset=schema.dataset, known=", ".join(sorted(known)) or "-"
                )
        case Persons():
            raise MeasureRefused(measure=name)
        case _:
            # Those over declared bins: without clips there are none, and the rows are there for everything else.
            raise UnknownFunction(function=f"measures.{name}"[:80], known=", ".join(_MEASURES))


def column_of(key: GroupKey, schema: OpenSchema) -> OpenColumn:
    """The column that `key` reads; for a function, one with the type of its values."""
    match key:
        case FunctionKey(KeyFunction.BAND):
            offered = [fn.value for fn in KeyFunction if fn is not KeyFunction.BAND]
            raise UnknownFunction(function=key_name(key)[:80], known=", ".join(offered))
        case FunctionKey(KeyFunction.SEASON, column):
            if schema.time_column is None or column != PERIOD_KEY:
                raise PlanInvalid(
                    where=f"{key_name(key)} reads the month of a dataset that has a time column"
                )
            return MONTH
        case FunctionKey(_, column):
            if schema.time_column is None or column != schema.time_column:
                raise PlanInvalid(where=f"{key_name(key)} reads the time column {schema.time_column or '-'}")
            return OpenColumn(key_name(key), OpenType.INTEGER)
        case ColumnKey(column):
            found = schema.columns.get(column)
            if found is not None:
                return found
            if column == PERIOD_KEY and schema.time_column is not None:
                return MONTH
            raise UnknownColumn(column=column, dataset=schema.dataset, known=schema.known)
        case _:
            assert_never(key)


# --- the canonical form of a filter ---


def _simple(node: Filter, schema: OpenSchema, *, holds: bool) -> Filter:
    """`node`, checked, or its opposite where `holds` is false; `not` stands over an `in` alone."""
    match node:
        case Not(part):
            return _simple(part, schema, holds=not holds)
        case And(parts) | Or(parts):
            # De Morgan holds with unknowns too.
            kind = And if isinstance(node, And) is holds else Or
            return _joined(kind, (_simple(part, schema, holds=holds) for part in parts))
        case Missing(column, missing):
            if column not in schema.columns:
                raise UnknownColumn(column=column, dataset=schema.dataset, known=", ".join(schema.columns))
            return Missing(column, missing is holds)
        case In(key, values):
            return _listed(key, values, schema, holds=holds)
        case Compare(key, Comparison.EQ, value):
            return _listed(key, (value,), schema, holds=holds)
        case Compare(key, op, value):
            read = _ordered(key, schema)
            if read.type is OpenType.MOMENT and op not in (Comparison.GE, Comparison.LT):
                _refuse_moment(key)
            return Compare(key, op if holds else _FLIPPED[op], _value(value, key, read))
        case Between(key, low, high):
            read = _ordered(key, schema)
            first, last = _value(low, key, read), _value(high, key, read)
            if read.type in TIMES:
                ends = [
                    Compare(key, Comparison.GE, first),
                    Compare(key, Comparison.LT, _day_after(str(last))),
                ]
            else:
                ends = [Compare(key, Comparison.GE, first), Compare(key, Comparison.LE, last)]
            if holds:
                return _joined(And, ends)
            return _joined(Or, [replace(end, op=_FLIPPED[end.op]) for end in ends])
        case _:
            assert_never(node)


def _joined(kind: type[And] | type[Or], parts: Iterable[Filter]) -> Filter:
    flat = {
        canonical_bytes(encode_filter(inner)): inner
        for part in parts
        for inner in (part.parts if isinstance(part, kind) else (part,))
    }
    ordered = tuple(flat[place] for place in sorted(flat))
    return ordered[0] if len(ordered) == 1 else kind(ordered)


def _listed(key: GroupKey, values: tuple[Value, ...], schema: OpenSchema, *, holds: bool) -> Filter:
    column = column_of(key, schema)
    if column.type is OpenType.MOMENT:
        _refuse_moment(key)
    chosen = {_value(value, key, column) for value in values}
    listed = In(key, tuple(sorted(chosen, key=lambda value: (str(type(value)), value))))
    return listed if holds else Not(listed)


def _ordered(key: GroupKey, schema: OpenSchema) -> OpenColumn:
    column = column_of(key, schema)
    is_season = isinstance(key, FunctionKey) and key.fn is KeyFunction.SEASON
    if is_season or (column.type is OpenType.TEXT and column is not MONTH):
        raise PlanInvalid(where=f"{key_name(key)} has no order: use eq, ne or in")
    return column


def _value(value: Value, key: GroupKey, column: OpenColumn) -> Value:
    """`value` as the canonical form writes it. Raises PlanInvalid or ValueOutsideDomain."""
    if isinstance(key, FunctionKey):
        if value not in FUNCTION_VALUES[key.fn]:
            raise ValueOutsideDomain(column=key_name(key))
        return value
    match column.type:
        case OpenType.TEXT:
            wrong = not isinstance(value, str) or (column is MONTH and not _MONTH.fullmatch(value))
        case OpenType.INTEGER:
            wrong = not isinstance(value, int)
        case OpenType.DECIMAL:
            found = scaled(value, column)
            if found is None:
                raise PlanInvalid(
                    where=f"{column.name} is compared with a number of at most {column.places} decimals"
                )
            return decimal_text(found, column.places)
        case OpenType.DAY | OpenType.MOMENT:
            wrong = not _is_day(value)
        case _:
            assert_never(column.type)
    if wrong:
        kind = "month" if column is MONTH else column.type.value
        raise PlanInvalid(where=f"{column.name} is compared with a value of its type ({kind})")
    return value


def scaled(value: Value, column: OpenColumn) -> int | None:
    """A number as the whole number that the view holds; None for what is none, or has more decimals."""
    spelled = str(value)
    if not _DECIMAL.fullmatch(spelled):
        return None
    found = Decimal(spelled).scaleb(column.places)
    return int(found) if found == found.to_integral_value() and abs(found) < 2**63 else None


def decimal_text(number: int, places: int) -> str:
    """The number that the view's whole number stands for, with all its places: `-0.050`."""
    return f"{Decimal(number).scaleb(-places):.{places}f}"


def _is_day(value: Value) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value < "9999-12-31"
    except ValueError:
        return False


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _refuse_moment(key: GroupKey) -> NoReturn:
    raise PlanInvalid(where=f"{key_name(key)} is compared by whole days: ge, lt or between")
