"""Parks and the shops around them: the report finds what the made-up city hides."""

from __future__ import annotations

import json
from pathlib import Path

from tests.problems.conftest import ROOT, City, blocks_of, check, table_of

NOTEBOOK = ROOT / "notebooks" / "parks.ipynb"


def test_the_report_finds_what_an_opening_does_by_distance_and_trade(city: City, tmp_path: Path) -> None:
    run, page = city.report(NOTEBOOK, tmp_path, gu="마포구")
    truth = json.loads((city.home / "city" / "files" / "truth.json").read_text("utf-8"))
    true = truth["measured"]["park_openings"]
    found = blocks_of(run)
    for name, key in (("by-trade", "trade"), ("by-distance", "band")):
        rows = {row[key].replace("–", "-"): row for row in table_of(found[name])}
        for what, per_cent in true["per_cent_by_trade" if key == "trade" else "per_cent_by_metres"].items():
            assert rows[what]["value_low"] <= per_cent <= rows[what]["value_high"], what
    assert rows["400-800"]["value_low"] < 0 < rows["400-800"]["value_high"], "there is none so far away"
    assert rows["0-200"]["value_low"] > 0
    study = {row["when"]: row for row in table_of(found["before-and-after"])}
    assert all(
        study[f"quarter-{n}"]["value_low"] < 0 < study[f"quarter-{n}"]["value_high"] for n in (2, 3, 4)
    )
    after = [study[f"quarter+{n}"] for n in range(4)]
    assert all(row["value_low"] <= true["per_cent"] <= row["value_high"] for row in after)
    opened = {(row["park"], row["gu"]) for row in table_of(found["new-parks"])}
    assert opened == {(park["park"], park["gu"]) for park in true["parks"]}
    assert len(table_of(found["map-by-gu"])) == 25
    assert "within 400 m of it rose" in found["messages"][0]["en"] and "마포구" in found["messages"][1]["ko"]
    check(page)
    said = (page / "en" / "index.html").read_text("utf-8")
    assert "1 yr before" in said and "coffee, drinks" in said and "April 2025" in said
    assert "Goodman-Bacon" in (page / "ko" / "method.html").read_text("utf-8")
    assert {answer["rho"] for answer in run.record["answers"]} == {0}
