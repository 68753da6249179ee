"""Building the city's folder: every file in its layout, in one pass over the months."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from .accidents import ACCIDENT_COLUMNS, accident_rows, draw_accidents
from .air import AIR_COLUMNS, TRAFFIC_COLUMNS, air_rows, make_traffic, traffic_rows
from .city import City, MonthCount, Traces, check_size, figures_of, make_city
from .donations import (
    CAMPAIGN_COLUMNS,
    GIFT_COLUMNS,
    STREET_COLUMNS,
    campaign_rows,
    gift_rows,
    gift_truth,
    make_donors,
    street_rows,
)
from .files import CityFiles, CityWriter, Form, build_once
from .geography import Geography
from .lanes import LANE_COLUMNS, lane_rows
from .meals import (
    DISTANCE_COLUMNS,
    MERCHANT_COLUMNS,
    USE_COLUMNS,
    Meals,
    distance_rows,
    make_meals,
    merchant_rows,
    use_rows,
)
from .shops import (
    AREA_COLUMNS,
    PARK_COLUMNS,
    SALES_COLUMNS,
    area_rows,
    make_shops,
    openings_found,
    park_rows,
    sales_rows,
)
from .truth import DEFAULT_RIDES, MONTHS

STATION_COLUMNS: Final = (
    "대여소_구",
    "대여소ID",
    "대여소명",
    "대여소주소",
    "위도",
    "경도",
    "기준시작일자",
    "거치대수",
)
WEATHER_COLUMNS: Final = ("일시", "평균기온(°C)", "일강수량(mm)", "평균 풍속(m/s)")
DONG_COLUMNS: Final = ("법정동코드", "자치구", "법정동", "거주자수", "일자리수", "대여소수", "공원", "한강")
GU_COLUMNS: Final = ("자치구코드", "자치구", "거주자수", "면적(km2)")

Progress = Callable[[str, float], None]


def build_city(
    out: Path,
    *,
    rides: int = DEFAULT_RIDES,
    seed: int = 2017,
    form: Form = "csv",
    threads: int | None = None,
    progress: Progress | None = None,
) -> CityFiles:
    """Write the city's files into folder `out`, whole or not at all.

    The rides are CSV, as the portal has them, or Parquet. Months are made by `threads` at once (default:
    one for each processor, at most 4: each needs up to 1 GB for 100 million rides); the bytes do not
    depend on their number. `progress(stage, fraction)` hears a stage's name (`ground`, `rides`,
    `accidents`, `tables`) and how much of the whole is done, 0 to 1. A folder that holds this city
    already (same seed, size, form and VERSION) is left as it is, and progress hears only `("finished",
    1.0)`.

    Raises ValueError as `make_city`, FileExistsError where `out` holds anything but an earlier city.
    """
    tell = progress or (lambda stage, fraction: None)
    check_size(rides, seed)
    at_once = threads or min(4, len(os.sched_getaffinity(0)))
    files = build_once(out, seed, rides, form, lambda writer: _fill(writer, rides, seed, at_once, tell))
    tell("finished", 1.0)
    return files


def _fill(writer: CityWriter, rides: int, seed: int, threads: int, tell: Progress) -> None:
    """Write everything but the manifest."""
    tell("ground", 0.0)
    city = make_city(rides=rides, seed=seed)
    traces = Traces(rides)

    def make(month: int) -> MonthCount:
        drawn = city.maker.month_rides(month)
        writer.rides(drawn.month, city.maker.ride_tables(drawn))
        traces.add(drawn)
        return MonthCount.of(drawn)

    counts: list[MonthCount] = []
    # Threads suffice: nearly all of the time numpy and Arrow are at work, which let others run.
    with ThreadPoolExecutor(threads) as pool:
        try:
            for count in pool.map(make, range(len(MONTHS))):
                tell("rides", 0.1 + 0.8 * sum(month.rides for month in counts) / rides)
                counts.append(count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
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
    _write_truth(writer, city, figures_of(counts) | {"accidents": len(rows)})


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
    lanes = lane_rows(geography, city.truth.lane_poor_gu, city.truth.seed)
    writer.table(files.lanes, LANE_COLUMNS, lanes, bom=False, encoding="cp949")
    weather_rows = [
        (str(days.date[d]), f"{days.temp[d]:.1f}", f"{days.rain[d]:.1f}", f"{days.wind[d]:.1f}")
        for d in range(len(days.date))
    ]
    writer.table(files.weather, WEATHER_COLUMNS, weather_rows, bom=False)
    traffic = make_traffic(city.truth.seed)
    writer.table(files.traffic, TRAFFIC_COLUMNS, traffic_rows(traffic), bom=True, end="\n")
    rows = air_rows(geography.gu_names, days, traffic, city.truth.seed)
    writer.table(files.air, AIR_COLUMNS, rows, bom=False, encoding="cp949")
    meals = make_meals(geography, city.truth.seed)
    writer.table(
        files.meal_merchants, MERCHANT_COLUMNS, merchant_rows(meals, geography, city.truth.seed), bom=True
    )
    writer.table(files.meal_distances, DISTANCE_COLUMNS, distance_rows(meals, geography), bom=False)
    uses = use_rows(meals, geography, days, city.truth.seed)
    writer.table(files.meal_uses, USE_COLUMNS, uses, bom=True)
    donors = make_donors(geography, city.truth.seed)
    gifts = gift_rows(donors, geography, days, city.truth.seed)
    writer.table(files.donations, GIFT_COLUMNS, gifts, bom=True)
    writer.table(files.donation_campaigns, CAMPAIGN_COLUMNS, campaign_rows(donors, geography), bom=True)
    writer.table(files.donation_areas, STREET_COLUMNS, street_rows(donors, geography), bom=False)
    shops = make_shops(geography, city.truth.seed)
    sales = sales_rows(shops, geography, city.truth.seed)
    writer.table(files.shop_sales, SALES_COLUMNS, sales, bom=False, encoding="cp949")
    writer.table(files.shop_areas, AREA_COLUMNS, area_rows(shops, geography), bom=True)
    parks = park_rows(shops, geography, city.truth.seed)
    quoted = [f'"{name}"' for name in PARK_COLUMNS]
    writer.table(files.parks, quoted, parks, bom=False, end="\n", encoding="cp949")
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


def _deserts(geography: Geography, meals: Meals) -> list[dict[str, Any]]:
    """Name the dong without a proper meal near them, with their children."""
    return [
        {
            "code": geography.dong_codes[d],
            "gu": geography.gu_names[geography.gu_of[d]],
            "name": geography.dong_names[d],
            "children": int((meals.home == d).sum()),
            "km": round(float(meals.km[d]), 3),
        }
        for d in meals.deserts
    ]


def _write_truth(writer: CityWriter, city: City, measured: dict[str, Any]) -> None:
    """Write the truth with the places' names and codes."""
    geography, truth = city.geography, city.truth
    measured |= {"meal_deserts": _deserts(geography, make_meals(geography, truth.seed))}
    measured |= gift_truth(make_donors(geography, truth.seed), geography)
    measured |= {"park_openings": openings_found(make_shops(geography, truth.seed), geography)}
    gu, lane_poor = (
        [{"code": geography.gu_codes[g], "name": geography.gu_names[g]} for g in chosen]
        for chosen in (truth.unsafe_gu, truth.lane_poor_gu)
    )
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
    writer.document(writer.files.truth, truth.document(gu, lane_poor, dong, measured))
