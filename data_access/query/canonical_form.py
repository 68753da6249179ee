"""Equal questions become equal bytes, so that asking again in other words is free and teaches nothing.

Every rewrite here keeps the set of rows (two-valued logic holds: no column of a private view that a filter may
compare is ever null, and where one may be, the only question is whether it is): `not` pushed down to the
comparisons, `and`/`or` flattened, sorted and rid of repeats, every comparison over a finite domain written as
`in`, several `in` of one key joined into one, seasons written as months, dates written as `ge` and `lt`, a filter
that passes everything left out. It does not decide equivalence of all filters: two forms that stay apart cost
twice, and nothing worse. Order of keys and of measures carries no meaning; the client puts its columns back as
asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from math import gcd
from typing import assert_never

from data_access.canonical import canonical_bytes
from data_access.errors import PlanInvalid
from data_access.query.codec import encode_filter
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
    Missing,
    Not,
    Or,
    Persons,
    Plan,
    Quantiles,
    Share,
    Value,
    season_of,
)
from data_access.query.nodes import key_name as _key_name
from data_access.query.schema import PERIOD_KEY

PERIOD = ColumnKey(PERIOD_KEY)
Domains = Mapping[GroupKey, tuple[Value, ...]]


def canonical_plan(plan: Plan, domains: Domains) -> Plan:
    """The one form of `plan`. `domains` has the public domain of each finite key that the filter names, and the
    periods under `PERIOD`. A filter that no row can pass becomes one that names no month.
    """
    where = None if plan.where is None else _simple(plan.where, domains, holds=True)
    # Weights 2:2 are weights 1:1.
    divisor = gcd(*(measure.weight for _, measure in plan.measures))
    measures = [
        (name, replace(_simple_measure(measure, domains), weight=measure.weight // divisor))
        for name, measure in plan.measures
    ]
    if not any(isinstance(measure, Count | Persons) for _, measure in measures):
        # What cells are withheld by. It is paid for, so it stands in the answer, under the first free name.
        taken = {name for name, _ in measures} | {_key_name(key) for key in plan.by}
        measures.append((next(name for name in _COUNT_NAMES if name not in taken), Count()))
    try:
        return Plan(
            dataset=plan.dataset,
            where=_nothing(domains) if where is False else None if where is True or where is None else where,
            by=tuple(sorted(plan.by, key=_key_name)),
            measures=tuple(sorted(measures, key=lambda entry: entry[0])),
        )
    except ValueError as fault:
        # The count that was added is a ninth measure, or its interval has the name of another.
        raise PlanInvalid(where=str(fault)) from None


#: One more than a plan has names.
_COUNT_NAMES = ("count", *(f"count_{number}" for number in range(2, 20)))


def _simple_measure(measure: Measure, domains: Domains) -> Measure:
    match measure:
        case Quantiles(at=at):
            return replace(measure, at=tuple(sorted(at)))
        case Share(None, within):
            return replace(measure, within=tuple(sorted(within, key=_key_name)))
        case Share(where) if where is not None:
            simple = _simple(where, domains, holds=True)
            if isinstance(simple, bool):
                raise PlanInvalid(where="share: its condition holds for all rows or for none")
            return replace(measure, where=simple)
        case _:
            return measure


def _nothing(domains: Domains) -> Filter:
    return Not(In(PERIOD, domains[PERIOD]))


def _simple(node: Filter, domains: Domains, *, holds: bool) -> Filter | bool:
    """`node`, or its opposite where `holds` is false, without a `not` in it; a constant where it is one."""
    match node:
        case Not(part):
            return _simple(part, domains, holds=not holds)
        case And(parts) | Or(parts):
            # De Morgan: the opposite of a conjunction is the disjunction of the opposites.
            kind = And if isinstance(node, And) is holds else Or
            return _joined(kind, [_simple(part, domains, holds=holds) for part in parts], domains)
        case Missing(column, missing):
            return Missing(column, missing is holds)
        case Compare(FunctionKey(KeyFunction.SEASON)) | In(FunctionKey(KeyFunction.SEASON)):
            # As months, so that the months that it excludes are not charged.
            kept = [p for p in domains[PERIOD] if matches(node, season_of(str(p))) is holds]
            return _listed(PERIOD, kept, domains)
        case Compare(key) | In(key) | Between(key) if key in domains:
            return _listed(key, [v for v in domains[key] if matches(node, v) is holds], domains)
        case Compare(key, op, value):
            # A date: binding lets `ge` and `lt` through.
            return Compare(key, op if holds else _OPPOSITE[op], value)
        case Between(key, low, high):
            ends: list[Filter | bool] = [
                Compare(key, Comparison.GE if holds else Comparison.LT, low),
                Compare(key, Comparison.LT if holds else Comparison.GE, _day_after(str(high))),
            ]
            return _joined(And if holds else Or, ends, domains)
        case In():
            raise AssertionError("binding lets only ge, lt and between of dates through")
        case _:
            assert_never(node)


_OPPOSITE = {Comparison.GE: Comparison.LT, Comparison.LT: Comparison.GE}


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _listed(key: GroupKey, kept: Iterable[Value], domains: Domains) -> Filter | bool:
    """`in` with the values in the order of their domain; a constant for none or all of them."""
    chosen = set(kept)
    values = tuple(value for value in domains[key] if value in chosen)
    return In(key, values) if 0 < len(values) < len(domains[key]) else bool(values)


def _joined(kind: type[And] | type[Or], parts: Iterable[Filter | bool], domains: Domains) -> Filter | bool:
    neutral = kind is And
    lists: dict[GroupKey, set[Value]] = {}
    rest: list[Filter] = []
    for part in parts:
        if isinstance(part, bool):
            if part is not neutral:
                return part
            continue
        for inner in part.parts if isinstance(part, kind) else (part,):
            if isinstance(inner, In):
                found = set(inner.values)
                known = lists.get(inner.key, found)
                lists[inner.key] = known & found if kind is And else known | found
            else:
                rest.append(inner)
    for key, values in lists.items():
        listed = _listed(key, values, domains)
        if isinstance(listed, bool):
            if listed is not neutral:
                return listed
        else:
            rest.append(listed)
    flat = {canonical_bytes(encode_filter(part)): part for part in rest}
    ordered = tuple(flat[place] for place in sorted(flat))
    if not ordered:
        return neutral
    return ordered[0] if len(ordered) == 1 else kind(ordered)


def matches(node: Compare | In | Between, value: Value) -> bool:
    """Whether `value` passes a comparison over values of its own type."""
    match node:
        case In(_, values):
            return value in values
        case Between(_, low, high):
            return _ordered(low, value) and _ordered(value, high)
        case Compare(_, op, bound):
            match op:
                case Comparison.EQ:
                    return value == bound
                case Comparison.LT:
                    return not _ordered(bound, value)
                case Comparison.LE:
                    return _ordered(value, bound)
                case Comparison.GT:
                    return not _ordered(value, bound)
                case Comparison.GE:
                    return _ordered(bound, value)


def _ordered(low: Value, high: Value) -> bool:
    if isinstance(low, int) and isinstance(high, int):
        return low <= high
    return str(low) <= str(high)
