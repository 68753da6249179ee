"""The discrete Gaussian, and the proof of its price.

The only importer of opendp. `contrib` alone is enabled: no idealised numerics, no thresholded keys, no
noisy-max. (Canonne, Kamath & Steinke 2020, "The Discrete Gaussian for Differential Privacy", arXiv:2004.00010:
σ² = Δ²/(2ρ) gives ρ-zCDP for integer vectors of L2 sensitivity Δ.)
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from data_access.privacy.budget import NANO, Rho

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCALE_STEP = Decimal("1e-9")
#: The two-sided 95 % point of the normal distribution, rounded up.
Z95 = Decimal("1.959963985")
#: Beyond this σ the discrete tail and the normal one agree to less than a unit.
_EXACT_TAIL = 50
#: A piece of fewer numbers is drawn before a thread has begun.
_SHORT = 50


@dataclass(frozen=True)
class Gaussian:
    """A discrete Gaussian over integer vectors.

    `sensitivity_squared` is Δ² (L2, one protected unit); `scale` is σ as a decimal string, so that the signed
    answer holds no float; `rho` is what `prove` has confirmed it costs.
    """

    sensitivity_squared: int
    rho: Rho
    scale: str

    @property
    def margin(self) -> int:
        """Half-width w with P(|noise| ≤ w) ≥ 95 %, in the measure's own unit."""
        return margin95(Decimal(self.scale))


def gaussian(sensitivity_squared: int, rho: Rho) -> Gaussian:
    """The smallest σ (to 1e-9) whose price, by OpenDP's own map, is at most `rho`. Raises ValueError for ρ = 0."""
    if rho.nano <= 0 or sensitivity_squared <= 0:
        raise ValueError("a mechanism has a price and a sensitivity")
    with localcontext() as context:
        context.prec = 40
        exact = (Decimal(sensitivity_squared) * NANO / (2 * rho.nano)).sqrt()
        scale = exact.quantize(_SCALE_STEP, ROUND_CEILING)
        while price(sensitivity_squared, str(scale)) > Decimal(rho.nano) / NANO:
            scale += _SCALE_STEP
    return Gaussian(sensitivity_squared, rho, str(scale))


def price(sensitivity_squared: int, scale: str) -> Decimal:
    """ρ of the mechanism as OpenDP's privacy map gives it."""
    return Decimal(_measurement(scale).map(_upper_root(sensitivity_squared)))


def check_price(mechanism: Gaussian) -> None:
    """Re-prove, just before release, that the mechanism costs no more than it was sold for. Raises AssertionError."""
    if price(mechanism.sensitivity_squared, mechanism.scale) > Decimal(mechanism.rho.nano) / NANO:
        raise AssertionError("the mechanism costs more than its price")


def scale_for_margin(margin: int | Decimal) -> Decimal:
    """σ at which the 95 % half-width is `margin`."""
    return Decimal(margin) / Z95


def rho_for_scale(sensitivity_squared: int, scale: Decimal) -> Rho:
    """The least nano-ρ that buys σ = `scale`, rounded up."""
    nano = Decimal(sensitivity_squared) * NANO / (2 * scale * scale)
    return Rho(int(nano.to_integral_value(ROUND_CEILING)))


def margin95(scale: Decimal) -> int:
    """Half-width of the 95 % interval of a discrete Gaussian with σ = `scale`."""
    if scale > _EXACT_TAIL:
        # P(|X| ≤ w) is the normal mass of ±(w + ½) to far below a unit here.
        return max(0, math.ceil(Z95 * scale - Decimal("0.5")))
    sigma = float(scale)
    reach = math.ceil(12 * sigma) + 2
    weights = [math.exp(-((x / sigma) ** 2) / 2) for x in range(reach + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    covered, width = weights[0], 0
    while covered < 0.95 * total:
        width += 1
        covered += 2 * weights[width]
    return width


class Noise(Protocol):
    """The seam for tests: a constructor argument, reachable from no setting, file or environment variable."""

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        """`values` plus independent draws, as Python integers."""


class DiscreteGaussianNoise:
    """OpenDP's exact sampler, which takes a hundredth of a millisecond a number: long vectors are drawn for in
    pieces, one for each core, while the library has the interpreter's lock let go. The draws are independent, so in
    pieces they are the same mechanism.
    """

    def __init__(self) -> None:
        self._cores = len(os.sched_getaffinity(0))
        self._threads = ThreadPoolExecutor(self._cores, "noise")

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        check_price(mechanism)
        draw, exact = _measurement(mechanism.scale), values.tolist()
        length = max(_SHORT, -(-len(exact) // self._cores))
        # A fault in any piece is raised here, and then none of them is used.
        pieces = [exact[start : start + length] for start in range(length, len(exact), length)]
        others = [self._threads.submit(draw, piece) for piece in pieces]
        drawn = draw(exact[:length])
        return [int(value) for piece in (drawn, *(other.result() for other in others)) for value in piece]


@cache
def _opendp() -> Any:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


@lru_cache(maxsize=256)  # prices are free, so whoever asks for many must not fill the memory
def _measurement(scale: str) -> Any:
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    return dp.m.make_gaussian(*space, scale=float(scale))


def _upper_root(squared: int) -> float:
    """√`squared` as a float that is never below the true root."""
    root = math.sqrt(squared)
    return root if math.isqrt(squared) ** 2 == squared else math.nextafter(root, math.inf)
