"""Fine dust and traffic: the report finds what the made-up city hides."""

from __future__ import annotations

import json
from pathlib import Path

from tests.problems.conftest import ROOT, City, blocks_of, check, table_of

NOTEBOOK = ROOT / "notebooks" / "fine_dust.ipynb"


def test_the_report_finds_the_roads_part_and_the_traffics(city: City, tmp_path: Path) -> None:
    months = json.loads(NOTEBOOK.with_suffix(".schema.json").read_text("utf-8"))["properties"]["months"][
        "default"
    ]
    run, page = city.report(NOTEBOOK, tmp_path, months=months, pollutant="pm10", gu="중구")
    truth = json.loads((city.home / "city" / "files" / "truth.json").read_text("utf-8"))["air"]["pm10"]
    found = blocks_of(run)
    effects = {row["what"]: row for row in table_of(found["traffic-effect"])}
    same, after = truth["ten_per_cent_more_traffic"]
    for what, true in (("same-day", same), ("next-day", after), ("together", same + after)):
        assert effects[what]["value_low"] <= true <= effects[what]["value_high"]
    assert effects["together"]["value_low"] > 0
    stations = table_of(found["roadside-stations"])
    assert len(stations) == 15 and all(row["value_low"] > 0 for row in stations)
    mean = sum(row["value"] for row in stations) / 15
    assert abs(mean - truth["roadside_excess"]) < 2 * truth["roadside_spread"]
    (wind,) = (row for row in table_of(found["weather"]) if row["what"] == "wind")
    assert wind["value_low"] <= truth["wind_m_s"] <= wind["value_high"]
    assert len(table_of(found["map-by-gu"])) == 25 and len(table_of(found["roadside-by-month"])) == 12
    assert "길가의 미세먼지(PM10)" in found["messages"][0]["ko"] and "Jung-gu" in found["messages"][1]["en"]
    check(page)
    said = (page / "en" / "index.html").read_text("utf-8")
    assert "Gangnam-daero" in said and "the day after" in said and "other places of the same kind" in said
    assert "Lenschow" in (page / "ko" / "method.html").read_text("utf-8")
    assert {answer["rho"] for answer in run.record["answers"]} == {0}
