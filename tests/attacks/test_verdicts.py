"""The bound and the interval that attacks are judged by, against values worked out elsewhere."""

from __future__ import annotations

import pytest

from benchmarks.attacks.noise import exact_distribution
from benchmarks.attacks.verdict import Guesses, best_accuracy, counted, guessed


@pytest.mark.parametrize(("rho", "accuracy"), [(0.02, 0.55), (0.1, 0.6118), (0.5, 0.75)])
def test_the_bound_is_pinskers(rho: float, accuracy: float) -> None:
    assert best_accuracy(rho) == pytest.approx(accuracy, abs=1e-4)


def test_the_interval_is_clopper_and_pearsons() -> None:
    # All of n right: the lower end solves p^n = α/2.
    assert Guesses(20, 20).lower == pytest.approx((0.5e-6) ** (1 / 20))
    assert Guesses(0, 20).lower == 0
    assert 0.4 < Guesses(500, 1000).lower < 0.5


def test_a_lucky_guess_is_not_a_breach_and_a_certain_one_is() -> None:
    fair = guessed("", "", Guesses(620, 1000), Guesses(900, 1000), bound=0.61)
    assert fair.held and fair.control_reached
    assert not guessed("", "", Guesses(900, 1000), Guesses(620, 1000), bound=0.61).held


def test_one_success_where_none_may_be_is_a_breach() -> None:
    assert counted("", "", 0, 1).held
    assert not counted("", "", 1, 1).held
    assert not counted("", "", 0, 0).control_reached


def test_the_exact_distribution_has_the_variance_of_its_definition() -> None:
    values, probabilities = exact_distribution(3.0)
    assert probabilities.sum() == pytest.approx(1)
    # For σ of 1 and more the discrete variance is σ² but for less than 1e-6.
    assert float(probabilities @ (values.astype(float) ** 2)) == pytest.approx(9.0, rel=1e-6)
