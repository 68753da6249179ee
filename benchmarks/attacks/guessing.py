"""Is she in it? Differencing and membership, by the best attacker that there is.

He knows every row but the target's, and the mechanism; then the likelihood-ratio test is a threshold on one
number, and no other attack on the same answer guesses better (Neyman–Pearson). The exact values and the
mechanism are taken from the running flow (catalog, load, view, plan, engine, price), once for D and once for
D′; only the noise, the one thing that is random, is drawn again and again.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.attacks.town import (
    ROW_BOUND,
    QuietNoise,
    RecordingNoise,
    Row,
    both,
    townspeople,
    visits_of_target,
)
from benchmarks.attacks.verdict import Guesses, Verdict, best_accuracy, guessed
from data_access.flows import loading
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Noise
from data_access.vault import make_view

#: Small, so that the bound is far from 1: B(0.1) = 61 %.
RHO = "0.1"


def differencing(draws: int) -> Verdict:
    """One person in or out: two counts whose difference is her, with as many rows as the bound lets count."""
    rows, without = [*townspeople(), *visits_of_target(ROW_BOUND)], townspeople()
    plan = {"dataset": "visits", "where": {"column": "month", "op": "eq", "value": "2026-09"}} | _count()
    ours = _guess(rows, without, plan, DiscreteGaussianNoise(), draws)
    control = _guess(rows, without, plan, QuietNoise(0.1), draws)
    return guessed(
        "differencing: one person in or out", "dsBase#251", ours, control, best_accuracy(float(RHO))
    )


def membership(draws: int) -> Verdict:
    """A heavy rider's trajectory, gu by hour: 200 rides where the bound keeps four."""
    rows, without = [*townspeople(), *visits_of_target(200)], townspeople()
    plan = {"dataset": "visits", "by": ["gu", {"fn": "hour", "column": "at"}]} | _count()
    ours = _guess(rows, without, plan, DiscreteGaussianNoise(), draws)

    def unbounded(store: Any, source: Any, dataset: Any, policy: Any, keys: Any) -> Any:
        return make_view(store, source, dataset, policy.model_copy(update={"row_bound": 10_000}), keys)

    with patch.object(loading, "make_view", unbounded):
        control = _guess(rows, without, plan, DiscreteGaussianNoise(), draws)
    return guessed(
        "membership of a heavy rider",
        "Xu arXiv:1702.06270; Guan arXiv:2406.18671",
        ours,
        control,
        best_accuracy(float(RHO)),
    )


def _count() -> dict[str, Any]:
    return {"measures": {"visits": {"fn": "count"}}}


def _guess(rows: list[Row], without: list[Row], plan: dict[str, Any], noise: Noise, draws: int) -> Guesses:
    """`draws` answers from each of the two towns, guessed one by one."""
    recorder = RecordingNoise()
    exact = []
    with both(rows, without, noise=recorder) as towns:
        for each in towns:
            each.ask(plan, RHO)
            assert recorder.exact is not None
            exact.append(recorder.exact)
    mechanism = recorder.mechanism
    assert mechanism is not None
    direction = exact[0] - exact[1]
    # Cells in which the towns agree say nothing: their noise is independent of the rest.
    cells = np.flatnonzero(direction)
    weights = direction[cells]
    middle = float(weights @ (exact[0][cells] + exact[1][cells])) / 2
    right = 0
    for inside, values in ((True, exact[0]), (False, exact[1])):
        noisy = np.array(noise.add(np.tile(values[cells], draws), mechanism)).reshape(draws, len(cells))
        leaning = noisy @ weights - middle
        right += int(np.sum(leaning > 0 if inside else leaning < 0)) + int(np.sum(leaning == 0)) // 2
    return Guesses(right, 2 * draws)
