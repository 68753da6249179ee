"""Children's meal cards: the report finds what the made-up city hides."""

from __future__ import annotations

import json
from pathlib import Path

from tests.problems.conftest import ROOT, City, blocks_of, check, table_of

NOTEBOOK = ROOT / "notebooks" / "meal_cards.ipynb"


def test_the_report_finds_the_share_by_distance_and_the_dong_without_a_meal(
    city: City, tmp_path: Path
) -> None:
    schema = json.loads(NOTEBOOK.with_suffix(".schema.json").read_text("utf-8"))
    run, page = city.report(NOTEBOOK, tmp_path, months=schema["properties"]["months"]["default"])
    truth = json.loads((city.home / "city" / "files" / "truth.json").read_text("utf-8"))
    found = blocks_of(run)
    for row in table_of(found["stores-by-distance"]):
        if row["reach"] != "other":
            true = 100 * truth["meals"]["convenience_share"][row["reach"]]
            # The truth is a chance, and what was used is a draw of some thousand from it.
            assert row["share_low"] - 2 <= true <= row["share_high"] + 2
    deserts = {(d["gu"], d["name"]) for d in truth["measured"]["meal_deserts"]}
    best = table_of(found["new-merchants"])
    assert deserts <= {(row["gu"], row["dong"]) for row in best}
    assert (best[0]["gu"], best[0]["dong"]) in deserts and best[0]["gain_low"] > 0
    hours = {row["hour"]: row["share"] for row in table_of(found["stores-by-hour"]) if not row["withheld"]}
    assert min(hours[h] for h in (19, 20)) > max(hours[h] for h in (12, 13)) and "3" not in hours
    assert len(table_of(found["stores-by-gu"])) == 25
    assert "convenience stores" in found["messages"][0]["en"] and "1 km" in found["messages"][0]["en"]
    check(page)
    assert "Clark" in (page / "en" / "method.html").read_text("utf-8")
    spent = sum(answer["rho"] for answer in run.record["answers"])
    assert spent == 130_000_000, "what the site team may spend in a month is 0.14"
