"""Which of two neighbouring data sets was it? The best attacker that there is.

He knows every row but the target's, and the mechanism; then the likelihood-ratio test is a threshold on one
number, and no other attack on the same answers guesses better (Neyman–Pearson). The exact values and the
mechanisms are taken from the running flow (catalog, load, view, plan, engine, price), once for D and once for
D′; only the noise, the one thing that is random, is drawn again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.attacks.town import (
    GU,
    HOUR,
    IN_MONTH,
    MONTH,
    ROW_BOUND,
    TARGET,
    Drawn,
    Plan,
    QuietNoise,
    RecordingNoise,
    Row,
    amend,
    count,
    town,
    townspeople,
    visits_of_target,
)
from benchmarks.attacks.verdict import Guesses, Verdict, best_accuracy, guessed
from benchmarks.workspace import Workspace
from data_access.flows import answering, loading, losing
from data_access.policy import Policy
from data_access.pricing import Quote, quote
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Noise
from data_access.query import BoundPlan
from data_access.vault import count_past_bound, make_view

#: Small, so that the bound is far from 1: B(0.1) = 61 %.
RHO = "0.1"
_BOUND = best_accuracy(float(RHO))


def differencing(draws: int) -> Verdict:
    """One person in or out: two counts whose difference is her, with as many rows as the bound lets count.

    Half of the towns to be guessed have her and half have not, so both directions are in the accuracy: adding
    her and removing her.
    """
    rows, without = [*townspeople(), *visits_of_target(ROW_BOUND)], townspeople()
    ours, control = _beside_quiet(rows, without, count(IN_MONTH), draws)
    return guessed("differencing: one person in or out", "dsBase#251", ours, control, _BOUND)


def flipping(draws: int) -> Verdict:
    """Where was she: all of one person's visits in one gu, or in another. One out and one in: B(4ρ)."""
    here, there = (
        [*townspeople(), *[(f"{MONTH}-0{i} 08:00", TARGET, gu, "") for i in range(1, ROW_BOUND + 1)]]
        for gu in GU[:2]
    )
    ours, control = _beside_quiet(here, there, count(IN_MONTH, ["gu"]), draws)
    reference = "Bun & Steinke arXiv:1605.02658"
    return guessed(
        "differencing: one person's gu, flipped", reference, ours, control, best_accuracy(4 * float(RHO))
    )


def membership(draws: int) -> Verdict:
    """A heavy rider's trajectory, gu by hour: 200 rides where the bound keeps four."""
    rows, without = [*townspeople(), *visits_of_target(200)], townspeople()
    script = _asks(count(by=["gu", HOUR]))
    ours = guess(recorded(rows, without, script), draws)
    with patch.object(loading, "make_view", unbounded):
        control = guess(recorded(rows, without, script), draws)
    return guessed("membership of a heavy rider", "Xu arXiv:1702.06270", ours, control, _BOUND)


def alternating(draws: int) -> Verdict:
    """Policies that take turns with their row bound and their clip: what one keeps and the other cuts off is the
    truncated part, and the difference of their answers points at whoever has one. All of it costs ρ together.
    """
    rows, without = (
        [(*row, "60") for row in each] for each in ([*townspeople(), *visits_of_target(200)], townspeople())
    )
    first, *turns = {"row_bound": 1, **_clip(30)}, {"row_bound": 8, **_clip(60)}

    def script(made: Workspace) -> None:
        measures = {"visits": {"fn": "count"}, "minutes": {"fn": "sum", "column": "minutes"}}
        plan, rho = count(IN_MONTH) | {"measures": measures}, f"{float(RHO) / (1 + len(turns))}"
        made.ask(plan, rho)
        for version, turn in enumerate(turns, 2):
            amend(made, version=version, **turn)
            made.ask(plan, rho, fresh=True)

    ours = guess(recorded(rows, without, script, **first), draws)
    with patch.object(answering, "quote", _first_bound):
        control = guess(recorded(rows, without, script, **first), draws)
    return guessed("alternating row bounds and clips", "SmartNoise#622", ours, control, _BOUND)


def lost_share(draws: int) -> Verdict:
    """What a load publishes of how much the row bound cuts off, beside a person of whom it cuts off 196 visits."""
    rows, without = [*townspeople(), *visits_of_target(200)], townspeople()

    def script(made: Workspace) -> object:
        return made.parts.lost.publish("visits")

    ours = guess(recorded(rows, without, script, load_rho=RHO), draws)
    with patch.object(losing, "count_past_bound", _all_past_bound):
        control = guess(recorded(rows, without, script, load_rho=RHO), draws)
    return guessed("lost share of a heavy rider's month", "DESIGN section 5", ours, control, _BOUND)


#: What was drawn in two towns by the same questions.
Recorded = tuple[Sequence[Drawn], Sequence[Drawn]]


def recorded(
    rows: Sequence[Row], without: Sequence[Row], script: Callable[[Workspace], object], **policy: Any
) -> Recorded:
    """One run of `script` in each of the two towns."""
    found = []
    for each in (rows, without):
        recorder = RecordingNoise()
        with town(each, noise=recorder, policy=policy) as made:
            script(made)
        found.append(recorder.calls)
    return found[0], found[1]


def guess(run: Recorded, draws: int, noise: Noise | None = None) -> Guesses:
    """The likelihood-ratio test between the two, `draws` times with new noise from each."""
    noise = noise or DiscreteGaussianNoise()
    leaning = np.zeros((2, draws))
    for one, other in zip(*run, strict=True):
        if one.mechanism != other.mechanism:
            raise AssertionError("the mechanism itself tells the data sets apart")
        direction = one.exact - other.exact
        # Cells in which the towns agree say nothing: their noise is independent of the rest.
        cells = np.flatnonzero(direction)
        weights = direction[cells] / float(one.mechanism.scale) ** 2
        middle = float(weights @ (one.exact[cells] + other.exact[cells])) / 2
        for half, drawn in enumerate((one, other)):
            values = np.tile(drawn.exact[cells], draws)
            noisy = np.array(noise.add(values, one.mechanism), dtype=float).reshape(draws, len(cells))
            leaning[half] += noisy @ weights - middle
    right = np.sum(leaning[0] > 0) + np.sum(leaning[1] < 0) + np.sum(leaning == 0) / 2
    return Guesses(int(right), 2 * draws)


def _beside_quiet(
    rows: Sequence[Row], without: Sequence[Row], plan: Plan, draws: int
) -> tuple[Guesses, Guesses]:
    """The deployed noise, and a tenth of it."""
    run = recorded(rows, without, _asks(plan))
    return guess(run, draws), guess(run, draws, QuietNoise(0.1))


def unbounded(store: Any, source: Any, dataset: Any, policy: Policy, keys: Any) -> Any:
    """Weak on purpose: a view that keeps every row of a person."""
    return make_view(store, source, dataset, policy.model_copy(update={"row_bound": 10_000}), keys)


def _all_past_bound(*arguments: Any, row_bound: int, periods: Any) -> dict[str, tuple[int, ...]]:
    """Weak on purpose: every row past the bound counts, not as many again as the bound."""
    near = count_past_bound(*arguments, row_bound=row_bound, periods=periods)
    far = count_past_bound(*arguments, row_bound=1_000, periods=periods)
    return {month: (*near[month][:3], far[month][2] - near[month][2]) for month in periods}


def _asks(plan: Plan) -> Callable[[Workspace], object]:
    return lambda made: made.ask(plan, RHO)


def _clip(high: int) -> dict[str, Any]:
    return {"clips": {"minutes": {"low": 0, "high": high, "unit": "minute"}}}


def _first_bound(bound: BoundPlan, policy: Policy, *spend: Any) -> Quote:
    """Weak on purpose: prices every question by the row bound of the lineage's first days."""
    return quote(bound, policy.model_copy(update={"row_bound": 1}), *spend)
