"""A city in memory: its parts put together, and what can be gathered from its rides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .accidents import RideTraces
from .geography import Geography, choose_bare_dong, choose_unsafe_gu, make_geography
from .people import People, make_people
from .rides import MonthRides, RideMaker
from .stations import Stations, make_stations
from .truth import DEFAULT_RIDES, LEAST_RIDES, MONTHS, ROW_BOUND, Truth
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
