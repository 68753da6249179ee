"""The bike lanes: kilometres by gu and kind, in the layout of Seoul's yearly table.

Lanes follow the riding that a gu may expect, but in a few gu, which have LANE_POOR of what they should: what a report
on missing lanes ought to find. Nothing else of the city depends on them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from .geography import Geography
from .truth import LANE_KM, LANE_POOR, LANE_POOR_GU, stream

_KINDS: Final = ("자전거전용도로", "자전거보행자겸용도로", "자전거전용차로", "자전거우선도로")
LANE_COLUMNS: Final = ("자치구", *(f"{kind}_{part}" for kind in _KINDS for part in ("구간", "길이")))
"""The columns of the real table: stretches (구간) and kilometres (길이) of each kind of lane."""
_SHARES: Final = (0.16, 0.60, 0.07, 0.17)
_SPREAD: Final = 0.10
"""Standard deviation of the logarithm of a gu's lanes around what its riding asks for."""


def choose_lane_poor_gu(
    geography: Geography, unsafe_gu: tuple[int, ...], bare_dong: tuple[int, ...], seed: int
) -> tuple[int, ...]:
    """Choose the gu with few lanes, in order of code: among those with much riding, where nothing else is hidden."""
    wish = _wish(geography)
    taken = {*unsafe_gu, *(int(geography.gu_of[dong]) for dong in bare_dong)}
    busy = [int(gu) for gu in np.argsort(-wish, kind="stable")[:14] if int(gu) not in taken]
    chosen = stream(seed, "lane-poor gu").choice(busy, LANE_POOR_GU, replace=False)
    return tuple(sorted(int(gu) for gu in chosen))


def lane_km(geography: Geography, poor_gu: tuple[int, ...], seed: int) -> npt.NDArray[np.float64]:
    """Kilometres by gu and kind, shape (25, 4), one decimal."""
    random = stream(seed, "lanes")
    wish = _wish(geography) * random.lognormal(0.0, _SPREAD, len(geography.gu_codes))
    wish[list(poor_gu)] *= LANE_POOR
    kinds = random.dirichlet(np.array(_SHARES) * 60, len(wish))
    found: npt.NDArray[np.float64] = np.round(LANE_KM * (wish / wish.sum())[:, None] * kinds, 1)
    return found


def lane_rows(geography: Geography, poor_gu: tuple[int, ...], seed: int) -> list[tuple[str, ...]]:
    """Write the table's 25 lines; a stretch is some 900 m, and a kind without kilometres has none."""
    km = lane_km(geography, poor_gu, seed)
    return [
        (name, *(word for k in own.tolist() for word in (str(int(np.ceil(k / 0.9))), f"{k:.1f}")))
        for name, own in zip(geography.gu_names, km, strict=True)
    ]


def _wish(geography: Geography) -> npt.NDArray[np.float64]:
    """How much riding each gu may expect, shape (25,): its people and what draws rides for pleasure."""
    wish: npt.NDArray[np.float64] = np.bincount(
        geography.gu_of, geography.demand + 12_000 * geography.appeal
    ).astype(np.float64)
    return wish
