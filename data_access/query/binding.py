"""From a well-formed plan to one that may run: every name and value stands in the signed domains.

`BoundPlan` is the only type that the compiler, the price and the ledger take, and `bind` its only maker: a
plan that was not checked cannot reach them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import prod
from typing import Any, assert_never

from data_access.canonical import canonical_bytes, content_id
from data_access.errors import (
    BinsMissing,
    MeasureRefused,
    PlanInvalid,
    TooManyCells,
    UnknownColumn,
    ValueOutsideDomain,
)
from data_access.query.canonical_form import PERIOD, canonical_plan
from data_access.query.codec import encode_plan
from data_access.query.measures import Vector, figures, vectors
from data_access.query.nodes import (
    FUNCTION_VALUES,
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
    Plan,
    Quantiles,
    Share,
    Sum,
    Value,
    key_name,
)
from data_access.query.periods import charged_periods
from data_access.query.schema import PERIOD_KEY, MeasureColumn, Schema

MAX_CELLS = 100_000
#: Years outside these are no question about a city, and their neighbouring days would leave the calendar.
_FIRST_DAY, _LAST_DAY, _DAY_AFTER = "1900-01-01", "2999-12-31", "3000-01-01"


@dataclass(frozen=True)
class BoundPlan:
    """A canonical plan, checked against `schema`."""

    plan: Plan
    schema: Schema

    @cached_property
    def id(self) -> str:
        """`pln-…`: the same for every way of writing the same question."""
        return content_id("pln", canonical_bytes(self.document))

    @cached_property
    def document(self) -> dict[str, Any]:
        return encode_plan(self.plan)

    @cached_property
    def domains(self) -> tuple[tuple[Value, ...], ...]:
        """The public values of each key, in the order of `plan.by`. Periods that the filter excludes have no cells:
        there would be nothing in them but noise.
        """
        return tuple(self.periods if key == PERIOD else _domain(key, self.schema) for key in self.plan.by)

    @cached_property
    def vectors(self) -> tuple[Vector, ...]:
        """What is computed, and by which mechanisms it is protected, in the order of the measures."""
        return tuple(v for name, measure in self.plan.measures for v in vectors(name, measure, self.schema))

    @property
    def cells(self) -> int:
        return prod(len(domain) for domain in self.domains)

    @cached_property
    def periods(self) -> tuple[str, ...]:
        """Every period that the plan does not provably exclude: each is charged in full."""
        return charged_periods(self.plan.where, self.schema)


def bind(plan: Plan, schema: Schema) -> BoundPlan:
    """Raises UnknownColumn, ValueOutsideDomain, MeasureRefused, BinsMissing, TooManyCells or PlanInvalid."""
    for key in plan.by:
        _check_key(key, schema)
        if isinstance(key, ColumnKey) and key.column == schema.time_column:
            raise PlanInvalid(where="by: the time column is asked through hour or weekday")
    domains: dict[GroupKey, tuple[Value, ...]] = {PERIOD: schema.periods}
    if plan.where is not None:
        _check_filter(plan.where, schema, domains)
    for name, measure in plan.measures:
        _check_measure(name, measure, plan, schema, domains)
    bound = BoundPlan(canonical_plan(plan, domains), schema)
    _check_headings(bound)
    # A histogram has a number for each bin of each cell, and each is drawn, stored and sent.
    numbers = bound.cells * max(len(vector.columns) for vector in bound.vectors)
    if numbers > MAX_CELLS:
        raise TooManyCells(cells=numbers, maximum=MAX_CELLS)
    return bound


def _check_measure(
    name: str, measure: Measure, plan: Plan, schema: Schema, domains: dict[GroupKey, tuple[Value, ...]]
) -> None:
    match measure:
        case Count():
            return
        case Persons():
            if not schema.counts_persons:
                raise MeasureRefused(measure=name)
        case Sum(column) | Mean(column):
            _measure_column(column, schema)
        case Histogram(column) | Quantiles(column):
            if not _measure_column(column, schema).edges:
                raise BinsMissing(column=column)
        case Share(where, within):
            if where is not None:
                _check_filter(where, schema, domains)
            elif not set(within) < set(plan.by) or len(set(within)) != len(within):
                raise PlanInvalid(where="share: `within` names some of the keys of `by`, not all of them")
        case _:
            assert_never(measure)


def _measure_column(name: str, schema: Schema) -> MeasureColumn:
    found = schema.measures.get(name)
    if found is None:
        raise UnknownColumn(
            column=name, dataset=schema.dataset, known=", ".join(sorted(schema.measures)) or "-"
        )
    return found


def _check_headings(bound: BoundPlan) -> None:
    """A histogram's `m_bin1` may be what the asker calls another measure."""
    headings = [key_name(key) for key in bound.plan.by] + ["withheld"]
    for name, measure in bound.plan.measures:
        for figure in figures(name, measure, bound.schema):
            headings += [figure.name, f"{figure.name}_low", f"{figure.name}_high"]
    if len(set(headings)) != len(headings):
        raise PlanInvalid(where="column names of the answer are distinct")


def _domain(key: GroupKey, schema: Schema) -> tuple[Value, ...]:
    match key:
        case FunctionKey(KeyFunction.BAND, column):
            return _measure_column(column, schema).bands
        case FunctionKey(fn):
            return FUNCTION_VALUES[fn]
        case ColumnKey(column):
            found = schema.column(column)
            if found is None:
                raise UnknownColumn(column=column, dataset=schema.dataset, known=schema.known)
            return found.domain
        case _:
            assert_never(key)


def _check_key(key: GroupKey, schema: Schema) -> None:
    name = key.column
    is_time = name == schema.time_column
    if isinstance(key, FunctionKey):
        if key.fn is KeyFunction.BAND:
            if not _measure_column(name, schema).edges:
                raise BinsMissing(column=name)
        elif key.fn is KeyFunction.SEASON:
            if name != PERIOD_KEY:
                raise PlanInvalid(where=f"{key_name(key)} reads the period, {PERIOD_KEY}")
        elif not is_time:
            raise PlanInvalid(where=f"{key_name(key)} reads the time column {schema.time_column}")
    elif not is_time and schema.column(name) is None:
        raise UnknownColumn(column=name, dataset=schema.dataset, known=schema.known)


def _check_filter(node: Filter, schema: Schema, domains: dict[GroupKey, tuple[Value, ...]]) -> None:
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                _check_filter(part, schema, domains)
        case Not(part):
            _check_filter(part, schema, domains)
        case Missing(column):
            _measure_column(column, schema)
        case Compare(key) | In(key) | Between(key):
            _check_key(key, schema)
            if isinstance(key, ColumnKey) and key.column == schema.time_column:
                _check_dates(node)
                return
            domain = _domain(key, schema)
            domains[key] = domain
            if any(value not in domain for value in _values(node)):
                raise ValueOutsideDomain(column=key_name(key))
            if not isinstance(node, In) and not _has_order(node, key):
                raise PlanInvalid(where=f"{key_name(key)} has no order: use eq, ne or in")
        case _:
            assert_never(node)


def _has_order(node: Compare | Between, key: GroupKey) -> bool:
    is_equality = isinstance(node, Compare) and node.op is Comparison.EQ
    if isinstance(key, FunctionKey):
        return is_equality or key.fn in (KeyFunction.HOUR, KeyFunction.WEEKDAY)
    return is_equality or key.column == PERIOD_KEY


def _values(node: Compare | In | Between) -> tuple[Value, ...]:
    match node:
        case Compare(_, _, value):
            return (value,)
        case In(_, values):
            return values
        case Between(_, low, high):
            return (low, high)


def _check_dates(node: Compare | In | Between) -> None:
    """The time column is filtered by whole days: `ge`, `lt` or `between` of dates, as 2026-09-01."""
    whole_days = isinstance(node, Between) or (
        isinstance(node, Compare) and node.op in (Comparison.GE, Comparison.LT)
    )
    if not whole_days:
        raise PlanInvalid(where="the time column takes ge, lt or between")
    for value in _values(node):
        try:
            if not isinstance(value, str) or date.fromisoformat(value).isoformat() != value:
                raise ValueError
            # A `between` becomes `lt` the day after, which may be asked as well.
            if not _FIRST_DAY <= value <= (_LAST_DAY if isinstance(node, Between) else _DAY_AFTER):
                raise ValueError
        except ValueError:
            raise PlanInvalid(where="a date is written as 2026-09-01") from None
