"""From ρ, which everything is counted in, to the (ε, δ) that other systems speak of. Shown, never counted in."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal

from data_access.privacy.budget import NANO, Rho

#: Golden section: each step keeps this part of the range.
_KEPT = (math.sqrt(5) - 1) / 2


def epsilon(rho: Rho, delta: str) -> Decimal:
    """The least ε known for which ρ-zCDP gives (ε, δ)-DP, rounded up to 0.01. Raises ValueError for a δ not in (0, 1).

    Canonne, Kamath & Steinke 2020 (arXiv:2004.00010), Proposition 12: for every α > 1,
    ε = αρ + (ln(1/δ) − ln(α − 1) + α ln(1 − 1/α)) / (α − 1). Whatever α the search ends at, what it gives is true;
    the best one is only the smallest. (The older ρ + 2√(ρ ln(1/δ)) of Bun & Steinke is up to a tenth larger.)
    """
    chance = float(delta)
    if not 0 < chance < 1:
        raise ValueError("δ lies between 0 and 1")
    if rho.nano == 0:
        return Decimal("0.00")
    amount = rho.nano / NANO

    def at(log_order: float) -> float:
        # α − 1 runs over many decades, so that the search is over its logarithm.
        more = math.exp(log_order)
        order = 1 + more
        return order * amount + (-math.log(chance) - math.log(more) + order * math.log(more / order)) / more

    low, high = math.log(1e-9), math.log(1e12)
    while high - low > 1e-9:
        left, right = high - _KEPT * (high - low), low + _KEPT * (high - low)
        if at(left) < at(right):
            high = right
        else:
            low = left
    # The last digits of a float are lost in the ninth decimal; two are shown.
    return Decimal(max(0.0, at(low)) + 1e-9).quantize(Decimal("0.01"), ROUND_CEILING)
