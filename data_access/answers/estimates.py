"""What noisy integers say about a mean, a share or a quantile: an estimate and an interval that holds 95 % of the time.

Post-processing only: nothing here reads data or costs anything. Floats are allowed for the same reason; what is
signed are the decimal texts that come out, intervals rounded outwards.

- Ratios (`mean`, `share`): the interval is the set of ratios θ that x − θy, whose noise is known, does not reject
  (Fieller 1954, "Some problems in interval estimation", J. R. Stat. Soc. B 16, 175–185), cut to what a ratio can
  be. Where the total is lost in its noise the set is unbounded, and the whole range is shown. The delta method
  was rejected: at small cells it promises too much.
- Quantiles: the bins j whose cumulated count does not reject "the quantile lies in bin j" (test inversion:
  Woodruff 1952, "Confidence intervals for medians and other position measures", JASA 47, 635–646). Each end fails
  only at the one true bin, so a pointwise band holds for each quantile, and no wider simultaneous one is needed.

Noise is discrete: half a step is added to each half-width, which covers also where σ is below one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from data_access.canonical import Json
from data_access.pricing import Quote
from data_access.query import Count, Figure, Histogram, Mean, Persons, Quantiles, Share, Sum, figures

_Z = 1.959963985
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """One heading of the answer: value, lower and upper end for each cell. Whole numbers are int, others text."""

    figure: Figure
    values: Sequence[Json]
    lows: Sequence[Json]
    highs: Sequence[Json]


def estimates(quote: Quote, name: str, noisy: Mapping[str, Sequence[int]]) -> list[Estimate]:
    """The figures of the measure `name`, in the order of `query.figures`."""
    bound = quote.bound
    measure = dict(bound.plan.measures)[name]
    draws = quote.of(name)
    named = figures(name, measure, bound.schema)
    spreads = [margin_spread(float(draw.mechanism.scale)) for draw in draws]
    columns = [column for draw in draws for column in draw.vector.columns]
    match measure:
        case Count() | Persons() | Sum() | Histogram():
            margin = draws[0].mechanism.margin
            return [
                Estimate(
                    figure,
                    noisy[column],
                    [value - margin for value in noisy[column]],
                    [value + margin for value in noisy[column]],
                )
                for figure, column in zip(named, columns, strict=True)
            ]
        case Mean(column):
            clip = bound.schema.measures[column]
            half = (clip.high - clip.low) / 2
            rows, centred = (_floats(noisy[column]) for column in columns)
            found = ratio(centred / 2, rows, spreads[1] ** 2 / 4, spreads[0] ** 2, 0.0, -half, half)
            return [_decimal(named[0], *(end + (clip.low + clip.high) / 2 for end in found), digits=3)]
        case Share(None, within):
            part = _floats(noisy[name])
            grid = part.reshape([len(domain) for domain in bound.domains])
            lost = tuple(place for place, key in enumerate(bound.plan.by) if key not in within)
            whole = np.broadcast_to(grid.sum(axis=lost, keepdims=True), grid.shape).reshape(-1)
            many = math.prod(grid.shape[place] for place in lost)
            one = spreads[0] ** 2
            return [_decimal(named[0], *ratio(part, whole, one, many * one, one, 0.0, 1.0), digits=5)]
        case Share():
            yes, no = (_floats(noisy[column]) for column in columns)
            one = spreads[0] ** 2
            return [_decimal(named[0], *ratio(yes, yes + no, one, 2 * one, one, 0.0, 1.0), digits=5)]
        case Quantiles(column, at):
            bins = np.stack([_floats(noisy[column]) for column in columns])
            ends = bound.schema.measures[column].bins
            return [
                _decimal(figure, *quantile(bins, ends, per_cent, spreads[0]), digits=3)
                for figure, per_cent in zip(named, at, strict=True)
            ]
        case _:
            assert_never(measure)


def margin_spread(scale: float) -> float:
    """σ `scale` plus half a step of discrete noise, written as a larger σ."""
    return scale + 0.5 / _Z


def ratio(
    part: Numbers, whole: Numbers, part_variance: float, whole_variance: float, covariance: float,
    least: float, most: float,
) -> tuple[Numbers, Numbers, Numbers]:  # fmt: skip
    """part ÷ whole and its 95 % interval in [`least`, `most`], cell by cell (Fieller)."""
    square = _Z * _Z
    a = whole**2 - square * whole_variance
    b = part * whole - square * covariance
    c = part**2 - square * part_variance
    # A whole that its own noise may have made tells nothing about the ratio.
    bounded = (a > 0) & (whole > 0)
    safe = np.where(bounded, a, 1.0)
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    low = np.where(bounded, (b - root) / safe, least)
    high = np.where(bounded, (b + root) / safe, most)
    value = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), (least + most) / 2)
    return _within(value, least, most), _within(low, least, most), _within(high, least, most)


def quantile(
    bins: Numbers, ends: Sequence[tuple[int, int]], per_cent: int, spread: float
) -> tuple[Numbers, Numbers, Numbers]:
    """The smallest value that `per_cent` of the rows do not exceed, and its 95 % interval: whole bins, since what
    is inside a bin was never asked. `bins` is (bins, cells), `ends` the first and last integer of each bin, `spread`
    the σ of one number. Inside its bin the estimate assumes that rows lie evenly.
    """
    many = len(ends)
    below = np.cumsum(bins, axis=0)
    # Not negative from the quantile's own bin on: 100 × (rows up to bin j) − per_cent × (all rows).
    score = (100 - per_cent) * below - per_cent * (below[-1] - below)
    upto = np.arange(1, many + 1)[:, None]
    margin = _Z * spread * np.sqrt((100 - per_cent) ** 2 * upto + per_cent**2 * (many - upto))
    first = _first(score + margin >= 0)
    # One past the last bin that is surely too low; the last bin of all is never too low.
    surely = score[:-1] - margin[:-1] < 0
    last = np.where(surely.any(axis=0), many - 1 - np.argmax(surely[::-1], axis=0), 0)
    place = np.clip(_first(score >= 0), first, last)
    cells = np.arange(bins.shape[1])
    lows, highs = (np.array([end[side] for end in ends], dtype=np.float64) for side in (0, 1))
    before = np.where(place > 0, below[place - 1, cells], 0.0)
    inside = bins[place, cells]
    wanted = per_cent / 100 * below[-1] - before
    part = _within(wanted / np.where(inside > 0, inside, 1.0), 0.0, 1.0)
    value = lows[place] + part * (highs[place] - lows[place])
    return value, lows[first], highs[last]


def _first(holds: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first bin of each cell for which it holds, the last bin where it holds for none."""
    return np.where(holds.any(axis=0), np.argmax(holds, axis=0), len(holds) - 1)


def _within(values: Numbers, least: float, most: float) -> Numbers:
    return np.clip(values, least, most)


def _floats(values: Sequence[int]) -> Numbers:
    return np.asarray(values, dtype=np.float64)


def _decimal(figure: Figure, value: Numbers, low: Numbers, high: Numbers, *, digits: int) -> Estimate:
    step = 10.0**digits

    def texts(numbers: NDArray[Any]) -> list[Json]:
        # Plus 0.0, so that no cell reads -0.000.
        return [f"{number:.{digits}f}" for number in (numbers / step + 0.0).tolist()]

    return Estimate(
        figure, texts(np.round(value * step)), texts(np.floor(low * step)), texts(np.ceil(high * step))
    )
