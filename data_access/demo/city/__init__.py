"""The synthetic city: a year of public-bike rides by invented people, with a known truth in it.

`build_city` writes the files, `make_city` makes the same city in memory:

    files = build_city(Path("city"))                    # 2 million rides, about 4 s on two cores
    files = build_city(Path("large"), rides=100_000_000, form="parquet")
    city = make_city(rides=20_000, seed=2017)
    for month, table in city.ride_tables(): ...         # twelve Arrow tables

The same seed and size give the same bytes on one machine and one set of package versions (numpy
promises its random streams within a version, and the last bit of exp() depends on the processor),
however many threads are at work.
Imports nothing else of the workspace.
"""

from __future__ import annotations

from .accidents import ACCIDENT_COLUMNS
from .air import AIR_COLUMNS, TRAFFIC_COLUMNS
from .build import DONG_COLUMNS, GU_COLUMNS, STATION_COLUMNS, WEATHER_COLUMNS, build_city
from .city import City, Traces, make_city
from .files import CityFiles, Form, encoding_of
from .lanes import LANE_COLUMNS
from .rides import MEMBER_COLUMN, PUBLIC_COLUMNS
from .shops import AREA_COLUMNS, PARK_COLUMNS, SALES_COLUMNS
from .truth import MONTHS, VERSION

__all__ = [
    "ACCIDENT_COLUMNS",
    "AIR_COLUMNS",
    "AREA_COLUMNS",
    "DONG_COLUMNS",
    "GU_COLUMNS",
    "LANE_COLUMNS",
    "MEMBER_COLUMN",
    "MONTHS",
    "PARK_COLUMNS",
    "PUBLIC_COLUMNS",
    "SALES_COLUMNS",
    "STATION_COLUMNS",
    "TRAFFIC_COLUMNS",
    "VERSION",
    "WEATHER_COLUMNS",
    "City",
    "CityFiles",
    "Form",
    "Traces",
    "build_city",
    "encoding_of",
    "make_city",
]
