"""Bike routes: the report finds what the made-up city hides, and says so plainly where a city is too small."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import make_city
from tests.problems.conftest import ROOT, City, Template, blocks_of, check, open_city, table_of

NOTEBOOK = ROOT / "notebooks" / "bike_routes.ipynb"
#: With these rides, in these months, every gu that hides something shows its rides, and most neighbours theirs.
RIDES = 300_000
MONTHS = ["2025-10", "2025-11", *(f"2026-0{month}" for month in range(3, 10))]
DATASETS = ("bike_rides", "accidents", "bike_stations", "bike_lanes", "dong_facts")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, warm_template: Template) -> Iterator[City]:
    yield from open_city(make_city(tmp_path_factory.mktemp("rides") / "home", RIDES, DATASETS), warm_template)


def truth_of(city: City) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((city.home / "city" / "files" / "truth.json").read_text("utf-8"))
    return found


def test_the_report_finds_the_unsafe_gu_those_without_lanes_and_the_dong_without_a_station(
    large: City, tmp_path: Path
) -> None:
    run, page = large.report(NOTEBOOK, tmp_path, gu="송파구", months=MONTHS)
    truth, found = truth_of(large), blocks_of(run)
    unsafe = {gu["name"] for gu in truth["unsafe_gu"]}
    by_rate = sorted(table_of(found["map-by-gu"]), key=lambda row: -(row["rate"] or 0))
    assert {row["gu"] for row in by_rate[:3]} == unsafe and "뚜렷하게 잦습니다" in found["messages"][0]["ko"]
    poor = {gu["name"] for gu in truth["lanes"]["poor_gu"]}
    lanes = table_of(found["lanes-missing"])
    assert {row["gu"] for row in sorted(lanes, key=lambda row: -(row["missing"] or 0))[:2]} == poor
    assert all(gu in found["lanes-missing"]["title"]["ko"] for gu in poor)
    going = table_of(found["flows"])
    assert (
        len(going) >= 3
        and {row["a"] for row in going} == {"송파구"}
        and going[0]["b"] in ("강남구", "강동구")
    )
    bare = {(dong["gu"], dong["name"]) for dong in truth["dong_without_station"]}
    places = table_of(found["new-stations"])
    assert {(row["gu"], row["dong"]) for row in places[:2]} == bare and len(places) == 10
    assert all(row["spared_low"] > 0 for row in places)
    check(page)
    assert "Cornuéjols" in (page / "ko" / "method.html").read_text("utf-8")
    private = [a["rho"] for a in run.record["answers"] if a["dataset"] == "bike_rides"]
    assert sorted(private) == [10_000_000, 40_000_000], "what the site team may spend in a month is 0.14"
    pages = {name: (page / name / "index.html").stat().st_size for name in ("ko", "en")}
    assert max(pages.values()) < 600_000, pages


def test_a_city_with_few_rides_gets_a_page_that_says_so(city: City, tmp_path: Path) -> None:
    run, page = city.report(NOTEBOOK, tmp_path, months=["2026-02"])
    found = blocks_of(run)
    # A cell or two of noise alone may come out above the least that is shown: nothing is made of it.
    assert "Too few people rode" in found["messages"][0]["en"] and "더 많은 달" in found["messages"][1]["ko"]
    assert found["chart-by-gu"]["title"]["en"] == "Nothing can be said of single districts"
    assert table_of(found["flows"]) == [] and "new-stations" not in found
    check(page)
