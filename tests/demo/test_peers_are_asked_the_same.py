"""What the private lane's peers are given and asked; they themselves run in benchmark `private` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import peers
from data_access.demo.city import build_city

RIDES = 2_000


def test_the_peers_rows_are_all_rides_with_their_person_month_gu_and_hour(tmp_path: Path) -> None:
    city = build_city(tmp_path / "city", rides=RIDES, form="parquet")
    question = peers._question(city, tmp_path / "rows.parquet", rounds=9)
    assert (len(question["gu"]), question["rounds"]) == (25, 3)
    # Bun and Steinke: 0.01-zCDP is (0.753, 1e-6)-DP.
    assert question["epsilon"] == pytest.approx(0.7534, abs=1e-4)
    given = pd.read_parquet(question["rows"])
    rides = pd.concat([pd.read_parquet(path) for path in city.rides], ignore_index=True)
    stations = pd.read_csv(city.stations, encoding="utf-8-sig", dtype=str)
    gu = dict(zip(stations["대여소ID"].str.zfill(5), stations["대여소_구"], strict=True))
    months = rides["대여일시"].dt.strftime("%Y-%m") + rides["회원번호"]
    assert len(given) == RIDES
    assert given["unit"].nunique() == months.nunique()
    assert sorted(given["unit"].value_counts()) == sorted(months.value_counts())
    wanted = pd.DataFrame(
        {
            "gu": rides["대여 대여소번호"].astype(str).map(gu),
            "hour": rides["대여일시"].dt.hour,
            "minutes": rides["이용시간(분)"],
        }
    )
    key = ["gu", "hour"]
    found = given.astype({"gu": str}).groupby(key)["minutes"].agg(["size", "sum"])
    counted = wanted.groupby(key)["minutes"].agg(["size", "sum"])
    pd.testing.assert_frame_equal(found, counted, check_index_type=False, check_dtype=False)


def test_another_question_than_ours_is_not_taken_for_it() -> None:
    """OpenDP's own noise for our ρ must be ours: σ 200 rows, and 60 times that in minutes."""
    way: dict[str, Any] = {"seconds": [2.0], "busy": [1.0], "cells": 600, "scales": [200.0, 12_000.0]}
    figures = peers._opendp({"in the question": way, "beforehand": way}, 0.01)
    assert [figure.value for figure in figures] == pytest.approx([2, 200, 2, 200, 1, 1])
    for wrong in ({"scales": [100.0, 12_000.0]}, {"scales": [200.0, 6_000.0]}, {"cells": 599}):
        with pytest.raises(RuntimeError, match="OpenDP"):
            peers._opendp({"in the question": way | wrong, "beforehand": way}, 0.01)
