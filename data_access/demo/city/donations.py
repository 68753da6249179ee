"""A made-up non-profit's gifts: who gave, when, where, for the first time or again, and what two campaigns changed.

No non-profit publishes its ledger of gifts, so the layout is ours: the date, kind, purpose and amount that the tax
law's list of receipts asks for, and what software for fundraising keeps beside them (donor number, age band, gu,
first or later gift, what brought the donor). `기부차수` and `가입경로` are the ledger's own words, written when a gift
is booked: the vault may not judge one month's gift by another month's.

The truth: in a few gu more people give; first gifts follow the year with a peak in December; a street campaign in
eight gu over two months brings more first donors there and nowhere else, and few of those whom it brings stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .geography import Geography
from .truth import (
    GIFT_DONORS,
    GIFT_FIRST_A_MONTH,
    GIFT_FIRST_SEASON,
    GIFT_GENEROUS,
    GIFT_GENEROUS_GU,
    GIFT_MONTHLY_CHANCE,
    GIFT_STAYING,
    GIFT_STREET,
    GIFT_STREET_GU,
    GIFT_STREET_MONTHS,
    GIFT_YEAR_END_MONTHS,
    MONTHS,
    stream,
)
from .weather import Days

GIFT_COLUMNS: Final = (
    "기부일시",
    "기부자번호",
    "연령대",
    "거주자치구",
    "기부구분",
    "기부차수",
    "가입경로",
    "기부목적",
    "기부금액",
)
CAMPAIGN_COLUMNS: Final = ("캠페인", "자치구", "시작월", "종료월")
STREET_COLUMNS: Final = ("자치구", "거리모금")

#: What brought a donor, in the order of `truth.GIFT_STAYING`.
JOINED: Final = ("스스로", "연말나눔", "봄거리모금")
_OWN, _YEAR_END, _STREET = range(3)
#: Age band → its part of all donors, and its gifts beside the mean. Some tell no age.
_AGES: Final = {
    "20대": (0.17, 0.6),
    "30대": (0.25, 0.9),
    "40대": (0.25, 1.1),
    "50대": (0.17, 1.3),
    "60대이상": (0.12, 1.5),
    "": (0.04, 1.0),
}
_PURPOSES: Final = {"아동": 0.40, "어르신": 0.25, "재난": 0.20, "환경": 0.15}
#: Live in another city, or told nothing.
_ELSEWHERE: Final = 0.06
#: Of the donors that there were before the first month.
_REGULAR, _LEAVING, _OFTEN = 0.6, 0.04, 0.005
#: Gifts a month of who gives now and then; in December twice as many.
_NOW_AND_THEN: Final = 0.1


@dataclass(frozen=True)
class Donors:
    """N donors: `gu` (−1: none of the city's), `age`, `purpose`, `joined` (indices into GU, AGES, …), `since` (month of
    the first gift, −1: before all months), `until` (last month of monthly gifts), `monthly` and `often` (whether),
    `won` (usual gift). `generous` and `street` are the gu of the truth.
    """

    gu: npt.NDArray[np.int64]
    age: npt.NDArray[np.int64]
    purpose: npt.NDArray[np.int64]
    joined: npt.NDArray[np.int64]
    since: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]
    monthly: npt.NDArray[np.bool_]
    often: npt.NDArray[np.bool_]
    won: npt.NDArray[np.float64]
    generous: tuple[int, ...]
    street: tuple[int, ...]


def make_donors(geography: Geography, seed: int) -> Donors:
    """Make the donors; the same for every size of the city."""
    random = stream(seed, "donors")
    count = len(geography.gu_names)
    picked = random.choice(count, GIFT_GENEROUS_GU + GIFT_STREET_GU, replace=False).tolist()
    generous, street = sorted(picked[:GIFT_GENEROUS_GU]), sorted(picked[GIFT_GENEROUS_GU:])
    weight = np.bincount(geography.gu_of, geography.residents).astype(np.float64)
    weight[generous] *= GIFT_GENEROUS
    weight /= weight.sum()
    # Of each newcomer the gu, the month and what brought her; one Poisson number for each of the three together.
    own = np.outer(np.ones(len(MONTHS)), weight) * GIFT_FIRST_A_MONTH
    season = np.array(GIFT_FIRST_SEASON)[:, None]
    year_end = np.isin(MONTHS, GIFT_YEAR_END_MONTHS)[:, None]
    expected = np.zeros((3, *own.shape))
    expected[_OWN] = own * np.where(year_end, np.minimum(season, 1.0), season)
    expected[_YEAR_END] = own * np.where(year_end, np.maximum(season - 1.0, 0.0), 0.0)
    there = np.outer(np.isin(MONTHS, GIFT_STREET_MONTHS), np.isin(np.arange(count), street))
    expected[_STREET] = np.where(there, own * season * (GIFT_STREET - 1.0), 0.0)
    came = random.poisson(expected)
    joined, since, gu = (np.repeat(index.ravel(), came.ravel()) for index in np.indices(came.shape))
    before = GIFT_DONORS
    joined = np.concatenate([np.full(before, _OWN), joined])
    since = np.concatenate([np.full(before, -1), since])
    gu = np.concatenate([random.choice(count, before, p=weight), gu])
    old, n = since < 0, len(since)
    # Whoever lives elsewhere is taken from all alike: a campaign changes numbers, not who lives where.
    gu[random.random(n) < _ELSEWHERE] = -1
    age = random.choice(len(_AGES), n, p=[part for part, _ in _AGES.values()])
    stays = random.random(n) < np.where(old, _REGULAR, np.array(GIFT_STAYING)[joined])
    usual = np.where(stays, 20_000, 30_000) * np.array([level for _, level in _AGES.values()])[age]
    return Donors(
        gu=gu,
        age=age,
        purpose=random.choice(len(_PURPOSES), n, p=list(_PURPOSES.values())),
        joined=joined,
        since=since,
        until=np.where(old, random.geometric(_LEAVING, n), len(MONTHS)),
        monthly=stays,
        often=old & (random.random(n) < _OFTEN),
        won=usual * random.lognormal(0.0, np.where(stays, 0.5, 0.9)),
        generous=tuple(generous),
        street=tuple(street),
    )


def gift_rows(donors: Donors, geography: Geography, days: Days, seed: int) -> Iterator[tuple[str, ...]]:
    """Write all gifts, month by month in order of time."""
    numbers = stream(seed, "donor numbers").choice(10_000_000, len(donors.gu), replace=False)
    names = (*geography.gu_names, "")
    ages, purposes, dates = list(_AGES), list(_PURPOSES), days.date.astype(str).tolist()
    for month in range(len(MONTHS)):
        random = stream(seed, "gifts", MONTHS[month])
        who, kind, first = _gifts(donors, month, random)
        own = np.flatnonzero(days.month == month)
        # Monthly gifts are drawn from the account on a fixed day; all others come when they come.
        day = np.where(kind, own[np.array([4, 14, 24])[who % 3]], random.choice(own, len(who)))
        second = np.where(kind, 9 * 3600 + who % 600, random.integers(8 * 3600, 22 * 3600, len(who)))
        won = donors.won[who] * np.where(kind, 1.0, random.lognormal(0.0, 0.3, len(who)))
        won = np.maximum(np.round(won, -3), 1_000).astype(int)
        order = np.lexsort((numbers[who], second, day))
        # Lists of Python's own numbers, as in meals.
        columns = (day, second, numbers[who], donors.age[who], donors.gu[who], kind, first)
        more = (donors.joined[who], donors.purpose[who], won)
        for d, s, number, age, gu, is_monthly, is_first, way, purpose, paid in zip(
            *(column[order].tolist() for column in (*columns, *more)), strict=True
        ):
            yield (
                f"{dates[d]} {s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}",
                f"D{number:07d}",
                ages[age],
                names[gu],
                "정기" if is_monthly else "일시",
                "첫기부" if is_first else "다시기부",
                JOINED[way],
                purposes[purpose],
                str(paid),
            )


def _gifts(
    donors: Donors, month: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Of each gift of a month its donor, whether it is a monthly one, and whether it is the donor's first."""
    everyone = np.arange(len(donors.gu))
    first = everyone[donors.since == month]
    giving = donors.monthly & (donors.since < month) & (month < donors.until)
    monthly = everyone[giving & (random.random(len(everyone)) < GIFT_MONTHLY_CHANCE)]
    old = donors.since < 0
    rate = np.where(old & ~donors.monthly, _NOW_AND_THEN, 0.0) * (
        2.0 if MONTHS[month].endswith("12") else 1.0
    )
    times = np.where(donors.often, random.integers(4, 8, len(everyone)), random.poisson(rate))
    again = np.repeat(everyone, times)
    who = np.concatenate([first, monthly, again])
    kind = np.isin(np.arange(len(who)), np.arange(len(first), len(first) + len(monthly)))
    return who, kind, np.arange(len(who)) < len(first)


def campaign_rows(donors: Donors, geography: Geography) -> Iterator[tuple[str, ...]]:
    """Write each campaign with the gu and the months that it was in: announced to everybody."""
    for way, months, gu in (
        (_YEAR_END, GIFT_YEAR_END_MONTHS, range(len(geography.gu_names))),
        (_STREET, GIFT_STREET_MONTHS, donors.street),
    ):
        for g in gu:
            yield JOINED[way], geography.gu_names[g], months[0], months[-1]


def street_rows(donors: Donors, geography: Geography) -> Iterator[tuple[str, ...]]:
    """Write for each gu whether the street campaign went through it."""
    for gu, name in enumerate(geography.gu_names):
        yield name, "있음" if gu in donors.street else "없음"


def gift_truth(donors: Donors, geography: Geography) -> dict[str, Any]:
    """Name the gu of the truth."""
    return {
        "gift_generous_gu": [geography.gu_names[gu] for gu in donors.generous],
        "gift_street_gu": [geography.gu_names[gu] for gu in donors.street],
    }
