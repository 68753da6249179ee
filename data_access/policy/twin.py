"""The twin: dummy rows made from signed metadata alone, to rehearse a notebook on before it touches a budget.

Domains, clips, periods and unit come from the policy, joint shapes from the catalog entry; nothing here can reach a
record. Any slice of any twin is made for itself: rows come in blocks, each from its own generator, so that row
100,000,000 costs no more than row 0. Equal arguments give equal rows (of one version of NumPy, whose streams may
change with a new one).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_access.catalog import Dataset
from data_access.catalog.twin import Spread, TwinShape
from data_access.policy.document import Clip, KeyDomain, Policy, UnitKind

#: Rows in a block. Part of what a twin is: another number gives other rows.
BLOCK = 1_000
#: One row in so many has a value outside each public list, as files have.
OTHER_EVERY = 100
PERIOD, UNIT, OTHER = "month", "unit", "other"


def twin_columns(policy: Policy, entry: Dataset) -> list[str]:
    """Names in the order of a row: the made-up unit (where it is a person), period, time, keys, measures.

    Keys and measures by name: a signed document has no order, and another one would draw other rows.
    """
    unit = [UNIT] if policy.unit.kind is UnitKind.PERSON else []
    return [*unit, PERIOD, entry.timed_by, *sorted(policy.keys), *sorted(policy.clips)]


def twin_rows(policy: Policy, entry: Dataset, *, seed: int, after: int, rows: int) -> list[list[str | int]]:
    """Rows `after` to `after + rows` of the twin with that seed. Times are `2026-09-01 08:12` in Asia/Seoul."""
    shape = entry.twin or TwinShape()
    found: list[list[str | int]] = []
    for block in range(after // BLOCK, -(-(after + rows) // BLOCK)):
        first = block * BLOCK
        made = _block(policy, entry, shape, seed, block)
        found += made[max(after - first, 0) : after + rows - first]
    return found


def _block(policy: Policy, entry: Dataset, shape: TwinShape, seed: int, block: int) -> list[list[str | int]]:
    draw = np.random.Generator(np.random.PCG64([seed, block]))
    units = -(-BLOCK // shape.rows_per_unit)
    periods = policy.periods()
    # A unit is one person in one month, so that `persons` add up as they do in the data.
    month_of = _choose(draw, np.ones(len(periods)), units)
    unit = _choose(draw, np.ones(units), BLOCK)
    months = month_of[unit]
    columns: dict[str, list[Any]] = {
        UNIT: [f"made-up-{block * units + int(number)}" for number in unit],
        PERIOD: [periods[month] for month in months],
        entry.timed_by: _times(draw, shape, periods, months),
    }
    columns |= _keys(draw, shape, policy.keys)
    columns |= {
        name: _numbers(draw, shape.spreads.get(name), clip) for name, clip in sorted(policy.clips.items())
    }
    names = twin_columns(policy, entry)
    return [list(row) for row in zip(*(columns[name] for name in names), strict=True)]


def _choose(draw: np.random.Generator, weights: NDArray[np.float64], rows: int) -> NDArray[np.intp]:
    """Places of `weights`, each as often as its weight says."""
    bounds = np.cumsum(weights)
    places: NDArray[np.intp] = np.searchsorted(bounds, draw.random(rows) * bounds[-1], side="right")
    return places


def _keys(draw: np.random.Generator, shape: TwinShape, keys: Mapping[str, KeyDomain]) -> dict[str, list[str]]:
    chosen: dict[str, NDArray[np.object_]] = {}
    for name, domain in sorted(keys.items()):
        named = shape.weights.get(name, {})
        weights = np.array([named.get(value, 1) for value in domain.values], dtype=np.float64)
        if not weights.any():
            weights[:] = 1
        values = np.array(domain.values, dtype=object)[_choose(draw, weights, BLOCK)]
        values[draw.random(BLOCK) < 1 / OTHER_EVERY] = OTHER
        chosen[name] = values
    for joint in shape.joints:
        if joint.column in chosen and joint.of in chosen:
            same = draw.random(BLOCK) * 100 < joint.percent
            known = np.isin(chosen[joint.of].astype(str), [*keys[joint.column].values, OTHER])
            chosen[joint.column] = np.where(same & known, chosen[joint.of], chosen[joint.column])
    return {name: [str(value) for value in values] for name, values in chosen.items()}


def _times(
    draw: np.random.Generator, shape: TwinShape, periods: tuple[str, ...], months: NDArray[np.intp]
) -> list[str]:
    hours = _choose(draw, np.array(shape.hours, dtype=np.float64), BLOCK)
    minutes = _choose(draw, np.ones(60), BLOCK)
    place = draw.random(BLOCK)
    days = np.zeros(BLOCK, dtype=np.intp)
    for number, period in enumerate(periods):
        year, month = map(int, period.split("-"))
        weights = [
            shape.weekdays[date(year, month, day).weekday()]
            for day in range(1, monthrange(year, month)[1] + 1)
        ]
        bounds = np.cumsum(np.array(weights, dtype=np.float64))
        here = months == number
        days[here] = 1 + np.searchsorted(bounds, place[here] * bounds[-1], side="right")
    return [
        f"{periods[month]}-{day:02d} {hour:02d}:{minute:02d}"
        for month, day, hour, minute in zip(
            months.tolist(), days.tolist(), hours.tolist(), minutes.tolist(), strict=True
        )
    ]


def _numbers(draw: np.random.Generator, spread: Spread | None, clip: Clip) -> list[int]:
    """Whole numbers within the clip: triangular where a shape is declared, else even."""
    share = draw.random(BLOCK)
    if spread is None or spread.low == spread.high:
        low, high = (spread.low, spread.high) if spread else (clip.low, clip.high)
        values = low + share * (high - low)
    else:
        # The inverse of the triangular distribution's function.
        width, rise = spread.high - spread.low, spread.mode - spread.low
        values = np.where(
            share * width < rise,
            spread.low + np.sqrt(share * width * rise),
            spread.high - np.sqrt((1 - share) * width * (spread.high - spread.mode)),
        )
    return [int(value) for value in np.clip(np.rint(values), clip.low, clip.high)]
