"""What an attack found, and when a bound counts as held.

Guessing which of two neighbouring data sets was used is right at most B(ρ) = ½(1 + √(ρ/2)) of the time for
any ρ-zCDP mechanism: KL ≤ ρ between neighbours (Bun & Steinke 2016, arXiv:1605.02658), Pinsker's inequality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import beta

ALPHA = 1e-6


@dataclass(frozen=True)
class Verdict:
    """`advantage` and `control_advantage` are accuracies where the attacker guesses, else numbers of successes.

    `held`: the lower end of the interval for `advantage` is not above `bound`. `control_reached`: the lower end
    for the control is above it; without that, `held` says nothing.
    """

    attack: str
    reference: str
    advantage: float
    bound: float
    control_advantage: float
    held: bool
    control_reached: bool

    def document(self) -> dict[str, str | float | bool]:
        return {
            "attack": self.attack,
            "reference": self.reference,
            "advantage": self.advantage,
            "bound": self.bound,
            "control_advantage": self.control_advantage,
            "held": self.held,
        }


@dataclass(frozen=True)
class Guesses:
    right: int
    made: int

    @property
    def accuracy(self) -> float:
        return self.right / self.made

    @property
    def lower(self) -> float:
        """Lower end of the two-sided Clopper–Pearson interval of error probability `ALPHA`."""
        if self.right == 0:
            return 0.0
        return float(beta.ppf(ALPHA / 2, self.right, self.made - self.right + 1))


def best_accuracy(rho: float) -> float:
    """B(ρ)."""
    return 0.5 * (1 + math.sqrt(rho / 2))


def guessed(attack: str, reference: str, ours: Guesses, control: Guesses, bound: float) -> Verdict:
    return Verdict(
        attack,
        reference,
        ours.accuracy,
        bound,
        control.accuracy,
        held=ours.lower <= bound,
        control_reached=control.lower > bound,
    )


def counted(attack: str, reference: str, ours: int, control: int) -> Verdict:
    """Successes that must not happen at all: one is enough to lift the interval's lower end above 0."""
    return Verdict(attack, reference, ours, 0, control, held=ours == 0, control_reached=control > 0)
