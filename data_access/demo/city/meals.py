"""Children's meal cards: where they may be used, and where and when they are.

Merchants stand in the national layout of child welfare meals (11 columns, `가맹점명` to `데이터기준일자`). No usage
table is published anywhere, so its columns are ours: when, which card, the child's gu and dong, and the trade. The
truth: in a few dong with many children there is no proper meal within a kilometre, and children who live that far from
one use convenience stores far more often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .geography import Geography
from .truth import (
    FAR_KM,
    MEAL_CHILDREN,
    MEAL_CONVENIENCE,
    MEAL_DESERTS,
    MEAL_LATE_HOURS,
    MEAL_USES_A_MONTH,
    MONTHS,
    stream,
)
from .weather import Days

MERCHANT_COLUMNS: Final = (
    "가맹점명",
    "가맹점유형",
    "업종명",
    "시도명",
    "시군구명",
    "시군구코드",
    "소재지도로명주소",
    "전화번호",
    "관리기관명",
    "관리기관전화번호",
    "데이터기준일자",
)
USE_COLUMNS: Final = ("사용일시", "카드번호", "아동거주구", "아동거주동코드", "업종명", "사용금액")
DISTANCE_COLUMNS: Final = ("법정동코드", "식사거리(m)")

#: Trade → is it a proper meal, merchants in a usual dong, part of all uses that are not at a convenience store.
_TRADES: Final = {
    "편의점": (False, 1.8, 0.0),
    "한식": (True, 0.9, 0.45),
    "분식": (True, 0.5, 0.25),
    "일반대중음식": (True, 0.4, 0.15),
    "제과점": (False, 0.5, 0.15),
}
_DESERT_KM: Final = 1.7
_DESERT_CHILDREN: Final = 6.0
#: Hours of use: at a convenience store late ones are `MEAL_LATE_HOURS` times as frequent.
_HOURS: Final = np.array([0] * 8 + [1, 1, 2, 6, 10, 7, 4, 5, 6, 9, 10, 7, 3, 2, 1, 0], dtype=float)


@dataclass(frozen=True)
class Meals:
    """`merchants` (D, trades) numbers of merchants by dong; `km` (D,) to the nearest proper meal; `deserts` the dong
    around which there is none; C children with `home` (C,) dong and `card` (C,) number.
    """

    merchants: npt.NDArray[np.int64]
    km: npt.NDArray[np.float64]
    deserts: tuple[int, ...]
    home: npt.NDArray[np.int64]
    card: npt.NDArray[np.int64]

    @property
    def far(self) -> npt.NDArray[np.bool_]:
        """Whether a dong is further than FAR_KM from a proper meal, (D,)."""
        return np.asarray(self.km >= FAR_KM)


def make_meals(geography: Geography, seed: int) -> Meals:
    """Make merchants and children; the same for every size of the city."""
    random = stream(seed, "meals")
    km = geography.kilometres()
    deserts = _choose_deserts(geography, km, random)
    usual = np.array([number for _, number, _ in _TRADES.values()])
    room = np.clip(geography.residents / geography.residents.mean(), 0.3, 3.0)
    merchants = random.poisson(room[:, None] * usual).astype(np.int64)
    proper = np.array([is_proper for is_proper, _, _ in _TRADES.values()])
    # Everywhere but around the deserts there is one within reach: a dong without gets a diner.
    near_desert = np.asarray((km[:, list(deserts)] < _DESERT_KM).any(axis=1), dtype=np.bool_)
    near_desert |= np.isin(np.arange(len(km)), deserts)
    merchants[np.ix_(near_desert, proper)] = 0
    bare = ~near_desert & (merchants[:, proper].sum(axis=1) == 0)
    merchants[bare, list(_TRADES).index("한식")] = 1
    served = merchants[:, proper].sum(axis=1)
    reach = km.copy()
    # Within a dong: the mean distance to the nearest of so many points strewn over it (Clark & Evans 1954).
    np.fill_diagonal(reach, 0.5 * np.sqrt(geography.dong_km2 / np.maximum(served, 1)))
    weights = geography.residents.astype(float)
    weights[list(deserts)] *= _DESERT_CHILDREN
    return Meals(
        merchants=merchants,
        km=np.asarray(reach[:, served > 0].min(axis=1)),
        deserts=deserts,
        home=random.choice(len(weights), MEAL_CHILDREN, p=weights / weights.sum()),
        card=random.choice(10_000_000, MEAL_CHILDREN, replace=False),
    )


def _choose_deserts(
    geography: Geography, km: npt.NDArray[np.float64], random: np.random.Generator
) -> tuple[int, ...]:
    """Choose dong with many people, each in a gu of its own and far from the others, in order of code."""
    low, high = np.quantile(geography.residents, [0.75, 0.95])
    fit = (geography.residents >= low) & (geography.residents <= high)
    fit &= (geography.dong_km2 >= 0.8) & (geography.dong_km2 <= 3.0) & ~geography.river
    chosen: list[int] = []
    for dong in random.permutation(np.flatnonzero(fit)).tolist():
        if all(km[dong, o] > 5.0 and geography.gu_of[dong] != geography.gu_of[o] for o in chosen):
            chosen.append(dong)
        if len(chosen) == MEAL_DESERTS:
            break
    return tuple(sorted(chosen))


def merchant_rows(meals: Meals, geography: Geography, seed: int) -> Iterator[tuple[str, ...]]:
    """Write the merchants; the dong stands in brackets at the end of the address, as in the true files."""
    random = stream(seed, "meal merchants")
    trades = list(_TRADES)
    for dong, trade in zip(*np.nonzero(meals.merchants), strict=True):
        gu = geography.gu_names[geography.gu_of[dong]]
        for number in range(int(meals.merchants[dong, trade])):
            name = f"{geography.dong_names[dong]} {trades[trade]} {number + 1}호"
            house = int(random.integers(1, 300))
            address = f'"서울특별시 {gu} 가상로 {house}, 1층 ({geography.dong_names[dong]})"'
            phone = "" if random.random() < 0.2 else f"02-000-{int(random.integers(10_000)):04d}"
            yield (
                *(
                    name,
                    "일반가맹점",
                    trades[trade],
                    "서울특별시",
                    gu,
                    geography.gu_codes[geography.gu_of[dong]],
                ),
                *(address, phone, f"서울특별시 {gu}청", "02-000-0000", "2026-09-30"),
            )


def distance_rows(meals: Meals, geography: Geography) -> Iterator[tuple[str, ...]]:
    """Write how far each dong lies from a proper meal: a public table, since both places are public."""
    for dong, code in enumerate(geography.dong_codes):
        yield code, str(round(1000 * meals.km[dong]))


def use_rows(meals: Meals, geography: Geography, days: Days, seed: int) -> Iterator[tuple[str, ...]]:
    """Write all uses, month by month in order of time."""
    trades, dates = list(_TRADES), days.date.astype(str).tolist()
    gu = [geography.gu_names[g] for g in geography.gu_of.tolist()]
    other = np.array([part for _, _, part in _TRADES.values()])
    near_share, far_share = MEAL_CONVENIENCE
    late = _HOURS * np.where(np.arange(24) >= 18, MEAL_LATE_HOURS, 1.0)
    for month in range(len(MONTHS)):
        random = stream(seed, "meal uses", MONTHS[month])
        often = random.poisson(MEAL_USES_A_MONTH * random.gamma(4.0, 0.25, MEAL_CHILDREN))
        child = np.repeat(np.arange(MEAL_CHILDREN), often)
        own = np.flatnonzero(days.month == month)
        day = random.choice(own, len(child))
        home = meals.home[child]
        store = random.random(len(child)) < np.where(meals.far[home], far_share, near_share)
        trade = np.where(store, 0, random.choice(len(trades), len(child), p=other / other.sum()))
        usual = random.choice(24, len(child), p=_HOURS / _HOURS.sum())
        hour = np.where(store, random.choice(24, len(child), p=late / late.sum()), usual)
        second = random.integers(0, 3600, len(child))
        won = np.round(np.clip(random.normal(np.where(store, 4_500, 8_000), 1_500), 1_000, 9_000), -2)
        order = np.lexsort((second, hour, day))
        # Lists of Python's own numbers: taking them one by one out of arrays would take ten times as long.
        columns = (day, hour, second, meals.card[child], home, trade, won.astype(int))
        for d, h, s, card, dong, kind, paid in zip(*(c[order].tolist() for c in columns), strict=True):
            moment = f"{dates[d]} {h:02d}:{s // 60:02d}:{s % 60:02d}"
            yield moment, f"C{card:08d}", gu[dong], geography.dong_codes[dong], trades[kind], str(paid)
