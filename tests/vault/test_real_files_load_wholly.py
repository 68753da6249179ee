"""The true layouts, on real files. Their rows stay in the temporary vault; only counts are looked at."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from making import policy, rows_of, vault

from data_access.catalog import Dataset, load_catalog
from data_access.errors import LoadValue
from data_access.flows.loading import Vault, load
from data_access.intake import read_files

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CIVIC_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
BIKE = SHARED / "bike"

needs_real_files = pytest.mark.skipif(
    not BIKE.is_dir(), reason=f"the real files are not beside the checkout ({SHARED.name}/bike)"
)

GU = (
    *("강남구", "강동구", "강북구", "강서구", "관악구", "광진구", "구로구", "금천구", "노원구", "도봉구"),
    *("동대문구", "동작구", "마포구", "서대문구", "서초구", "성동구", "성북구", "송파구", "양천구"),
    *("영등포구", "용산구", "은평구", "종로구", "중구", "중랑구"),
)


def _dataset(name: str) -> Dataset:
    folders = (Path(__file__).parent / "catalog", CHECKOUT / "data_access" / "demo" / "catalog")
    return {key: value for folder in folders for key, value in load_catalog(folder).items()}[name]


def _rows(made: Vault, of: Dataset, path: Path, **changes: Any) -> list[tuple[Any, ...]]:
    chosen = policy(
        of, unit={"kind": "row", "period": "month"}, row_bound=1, lineage=f"real-{len(of.id)}", **changes
    )
    load(made, of, [path], lineage=chosen.lineage, policy=chosen, by="test")
    return rows_of(made, chosen)


@needs_real_files
def test_999_trips_load_and_22_start_at_stations_that_the_list_lacks(tmp_path: Path) -> None:
    made = vault(tmp_path)
    rows = _rows(
        made,
        _dataset("bike_rides_public"),
        BIKE / "ttareungi_trips_201709_sample1000.csv",
        first_period="2017-09",
        last_period="2017-09",
        keys={"start_gu": {"values": GU}, "sex": {"values": ["F", "M"]}},
        clips={"minutes": {"low": 0, "high": 60, "unit": "minute"}},
    )
    made.database.close()
    by_gu = Counter(row[1] for row in rows)
    assert len(rows) == 999
    assert by_gu["other"] == 22
    assert set(by_gu) <= {*GU, "other"}
    assert {row[0] for row in rows} == {"2017-09"}
    assert {row[2] for row in rows} == {"F", "M", "other"}


@needs_real_files
def test_1656_accidents_load_each_in_its_gu(tmp_path: Path) -> None:
    made = vault(tmp_path)
    rows = _rows(
        made,
        _dataset("accidents"),
        BIKE / "taas_bike_accidents_2017.csv",
        first_period="2017-01",
        last_period="2017-12",
        keys={"gu": {"values": GU}},
        clips={},
    )
    made.database.close()
    assert len(rows) == 1656
    assert {row[1] for row in rows} == set(GU)
    assert len({row[0] for row in rows}) == 12


@needs_real_files
def test_a_file_that_lost_bytes_is_refused_at_its_first_broken_line() -> None:
    """Lost bytes glue two fields together, an empty one at the end keeps the count: the types tell."""
    of = _dataset("bike_rides_public")
    columns = {name: column for name, column in of.columns.items() if name not in ("birth_year", "sex")}
    columns["minutes"] = columns["minutes"].model_copy(update={"source": "이용시간"})
    columns["meters"] = columns["meters"].model_copy(update={"source": "이용거리"})
    older = of.model_copy(update={"columns": columns})
    with pytest.raises(LoadValue) as caught:
        list(read_files(older, [BIKE / "ttareungi_trips_broken_rows.csv"], tables=BIKE))
    assert caught.value.facts["line"] == 2


@needs_real_files
def test_4593_merchants_of_another_city_are_read_with_the_demonstrations_layout() -> None:
    """The national layout: commas in names, blank phones, addresses that end in the dong."""
    file = SHARED / "mealcard" / "chuncheon_child_mealcard_merchants_20250714.csv"
    of = _dataset("meal_merchants")
    found = [row for table in read_files(of, [file], tables=BIKE) for row in table.to_pylist()]
    assert len(found) == 4593
    assert {row["gu"] for row in found} == {"춘천시"} and all(row["name"] for row in found)
    bracketed = sum(str(row["address"]).rstrip().endswith(")") for row in found)
    assert bracketed > 1000


@needs_real_files
def test_real_sales_areas_and_parks_are_read_with_the_demonstrations_layouts() -> None:
    """Sales have 55 columns; parks were typed: 10 of 132 have no place, and some of the others none on the grid."""
    folder = SHARED / "parks_economy"
    found = {
        name: [
            row
            for table in read_files(_dataset(name), [folder / file], tables=BIKE)
            for row in table.to_pylist()
        ]
        for name, file in (
            ("shop_sales", "commercial_sample_sales_2024.csv"),
            ("shop_areas", "commercial_sample_area.csv"),
            ("parks", "seoul_parks_2020.csv"),
        )
    }
    assert {name: len(rows) for name, rows in found.items()} == {
        "shop_sales": 100,
        "shop_areas": 100,
        "parks": 132,
    }
    assert {row["quarter"] for row in found["shop_sales"]} == {20241}
    assert all(row["sales"] > 0 and row["sold"] > 0 for row in found["shop_sales"])
    assert {row["gu"] for row in found["shop_areas"]} == {"종로구", "중구", "용산구", "성동구"}
    assert sum(row["x"] is None for row in found["parks"]) == 10


def test_the_demo_catalog_is_whole() -> None:
    found = load_catalog(CHECKOUT / "data_access" / "demo" / "catalog")
    assert set(found) == {
        "bike_rides",
        "accidents",
        "gu_facts",
        "weather_days",
        "air_days",
        "expressway_traffic",
        "meal_card_uses",
        "bike_stations",
        "bike_lanes",
        "dong_facts",
        "meal_merchants",
        "donations",
        "donation_campaigns",
        "shop_sales",
        "shop_areas",
        "parks",
    }
    assert found["bike_rides"].person_column == "member"
    assert found["accidents"].person_column is None
