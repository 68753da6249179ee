"""Sums, shares and rates of frames: intervals, gaps and provenance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from civic_kernel.errors import FrameUnsuitable
from civic_kernel.frames import KEY
from civic_kernel.methods.rates import accident_rates
from civic_kernel.methods.rides import shares, totals

SCALE = 20_000**0.5


def answer(
    measure: str, cells: dict[tuple[str, str], float | None], scale: float = SCALE, fn: str = "count"
) -> pd.DataFrame:
    frame = pd.DataFrame([{"gu": gu, "month": month, measure: n} for (gu, month), n in cells.items()])
    frame[measure] = frame[measure].astype("Int64")
    frame["withheld"] = frame[measure].isna()
    frame.attrs[KEY] = {
        "answer_id": f"ans-{measure}",
        "synthetic": measure == "rides",
        "newer_data": False,
        "newer_policy": False,
        "language": "en",
        "keys": ["gu", "month"],
        "measures": {measure: {"fn": fn, "rho": 1, "scale": str(scale), "margin": 277}},
    }
    return frame


def test_variances_of_independent_cells_add_up() -> None:
    frame = answer("rides", {("a", "1"): 500, ("a", "2"): 700, ("b", "1"): 900, ("b", "2"): None})
    out = totals(frame, "rides", "gu").set_index("gu")
    assert out.loc["a", "rides"] == 1200
    assert out.loc["a", "rides_sd"] == pytest.approx(SCALE * 2**0.5)
    assert out.loc["a", "rides_high"] - 1200 == pytest.approx(1.959964 * SCALE * 2**0.5)
    assert out.loc["b", ["cells", "missing"]].tolist() == [1, 1] and not out.loc["b", "withheld"]
    assert len(totals(frame, "rides")) == 1 and totals(frame, "rides")["missing"].item() == 1


def test_a_sum_of_nothing_is_withheld_and_not_zero() -> None:
    out = totals(answer("rides", {("a", "1"): None, ("b", "1"): 5}), "rides", "gu").set_index("gu")
    assert out.loc["a", "withheld"] and np.isnan(out.loc["a", "rides"])


def test_people_are_not_summed() -> None:
    with pytest.raises(FrameUnsuitable):
        totals(answer("riders", {("a", "1"): 5}, fn="persons"), "riders", "gu")


def test_a_frame_without_provenance_has_no_error_to_carry() -> None:
    frame = answer("rides", {("a", "1"): 5})
    frame.attrs.clear()
    with pytest.raises(FrameUnsuitable):
        totals(frame, "rides", "gu")


def test_intervals_of_totals_and_shares_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([3000.0, 9000.0, 20000.0])
    hits = np.zeros((2, 3))
    for _ in range(1000):
        seen = np.round(truth / 4 + rng.normal(0, SCALE, (4, 3)))
        cells = {(f"g{i}", str(m)): seen[m, i] for i in range(3) for m in range(4)}
        out = shares(totals(answer("rides", cells), "rides", "gu"), "rides")
        for row, (name, true) in enumerate((("rides", truth), ("share", truth / truth.sum()))):
            hits[row] += (out[f"{name}_low"].to_numpy() <= true) & (true <= out[f"{name}_high"].to_numpy())
    assert (hits / 1000).min() >= 0.93


def test_a_place_without_both_counts_has_no_rate() -> None:
    places = [f"g{i}" for i in range(8)]
    rides = answer("rides", {(g, "1"): 80_000 for g in [*places, "other"]})
    rides.loc[1, ["rides", "withheld"]] = [pd.NA, True]
    accidents = answer("accidents", {(g, "1"): 200 if g == "g0" else 80 for g in places[:-1]}, scale=10**0.5)
    out = accident_rates(accidents, rides, by="gu", rides_by="gu").set_index("gu")
    assert out["withheld"].to_dict() == {g: g in ("g1", "g7") for g in places}
    assert out.index[out["above"]].tolist() == ["g0"]
    assert out.loc["g1", ["rate", "rate_low", "rate_high"]].isna().all()
    assert out.loc["g2", "rate_low"] < 100 < out.loc["g2", "rate_high"]
    assert out.attrs[KEY]["answer_id"] == "ans-accidents, ans-rides" and out.attrs[KEY]["synthetic"]
