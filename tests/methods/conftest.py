"""How often intervals are drawn: some times in `make test`, a thousand in `make coverage`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

PROMISED = 0.93


@dataclass(frozen=True)
class Draws:
    count: int

    def check(self, name: str, held: npt.NDArray[np.float64]) -> None:
        """`held`: per draw, the part of its ranges that hold the truth. A few draws may miss by chance alone, by
        2.5 standard errors; a thousand are held to the bare promise.
        """
        mean = float(held.mean())
        print(f"{name}: {mean:.3f} of ranges hold the truth, {len(held)} draws")
        slack = 0.0 if self.count >= 1000 else 2.5 * float(max(held.std(), 0.05)) / len(held) ** 0.5
        assert mean >= PROMISED - slack, f"{name}: {mean:.3f} of {len(held)} draws"


@pytest.fixture(scope="session")
def draws(pytestconfig: pytest.Config) -> Draws:
    return Draws(int(pytestconfig.getoption("--draws")))
