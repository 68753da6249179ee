"""A question that is keyed by the period, as one question for each period.

A unit's rows lie in one period (the unit is a person's month), so the parts are of disjoint units: each part is
charged to its own period alone and has the sensitivity of one period's cells. A part has no period among its
keys: it is the very question that somebody asks who wants that month only, and shares its stored answer.
"""

from __future__ import annotations

from dataclasses import replace

from data_access.query.binding import BoundPlan, bind
from data_access.query.canonical_form import PERIOD
from data_access.query.nodes import And, ColumnKey, Filter, FunctionKey, In, KeyFunction, Or, Share, season_of


def split(bound: BoundPlan) -> tuple[BoundPlan, ...]:
    """The parts of a question that is keyed by the period; empty where it is not, or where they do not make it up."""
    # A share within a total: that total may lie in several periods.
    total = any(isinstance(measure, Share) and measure.where is None for _, measure in bound.plan.measures)
    return parts(bound) if PERIOD in bound.plan.by and not total else ()


def parts(bound: BoundPlan) -> tuple[BoundPlan, ...]:
    """`bound` for each of its periods alone, in order, without the period among the keys; empty where a period
    is charged that the filter excludes all the same.
    """
    found = []
    for period in bound.periods:
        rest = True if bound.plan.where is None else _at(bound.plan.where, period)
        if rest is False:
            # Excluded by the season, say, which the charged periods do not look at.
            return ()
        month = In(PERIOD, (period,))
        plan = replace(
            bound.plan,
            where=month if rest is True else And((rest, month)),
            by=tuple(key for key in bound.plan.by if key != PERIOD),
        )
        found.append(bind(plan, bound.schema))
    return tuple(found)


def only(bound: BoundPlan, periods: tuple[str, ...]) -> BoundPlan:
    """`bound`, asked of these of its periods alone: one run of the engine for several parts."""
    kept = In(PERIOD, periods)
    where = kept if bound.plan.where is None else And((bound.plan.where, kept))
    return bind(replace(bound.plan, where=where), bound.schema)


def _at(node: Filter, period: str) -> Filter | bool:
    """A canonical filter as it reads inside one period: equal there for plans that differ elsewhere."""
    match node:
        case In(ColumnKey() as key, values) if key == PERIOD:
            return period in values
        case In(FunctionKey(KeyFunction.SEASON), values):
            return season_of(period) in values
        case And(parts) | Or(parts):
            is_and = isinstance(node, And)
            left = [found for part in parts if (found := _at(part, period)) is not is_and]
            if (not is_and) in left:
                return not is_and
            kept = tuple(part for part in left if not isinstance(part, bool))
            return type(node)(kept) if kept else is_and
        case _:
            return node
