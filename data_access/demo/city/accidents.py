"""The bike accidents: how many, on which rides, and how the police form describes them.

In each gu the number is Poisson around rides times rate, the rate being the same everywhere but in the
unsafe gu, where it is doubled. Only then are the rides picked on which they happened, by hour and
rain; so hours and weather shape the accidents of a gu without touching its rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .geography import Geography
from .people import People
from .stations import Stations
from .truth import HOUR_RISK, RAIN_RISK, RAINY_MM, Truth, expected_accidents, stream
from .weather import Days

ACCIDENT_COLUMNS: Final = (
    "사고번호",
    "사고일시",
    "요일",
    "시군구",
    "사고내용",
    "사망자수",
    "중상자수",
    "경상자수",
    "부상신고자수",
    "사고유형",
    "법규위반",
    "노면상태",
    "기상상태",
    "도로형태",
    "가해운전자 차종",
    "가해운전자 성별",
    "가해운전자 연령",
    "가해운전자 상해정도",
    "피해운전자 차종",
    "피해운전자 성별",
    "피해운전자 연령",
    "피해운전자 상해정도",
)
"""The TAAS layout; the offender is always the rider, as in the file of bike accidents it follows."""

_WEEKDAYS: Final = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")
_HURTS: Final = ("사망", "중상", "경상", "부상신고", "상해없음", "기타불명")
_CONTENTS: Final = ("사망사고", "중상사고", "경상사고", "부상신고사고")
_UNHURT: Final = 4
_TYPES: Final = {
    "차대차 - 측면충돌": 38,
    "차대차 - 기타": 22,
    "차대차 - 정면충돌": 12,
    "차대차 - 추돌": 4,
    "차대사람 - 기타": 9,
    "차대사람 - 횡단중": 7,
    "차대사람 - 보도통행중": 4,
    "차대사람 - 차도통행중": 2,
    "차량단독 - 전도전복 - 전도": 1.2,
    "차량단독 - 기타": 0.8,
}
_FAULTS: Final = {
    "안전운전불이행": 66,
    "중앙선침범": 8,
    "신호위반": 7,
    "기타": 6,
    "안전거리미확보": 4,
    "직진우회전진행방해": 4,
    "교차로운행방법위반": 3,
    "보행자보호의무위반": 2,
}
_ROADS: Final = {
    "단일로 - 기타": 49,
    "교차로 - 교차로안": 21,
    "교차로 - 교차로부근": 12,
    "기타 - 기타": 10,
    "교차로 - 교차로횡단보도내": 7,
    "단일로 - 교량": 0.7,
    "미분류 - 미분류": 0.3,
}
_VEHICLES: Final = {
    "승용": 52,
    "자전거": 22,
    "화물": 9,
    "승합": 8,
    "이륜": 6,
    "개인형이동수단(PM)": 1.5,
    "기타불명": 1,
    "미분류": 0.5,
}


@dataclass(frozen=True)
class RideTraces:
    """What the accidents must know of every ride of the year; each array has shape (rides,).

    `person`, `station`, `day` index People, Stations, Days; `hour` is 0 to 23. Small types: the
    default city keeps 2 million of each.
    """

    person: npt.NDArray[np.int32]
    station: npt.NDArray[np.int16]
    day: npt.NDArray[np.int16]
    hour: npt.NDArray[np.int8]


def draw_accidents(
    traces: RideTraces, geography: Geography, stations: Stations, days: Days, truth: Truth
) -> npt.NDArray[np.int64]:
    """Pick the rides on which an accident happened: indices into `traces`, in no order.

    A ride may be picked twice where a small city has more accidents than its rides bear: its file of
    rides is a sample, and the accident then happened on a ride like that one.
    """
    gu = geography.gu_of[stations.dong].astype(np.int8)[traces.station]
    rides = np.bincount(gu, minlength=len(geography.gu_codes))
    risk = rides * truth.risk(len(rides))
    expected = risk / risk.sum() * expected_accidents(truth.rides)
    counts = stream(truth.seed, "accident counts").poisson(expected)
    random = stream(truth.seed, "accident rides")
    by_hour, by_day = np.array(HOUR_RISK), np.where(days.rain >= RAINY_MM, RAIN_RISK, 1.0)
    picked: list[npt.NDArray[np.int64]] = []
    for place, count in enumerate(counts.tolist()):
        own = np.flatnonzero(gu == place)
        if len(own):  # a very small city may have no ride in some gu
            shares = np.cumsum(by_hour[traces.hour[own]] * by_day[traces.day[own]])
            at = np.searchsorted(shares / shares[-1], random.random(count), side="right")
            picked.append(own[np.minimum(at, len(own) - 1)])
    return np.concatenate(picked)


def _words(choices: Mapping[str, float], n: int, random: np.random.Generator) -> npt.NDArray[np.str_]:
    """Draw n of the words by their weights, shape (n,)."""
    weights = np.array(list(choices.values()))
    words: npt.NDArray[np.str_] = np.array(list(choices))[
        random.choice(len(weights), n, p=weights / weights.sum())
    ]
    return words


def _ages(age: npt.NDArray[np.int16] | npt.NDArray[np.int64]) -> list[str]:
    """Write ages as the police form does: `27세`, `98세 이상`."""
    return ["98세 이상" if years >= 98 else f"{years}세" for years in age.tolist()]


def accident_rows(
    picked: npt.NDArray[np.int64],
    traces: RideTraces,
    *,
    geography: Geography,
    stations: Stations,
    people: People,
    days: Days,
    seed: int,
) -> list[tuple[str, ...]]:
    """Describe the accidents in the 22 columns, in order of time; a lone rider's other side is empty."""
    random = stream(seed, "accident forms")
    picked = picked[np.lexsort((picked, traces.hour[picked], traces.day[picked]))]
    n = len(picked)
    day, hour = traces.day[picked].astype(np.int64), traces.hour[picked].tolist()
    dong = stations.dong[traces.station[picked]].tolist()
    person = traces.person[picked]
    sky, road_surface = _weather_words(days, day, random)
    kinds = _words(_TYPES, n, random)
    vehicles = _words(_VEHICLES, n, random)
    # one's own harm, then the other side's; a pedestrian is hurt more often than a driver
    alone = np.char.startswith(kinds, "차량단독")
    walker = np.char.startswith(kinds, "차대사람")
    own = random.choice(6, n, p=[0.009, 0.12, 0.32, 0.24, 0.285, 0.026])
    driver = random.choice(6, n, p=[0.001, 0.06, 0.10, 0.03, 0.785, 0.024])
    on_foot = random.choice(6, n, p=[0.003, 0.32, 0.52, 0.13, 0.02, 0.007])
    other = np.where(alone, _UNHURT, np.where(walker, on_foot, driver))
    # without any harm there is no entry: the rider then reports one
    own = np.where(np.minimum(own, other) >= _UNHURT, 3, own)
    harmed = [(own == grade).astype(int) + ((other == grade) & ~alone).astype(int) for grade in range(4)]
    worst = np.minimum(own, other)

    age = 2026 - people.birth[person]
    unknown = random.random((2, n)) < (0.006, 0.012)[0]
    sexes = np.where(unknown[0], "기타불명", np.where(people.sex[person] == 0, "남", "여"))
    own_age = np.where(unknown[0], "미분류", _ages(age))
    other_age = np.clip(np.where(walker, random.normal(45, 24, n), random.normal(49, 14, n)), 2, 104)
    other_age = np.where(~walker & (other_age < 19), 19 + other_age % 30, other_age).astype(np.int64)
    other_ages = np.where(unknown[1], "미분류", _ages(other_age))
    other_sex = np.where(random.random(n) < np.where(walker, 0.45, 0.76), "남", "여")
    other_sex = np.where(unknown[1], "미분류", other_sex)

    columns: list[list[str]] = [
        # the 9 after the date marks them as made up: the police number from 0
        [f"{str(days.date[d]).replace('-', '')}9{place:07d}" for place, d in enumerate(day.tolist())],
        [_moment(days.date[d], h) for d, h in zip(day.tolist(), hour, strict=True)],
        [_WEEKDAYS[(int(days.date[d].astype(np.int64)) + 3) % 7] for d in day.tolist()],
        [f"서울특별시 {geography.gu_names[geography.gu_of[d]]} {geography.dong_names[d]}" for d in dong],
        [_CONTENTS[grade] for grade in worst.tolist()],
        *([str(count) for count in grade.tolist()] for grade in harmed),
        kinds.tolist(),
        _words(_FAULTS, n, random).tolist(),
        road_surface,
        sky,
        _words(_ROADS, n, random).tolist(),
        ["자전거"] * n,
        sexes.tolist(),
        own_age.tolist(),
        [_HURTS[grade] for grade in own.tolist()],
        np.where(alone, "", np.where(walker, "보행자", vehicles)).tolist(),
        np.where(alone, "", other_sex).tolist(),
        np.where(alone, "", other_ages).tolist(),
        ["" if lone else _HURTS[grade] for lone, grade in zip(alone, other.tolist(), strict=True)],
    ]
    return list(zip(*columns, strict=True))


def _moment(date: np.datetime64, hour: int) -> str:
    """Write day and hour as TAAS does: `2025년 10월 2일 05시`."""
    year, month, day = str(date).split("-")
    return f"{year}년 {int(month)}월 {int(day)}일 {hour:02d}시"


def _weather_words(
    days: Days, day: npt.NDArray[np.int64], random: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Describe sky and road surface of each accident by its day's weather."""
    u = random.random((2, len(day)))
    wet = (days.rain[day] >= RAINY_MM) & (u[0] < 0.6)
    snow = wet & (days.temp[day] < 0.5)
    cloudy = np.where(days.rain[day] >= RAINY_MM, True, u[0] < 0.05)
    icy = ~wet & (days.temp[day] < -3.0) & (u[1] < 0.05)
    sky = np.select([snow, wet, cloudy], ["눈", "비", "흐림"], default="맑음")
    surface = np.select(
        [snow, wet, icy, u[1] > 0.985],
        ["포장 - 적설", "포장 - 젖음/습기", "포장 - 서리/결빙", "포장 - 기타"],
        default="포장 - 건조",
    )
    return sky.tolist(), surface.tolist()
