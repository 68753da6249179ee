"""Budget in integer nano-ρ (zCDP; Bun & Steinke 2016, arXiv:1605.02658).

Floats are absent: a ledger that compares 0.1 + 0.2 with 0.3 either refuses what was promised or grants what
was not (OpenDP issue 2789 is the first). Rounding is always up, against the asker.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation, localcontext

NANO = 10**9
_LONGEST = 40


@dataclass(frozen=True, order=True)
class Rho:
    """A non-negative amount of zero-concentrated differential privacy, in units of 1e-9."""

    nano: int

    def __post_init__(self) -> None:
        if type(self.nano) is not int or not 0 <= self.nano < 2**62:
            raise ValueError("ρ is a non-negative integer of nano-ρ")

    @classmethod
    def parse(cls, text: str) -> Rho:
        """`"0.0025"` → 2,500,000 nano-ρ, rounded up. Raises ValueError for anything but a finite decimal."""
        if len(text) > _LONGEST:
            raise ValueError("not a decimal number")
        try:
            value = Decimal(text)
        except InvalidOperation as fault:
            raise ValueError("not a decimal number") from fault
        if not value.is_finite() or value < 0 or value > 1000:
            raise ValueError("ρ lies between 0 and 1000")
        with localcontext() as context:
            # Every digit that fits into the text: the usual 28 would round a long one to the nearest, not up.
            context.prec = 2 * _LONGEST
            return cls(int((value * NANO).to_integral_value(ROUND_CEILING)))

    def __add__(self, other: Rho) -> Rho:
        return Rho(self.nano + other.nano)

    def __str__(self) -> str:
        """`0.0025`: exact, without trailing zeros."""
        text = f"{Decimal(self.nano) / NANO:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def split(self, weights: list[int]) -> list[Rho]:
        """Parts in proportion to `weights`, each rounded down, so that they never add up to more."""
        total = sum(weights)
        return [Rho(self.nano * weight // total) for weight in weights]


def total(parts: list[Rho]) -> Rho:
    return Rho(sum(part.nano for part in parts))
