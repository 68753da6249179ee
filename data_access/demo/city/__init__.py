"""The synthetic city: a year of public-bike rides by invented people, with a known truth in it.

`build_city` writes the files, `make_city` makes the same city in memory:

    files = build_city(Path("city"))                    # 2 million rides, about 15 s
    city = make_city(rides=20_000, seed=2017)
    for month, table in city.ride_tables(): ...         # twelve Arrow tables

The same seed and size give the same bytes on one machine and one set of package versions (numpy
promises its random streams within a version, and the last bit of exp() depends on the processor).
Imports nothing else of the workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from .accidents import ACCIDENT_COLUMNS, RideTraces, accident_rows, draw_accidents
from .files import CityFiles, CityWriter, build_once, encoding_of
from .geography import Geography, choose_bare_dong, choose_unsafe_gu, make_geography
from .people import People, make_people, monthly_rides
from .rides import MEMBER_COLUMN, PUBLIC_COLUMNS, MonthRides, RideMaker
from .stations import Stations, make_stations
from .truth import DEFAULT_RIDES, LEAST_RIDES, MONTHS, ROW_BOUND, VERSION, Truth
from .weather import Days, make_days

__all__ = [
    "ACCIDENT_COLUMNS",
    "DONG_COLUMNS",
    "GU_COLUMNS",
    "MEMBER_COLUMN",
    "MONTHS",
    "PUBLIC_COLUMNS",
    "STATION_COLUMNS",
    "VERSION",
    "WEATHER_COLUMNS",
    "City",
    "CityFiles",
    "build_city",
    "encoding_of",
    "make_city",
]

STATION_COLUMNS = (
    "대여소_구",
    "대여소ID",
    "대여소명",
    "대여소주소",
    "위도",
    "경도",
    "기준시작일자",
    "거치대수",
)
WEATHER_COLUMNS = ("일시", "평균기온(°C)", "일강수량(mm)", "평균 풍속(m/s)")
DONG_COLUMNS = ("법정동코드", "자치구", "법정동", "거주자수", "일자리수", "대여소수", "공원", "한강")
GU_COLUMNS = ("자치구코드", "자치구", "거주자수", "면적(km2)")

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class City:
    """A city in memory, but for its rides, which are drawn month by month."""

    geography: Geography
    stations: Stations
    people: People
    days: Days
    truth: Truth
    maker: RideMaker

    def month_rides(self) -> Iterator[MonthRides]:
        """Draw the twelve months' rides as arrays; the same at each call."""
        for month in range(len(MONTHS)):
            yield self.maker.month_rides(month)

    def ride_tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Give (month, table of 18 columns) twelve times; see `RideMaker.ride_table` for the types."""
        for rides in self.month_rides():
            yield rides.month, self.maker.ride_table(rides)


def make_city(*, rides: int = DEFAULT_RIDES, seed: int = 2017) -> City:
    """Make the city of `rides` rides a year (at least 2,000) from `seed` (0 or more).

    Ground, stations, weather and the hidden truth depend on the seed alone, the people on both.

    Raises ValueError where rides or seed is too small.
    """
    if rides < LEAST_RIDES:
        raise ValueError(f"a city needs at least {LEAST_RIDES} rides, not {rides}")
    if seed < 0:
        raise ValueError(f"a seed is 0 or more, not {seed}")
    geography = make_geography(seed)
    unsafe = choose_unsafe_gu(geography, seed)
    bare = choose_bare_dong(geography, unsafe, seed)
    stations = make_stations(geography, bare, seed)
    people = make_people(geography, stations, rides, seed)
    days = make_days(seed)
    maker = RideMaker(geography, stations, people, days, rides=rides, seed=seed)
    return City(geography, stations, people, days, Truth(seed, rides, unsafe, bare), maker)


def build_city(
    out: Path, *, rides: int = DEFAULT_RIDES, seed: int = 2017, progress: Progress | None = None
) -> CityFiles:
    """Write the city's files into folder `out`, whole or not at all.

    `progress(stage, fraction)` hears a stage's name (`ground`, `rides`, `accidents`, `tables`) and
    how much of the whole is done, 0 to 1. A folder that holds this city already (same seed, size and
    VERSION) is left as it is, and progress hears only `("finished", 1.0)`.

    Raises ValueError as `make_city`, FileExistsError where `out` holds anything but an earlier city.
    """
    tell = progress or (lambda stage, fraction: None)
    if rides < LEAST_RIDES or seed < 0:
        raise ValueError(f"a city needs at least {LEAST_RIDES} rides and a seed of 0 or more")
    files = build_once(out, seed, rides, lambda writer: _fill(writer, rides, seed, tell))
    tell("finished", 1.0)
    return files


def _fill(writer: CityWriter, rides: int, seed: int, tell: Progress) -> None:
    """Write everything but the manifest."""
    tell("ground", 0.0)
    city = make_city(rides=rides, seed=seed)
    per_month = monthly_rides(rides)
    traces = Traces(rides)
    measure = Measure(city)
    done = 0
    for place, month in enumerate(city.month_rides()):
        tell("rides", 0.1 + 0.8 * done / rides)
        writer.rides(month.month, city.maker.ride_table(month))
        traces.add(month)
        measure.add(month)
        done += int(per_month[place])
    tell("accidents", 0.9)
    year = traces.year()
    picked = draw_accidents(year, city.geography, city.stations, city.days, city.truth)
    rows = accident_rows(
        picked,
        year,
        geography=city.geography,
        stations=city.stations,
        people=city.people,
        days=city.days,
        seed=seed,
    )
    writer.table(writer.files.accidents, ACCIDENT_COLUMNS, rows, bom=True)
    tell("tables", 0.95)
    _write_tables(writer, city)
    _write_truth(writer, city, measure.figures() | {"accidents": len(rows)})


class Traces:
    """Gathers what the accidents need of the year's rides."""

    def __init__(self, rides: int) -> None:
        """Make room for exactly `rides` rides."""
        self._year = RideTraces(
            person=np.empty(rides, dtype=np.int32),
            station=np.empty(rides, dtype=np.int16),
            day=np.empty(rides, dtype=np.int16),
            hour=np.empty(rides, dtype=np.int8),
        )
        self._used = 0

    def add(self, month: MonthRides) -> None:
        """Append one month."""
        place = slice(self._used, self._used + len(month.person))
        self._year.person[place] = month.person
        self._year.station[place] = month.start
        self._year.day[place] = month.day
        self._year.hour[place] = month.second // 3600
        self._used = place.stop

    def year(self) -> RideTraces:
        """Give all months; raises RuntimeError before the last ride is in."""
        if self._used != len(self._year.person):
            raise RuntimeError(f"{self._used} of {len(self._year.person)} rides were drawn")
        return self._year


class Measure:
    """Counts what came out, for `truth.json`: riders, and the rides that a bound of 20 would drop."""

    def __init__(self, city: City) -> None:
        """Start from nothing."""
        self._people = len(city.people.member)
        self._riders: dict[str, int] = {}
        self._rides: dict[str, int] = {}
        self._lost = 0

    def add(self, month: MonthRides) -> None:
        """Count one month."""
        often = np.bincount(month.person, minlength=self._people)
        self._riders[month.month] = int((often > 0).sum())
        self._rides[month.month] = len(month.person)
        self._lost += int(np.maximum(often - ROW_BOUND, 0).sum())

    def figures(self) -> dict[str, Any]:
        """Give the counts."""
        share = self._lost / sum(self._rides.values())
        return {"riders": self._riders, "rides": self._rides, "share_past_bound": round(share, 6)}


def _write_tables(writer: CityWriter, city: City) -> None:
    """Write stations, weather, dong and gu."""
    geography, stations, days = city.geography, city.stations, city.days
    files = writer.files
    gu_of_station = geography.gu_of[stations.dong].tolist()
    station_rows = [
        (
            geography.gu_names[gu_of_station[s]],
            str(stations.number[s]),
            f"{stations.number[s]}. {stations.name[s]}",
            stations.address[s],
            f"{stations.lat[s]:.6f}",
            f"{stations.lon[s]:.6f}",
            stations.since[s],
            str(stations.racks[s]),
        )
        for s in range(len(stations.number))
    ]
    # the portal's station file ends its lines with LF, its ride and accident files with CRLF
    writer.table(files.stations, STATION_COLUMNS, station_rows, bom=True, end="\n")
    weather_rows = [
        (str(days.date[d]), f"{days.temp[d]:.1f}", f"{days.rain[d]:.1f}", f"{days.wind[d]:.1f}")
        for d in range(len(days.date))
    ]
    writer.table(files.weather, WEATHER_COLUMNS, weather_rows, bom=False)
    dong_rows = [
        (
            geography.dong_codes[d],
            geography.gu_names[geography.gu_of[d]],
            geography.dong_names[d],
            str(geography.residents[d]),
            str(geography.jobs[d]),
            str(stations.count[d]),
            str(int(geography.park[d])),
            str(int(geography.river[d])),
        )
        for d in range(len(geography.dong_codes))
    ]
    writer.table(files.dong, DONG_COLUMNS, dong_rows, bom=True)
    residents = np.bincount(geography.gu_of, geography.residents).astype(np.int64)
    gu_rows = [
        (geography.gu_codes[g], geography.gu_names[g], str(residents[g]), f"{geography.gu_km2[g]:.2f}")
        for g in range(len(geography.gu_codes))
    ]
    writer.table(files.gu, GU_COLUMNS, gu_rows, bom=True)


def _write_truth(writer: CityWriter, city: City, measured: dict[str, Any]) -> None:
    """Write the truth with the places' names and codes."""
    geography, truth = city.geography, city.truth
    gu = [{"code": geography.gu_codes[g], "name": geography.gu_names[g]} for g in truth.unsafe_gu]
    dong = [
        {
            "code": geography.dong_codes[d],
            "gu": geography.gu_names[geography.gu_of[d]],
            "name": geography.dong_names[d],
            "residents": int(geography.residents[d]),
            "jobs": int(geography.jobs[d]),
        }
        for d in truth.bare_dong
    ]
    writer.document(writer.files.truth, truth.document(gu, dong, measured))
