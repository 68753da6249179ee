"""Fine dust at 40 stations, and the traffic on the city's expressways, in the layouts of their public files.

Air: the portal's daily means (`측정일시` to `초미세먼지농도`), one line for each station and day, cp949. Each
gu has one background station that is named after it, and 15 stations stand at roads and are named after those: the
names tell which is which, as in the true files. Traffic: vehicles a day for each month, line and weekday, as the city
publishes it (`YEAR,MONTH,LINE,TRAFFIC,DAY`, commas between thousands): means, not days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .truth import (
    MONTHS,
    POLLUTANTS,
    RAIN_EFFECT,
    RAINY_MM,
    ROADSIDE_EXCESS,
    ROADSIDE_SPREAD,
    TRAFFIC_EFFECT,
    TRAFFIC_EFFECT_NEXT_DAY,
    WIND_EFFECT,
    stream,
)
from .weather import Days

AIR_COLUMNS: Final = (
    "측정일시",
    "측정소명",
    "이산화질소농도(ppm)",
    "오존농도(ppm)",
    "일산화탄소농도(ppm)",
    "아황산가스농도(ppm)",
    "미세먼지농도(㎍/㎥)",
    "초미세먼지농도(㎍/㎥)",
)
TRAFFIC_COLUMNS: Final = ("YEAR", "MONTH", "LINE", "TRAFFIC", "DAY")
ROADS: Final = (
    *("강남대로", "강변북로", "공항대로", "도산대로", "동작대로", "신촌로", "영등포로", "정릉로"),
    *("종로", "천호대로", "청계천로", "한강대로", "홍릉로", "화랑로", "시흥대로"),
)
#: Line and vehicles on its mean day, in coarse steps: the size of such roads, and no count of anybody's.
_LINES: Final = {
    "강남순환로": 110_000,
    "강변북로": 240_000,
    "경부고속도로": 200_000,
    "내부순환로": 150_000,
    "동부간선도로": 140_000,
    "북부간선도로": 110_000,
    "분당수서로": 135_000,
    "서부간선도로": 110_000,
    "올림픽대로": 250_000,
}
_WEEKDAYS: Final = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")
#: From Monday: how a weekday's traffic differs from the week's mean, in the city and (sd) on each line beside it.
_WEEK: Final = np.array([1.00, 1.02, 1.02, 1.03, 1.05, 0.99, 0.89])
_MISSING: Final = 0.02
#: Mean level, swing of the year (highest in March), and how much of a day's level the next one keeps.
_LEVEL: Final = (48.0, 28.0)
_SEASON: Final = (9.0, 5.0)
_KEEP: Final = 0.55
_DAY_SD: Final = (8.0, 5.0)
_STATION_SD: Final = (3.0, 2.0)
_NOISE_SD: Final = (4.5, 2.8)
_LEAST: Final = 3.0


@dataclass(frozen=True)
class Traffic:
    """`vehicles` (months, lines, weekdays from Monday), per day; `lines` name the second axis."""

    lines: tuple[str, ...]
    vehicles: npt.NDArray[np.int64]

    def of_days(self, days: Days) -> npt.NDArray[np.float64]:
        """Vehicles on all lines for each day, (N,), as a share of the mean day."""
        weekday = (days.date.astype(np.int64) + 3) % 7
        total = self.vehicles.sum(axis=1)[days.month, weekday].astype(np.float64)
        return np.asarray(total / total.mean())


def make_traffic(seed: int) -> Traffic:
    """Make a year's table; the same for every size of the city."""
    random = stream(seed, "traffic")
    shape = (len(MONTHS), len(_LINES), 7)
    season = random.normal(1.0, 0.03, (len(MONTHS), 1, 1))
    wobble = random.normal(1.0, 0.02, shape) * random.normal(1.0, 0.03, (len(MONTHS), 1, 7))
    vehicles = np.array(list(_LINES.values()))[None, :, None] * _WEEK * season * wobble
    return Traffic(tuple(_LINES), np.round(vehicles).astype(np.int64))


def traffic_rows(traffic: Traffic) -> Iterator[tuple[str, ...]]:
    """Write the table's lines."""
    for m, month in enumerate(MONTHS):
        for line, name in enumerate(traffic.lines):
            for day in (6, 0, 1, 2, 3, 4, 5):  # the file's weeks begin on Sunday
                count = f'"{traffic.vehicles[m, line, day]:,}"'
                yield month[:4], str(int(month[5:])), name, count, _WEEKDAYS[day]


def air_rows(gu: tuple[str, ...], days: Days, traffic: Traffic, seed: int) -> Iterator[tuple[str, ...]]:
    """Write the lines of all stations, day by day; some values are missing, as in the true files."""
    stations = (*sorted(gu), *ROADS)
    random = stream(seed, "air")
    levels = np.stack([_levels(p, len(gu), days, traffic, seed) for p in range(len(POLLUTANTS))])
    written = np.round(levels).astype(int)
    gone = random.random(levels.shape) < _MISSING
    # The gases carry no finding: values as they usually are, a little higher at roads.
    road = np.arange(len(stations)) >= len(gu)
    shape = (len(days.date), len(stations))
    no2 = np.maximum(random.normal(0.024, 0.006, shape) + 0.012 * road, 0.003)
    o3 = np.maximum(random.normal(0.026, 0.008, shape) - 0.008 * road, 0.002)
    co = np.maximum(random.normal(0.5, 0.1, shape) + 0.1 * road, 0.1)
    so2 = np.maximum(random.normal(0.004, 0.001, shape), 0.001)
    for d, date in enumerate(days.date):
        day = str(date).replace("-", "")
        for s, station in enumerate(stations):
            dust = ["" if gone[p, d, s] else str(written[p, d, s]) for p in range(len(POLLUTANTS))]
            gases = f"{no2[d, s]:.3f}", f"{o3[d, s]:.3f}", f"{co[d, s]:.1f}", f"{so2[d, s]:.3f}"
            yield day, station, *gases, *dust


def _levels(p: int, gu: int, days: Days, traffic: Traffic, seed: int) -> npt.NDArray[np.float64]:
    """µg/m³ of pollutant `p` at each day and station, (N, gu + roads)."""
    random = stream(seed, "air", POLLUTANTS[p])
    n, stations = len(days.date), gu + len(ROADS)
    day_of_year = (days.date - days.date.astype("datetime64[Y]")).astype(np.int64)
    city = _LEVEL[p] + _SEASON[p] * np.cos(2 * np.pi * (day_of_year - 75) / 365.25)
    spell, level = np.empty(n), 0.0
    for day, shock in enumerate(random.normal(0.0, _DAY_SD[p] * np.sqrt(1 - _KEEP**2), n)):
        level = _KEEP * level + float(shock)
        spell[day] = level
    city = city + spell + WIND_EFFECT[p] * (days.wind - 2.4) + RAIN_EFFECT[p] * (days.rain >= RAINY_MM)
    # Where the city's air is clean there is a least: the differences between stations stay as they are.
    city = np.maximum(city, _LEAST + 2 * _STATION_SD[p] + 2 * _NOISE_SD[p])
    more = 10 * (traffic.of_days(days) - 1)
    before = np.concatenate([more[:1], more[:-1]])
    road = (np.arange(stations) >= gu).astype(float)
    own = random.normal(0.0, _STATION_SD[p], stations) * (1 - road)
    own += road * random.normal(ROADSIDE_EXCESS[p], ROADSIDE_SPREAD[p], stations)
    moved = TRAFFIC_EFFECT[p] * more + TRAFFIC_EFFECT_NEXT_DAY[p] * before
    noise = random.normal(0.0, _NOISE_SD[p], (n, stations))
    return np.asarray(np.maximum(city[:, None] + own + road * moved[:, None] + noise, 1.0))
