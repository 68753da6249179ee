"""Is the noise the one that was sold? χ² against the exact distribution, computed here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.stats import chi2

import data_access.demo as demo
from benchmarks.attacks.town import QuietNoise
from benchmarks.attacks.verdict import ALPHA, Verdict, counted
from data_access.pricing import sensitivity_squared
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Gaussian, Noise, gaussian
from data_access.query import Count, Measure, Persons

_BINS = 24


def wrong_noise(draws: int, scales: int | None = None) -> Verdict:
    """`draws` draws of each deployed scale (the first `scales` of them); successes: scales that χ² rejects.

    The control is a rounded continuous Gaussian whose σ is a little too small: by 2 % at 200,000 draws, and
    the more the fewer draws there are, so that the test could see it.
    """
    deployed = list(deployed_mechanisms())[:scales]
    weak = QuietNoise(1 - 9 / draws**0.5)
    ours = sum(_rejected(DiscreteGaussianNoise(), mechanism, draws) for mechanism in deployed)
    control = sum(_rejected(weak, mechanism, draws) for mechanism in deployed)
    name = f"wrong noise: {len(deployed)} deployed scales, {draws:,} draws each"
    return counted(name, "OpenDP#2638; Wilson et al. 2020", ours, control)


def deployed_mechanisms() -> Iterator[Gaussian]:
    """Every σ that a named precision or the default spend of the demonstration's policies buys, once."""
    known: set[str] = set()
    for path in sorted((Path(demo.__file__).parent / "policies").glob("*.yaml")):
        policy = yaml.safe_load(path.read_text("utf-8"))
        if policy["lane"] != "private":
            continue
        measures: list[Measure] = [Count(), Persons()] if policy["unit"]["kind"] == "person" else [Count()]
        for rho in [policy["default_spend"], *policy["precisions"].values()]:
            for measure in measures:
                square = sensitivity_squared(measure, policy["row_bound"], cells=600)
                mechanism = gaussian(square, Rho.parse(rho))
                if mechanism.scale not in known:
                    known.add(mechanism.scale)
                    yield mechanism


def _rejected(noise: Noise, mechanism: Gaussian, draws: int) -> bool:
    """Pearson's χ² over bins of about equal probability, at α = 1e-6."""
    drawn = np.array(noise.add(np.zeros(draws, dtype=np.int64), mechanism))
    values, probabilities = exact_distribution(float(mechanism.scale))
    edges = _edges(values, probabilities)
    expected = np.add.reduceat(probabilities, edges) * draws
    # Whatever lies outside `values` (probability below 1e-30) falls into the outermost bins.
    places = np.clip(drawn - values[0], 0, len(values) - 1)
    observed = np.add.reduceat(np.bincount(places, minlength=len(values)), edges)
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    return statistic > float(chi2.isf(ALPHA, len(edges) - 1))


def exact_distribution(sigma: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The discrete Gaussian: integers up to 12 σ and P(x) ∝ exp(−x²/2σ²) (arXiv:2004.00010, definition 1)."""
    reach = int(np.ceil(12 * sigma)) + 1
    values = np.arange(-reach, reach + 1, dtype=np.int64)
    weights = np.exp(-((values / sigma) ** 2) / 2)
    return values, weights / weights.sum()


def _edges(values: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """First place of each bin; a σ of a few units has fewer bins than `_BINS`, one for each integer."""
    reached = np.concatenate(([0.0], np.cumsum(probabilities)[:-1]))
    first = np.searchsorted(reached, np.arange(_BINS) / _BINS)
    edges: NDArray[np.int64] = np.unique(np.minimum(first, len(values) - 1)).astype(np.int64)
    # A last bin of the far tail alone would expect too few draws for χ².
    while probabilities[edges[-1] :].sum() < 0.5 / _BINS:
        edges = edges[:-1]
    return edges
