"""A city in memory: its parts put together, and what can be gathered from its rides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .accidents import RideTraces
from .geography import Geography, choose_bare_dong, choose_unsafe_gu, make_geography
from .lanes import choose_lane_poor_gu
from .people import People, make_people, monthly_rides
from .rides import MonthRides, RideMaker
from .stations import Stations, make_stations
from .truth import DEFAULT_RIDES, LEAST_RIDES, MONTHS, MOST_RIDES, ROW_BOUND, Truth
from .weather import Days, make_days


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


def check_size(rides: int, seed: int) -> None:
    """Raise ValueError unless a city of this size and seed can be made."""
    if not LEAST_RIDES <= rides <= MOST_RIDES or seed < 0:
        raise ValueError(
            f"a city needs at least {LEAST_RIDES:,} and at most {MOST_RIDES:,} rides, and a seed of 0 or more"
        )


def make_city(*, rides: int = DEFAULT_RIDES, seed: int = 2017) -> City:
    """Make the city of `rides` rides a year (2,000 to 100 million) from `seed` (0 or more).

    Ground, stations, weather and the hidden truth depend on the seed alone, the people on both.

    Raises ValueError where rides or seed is out of range.
    """
    check_size(rides, seed)
    geography = make_geography(seed)
    unsafe = choose_unsafe_gu(geography, seed)
    bare = choose_bare_dong(geography, unsafe, seed)
    lane_poor = choose_lane_poor_gu(geography, unsafe, bare, seed)
    stations = make_stations(geography, bare, seed)
    people = make_people(geography, stations, rides, seed)
    days = make_days(seed)
    maker = RideMaker(geography, stations, people, days, rides=rides, seed=seed)
    return City(geography, stations, people, days, Truth(seed, rides, unsafe, bare, lane_poor), maker)


class Traces:
    """Gathers what the accidents need of the year's rides: 9 bytes of each."""

    def __init__(self, rides: int) -> None:
        """Make room for a city of `rides` rides."""
        self._year = RideTraces(
            person=np.empty(rides, dtype=np.int32),
            station=np.empty(rides, dtype=np.int16),
            day=np.empty(rides, dtype=np.int16),
            hour=np.empty(rides, dtype=np.int8),
        )
        self._ends = np.cumsum(monthly_rides(rides))
        self._missing = set(MONTHS)

    def add(self, month: MonthRides) -> None:
        """Put one month in its place; months may come in any order and from several threads."""
        stop = int(self._ends[MONTHS.index(month.month)])
        place = slice(stop - len(month.person), stop)
        self._year.person[place] = month.person
        self._year.station[place] = month.start
        self._year.day[place] = month.day
        self._year.hour[place] = month.second // 3600
        self._missing.discard(month.month)

    def year(self) -> RideTraces:
        """Give all months; raises RuntimeError before the last is in."""
        if self._missing:
            raise RuntimeError(f"no rides yet of {', '.join(sorted(self._missing))}")
        return self._year


@dataclass(frozen=True)
class MonthCount:
    """What came out in one month, for `truth.json`; `lost` are the rides that a bound of 20 would drop."""

    month: str
    riders: int
    rides: int
    lost: int

    @classmethod
    def of(cls, month: MonthRides) -> MonthCount:
        """Count."""
        often = np.bincount(month.person)
        lost = int(np.maximum(often - ROW_BOUND, 0).sum())
        return cls(month.month, int((often > 0).sum()), len(month.person), lost)


def figures_of(counts: Iterable[MonthCount]) -> dict[str, Any]:
    """Put the months' counts together."""
    year = list(counts)
    share = sum(month.lost for month in year) / sum(month.rides for month in year)
    return {
        "riders": {month.month: month.riders for month in year},
        "rides": {month.month: month.rides for month in year},
        "share_past_bound": round(share, 6),
    }
