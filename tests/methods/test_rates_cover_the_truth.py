"""The promise of `methods.rates`: the interval holds the truth as often as it says."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from civic_kernel.methods.rates import CLEARLY, gamma_poisson
from tests.methods.conftest import Draws

#: Draws of the quick case: of 25 places each, so their mean is known to a third of a per cent.
QUICK = 200
#: Accidents: row unit, ρ 0.05. Rides: twelve cells of a person-month answer at ρ 0.01 and row bound 20.
ACCIDENT_SD, RIDE_SD = 10**0.5, (12 * 20_000) ** 0.5


THREE_TWICE = np.where(np.isin(np.arange(25), [3, 10, 17]), 2.0, 1.0)
WORLDS = {
    "three stand out": (THREE_TWICE, 80.0),
    "three stand out, few accidents": (THREE_TWICE, 15.0),
    "all alike": (np.ones(25), 80.0),
    "spread": (np.random.default_rng(8).gamma(8, 1 / 8, 25), 60.0),
}


@cache
def _simulate(world: str, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, share flagged) by place, for 25 places of uneven riding."""
    multiple, accidents = WORLDS[world]
    rng = np.random.default_rng(1)
    rides = rng.uniform(30_000, 160_000, len(multiple))
    rate = accidents / rides.mean() * multiple
    cover, above = np.zeros(len(multiple)), np.zeros(len(multiple))
    for _ in range(draws):
        seen = rng.poisson(rate * rides) + np.round(rng.normal(0, ACCIDENT_SD, len(rides)))
        exposure = rides + rng.normal(0, RIDE_SD, len(rides))
        fit = gamma_poisson(seen, exposure, ACCIDENT_SD, np.full(len(rides), RIDE_SD))
        cover += (fit.low <= rate) & (rate <= fit.high)
        above += fit.low > CLEARLY * fit.overall
    return cover / draws, above / draws


@pytest.fixture
def count(draws: Draws) -> int:
    return max(draws.count, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_95_percent_intervals_cover_at_least_93_percent(world: str, count: int) -> None:
    cover, _ = _simulate(world, count)
    assert cover.mean() >= 0.93


@pytest.mark.slow
def test_places_at_twice_the_rate_are_found_and_others_left_alone(count: int) -> None:
    _, above = _simulate("three stand out", count)
    assert above[THREE_TWICE == 2].mean() >= 0.8
    assert above[THREE_TWICE == 1].mean() <= 0.005


@pytest.mark.slow
def test_where_all_are_alike_almost_nobody_is_accused(count: int) -> None:
    _, above = _simulate("all alike", count)
    assert above.mean() <= 0.002


def test_ignoring_the_privacy_noise_would_break_the_promise() -> None:
    """The positive control: the same fit told that counts are exact covers too little."""
    rng = np.random.default_rng(4)
    rides = np.full(25, 20_000.0)
    rate = 8 / 20_000 * WORLDS["spread"][0]
    cover = np.zeros(25)
    for _ in range(300):
        seen = rng.poisson(rate * rides) + np.round(rng.normal(0, 2 * ACCIDENT_SD, 25))
        fit = gamma_poisson(seen, rides, 0.0, np.zeros(25))
        cover += (fit.low <= rate) & (rate <= fit.high)
    assert (cover / 300).mean() < 0.9


def test_same_numbers_give_the_same_bytes() -> None:
    events, rides = np.array([3.0, -2.0, 40.0]), np.array([9e4, 3e4, 8e4])
    one, two = (gamma_poisson(events, rides, 3.2, np.full(3, 490.0)) for _ in range(2))
    assert one.low.tobytes() == two.low.tobytes() and one.high.tobytes() == two.high.tobytes()
    assert np.all(np.isfinite(one.mean)) and np.all((one.low < one.mean) & (one.mean < one.high))
