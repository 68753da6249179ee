"""Sums, shares and rates of frames: intervals, gaps and provenance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from civic_kernel.errors import FrameUnsuitable, NoiseShared
from civic_kernel.frames import KEY
from civic_kernel.methods.combine import complete, diff, ratio, shares, total
from civic_kernel.methods.rates import accident_rates

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
    out = total(frame, "rides", "gu").set_index("gu")
    assert out.loc["a", "rides"] == 1200
    assert out.loc["a", "rides_sd"] == pytest.approx(SCALE * 2**0.5)
    assert out.loc["a", "rides_high"] - 1200 == pytest.approx(1.959964 * SCALE * 2**0.5 + 0.5)
    assert out.loc["b", ["cells", "missing"]].tolist() == [1, 1] and not out.loc["b", "withheld"]
    assert len(total(frame, "rides")) == 1 and total(frame, "rides")["missing"].item() == 1


def test_a_sum_of_nothing_is_withheld_and_not_zero() -> None:
    out = total(answer("rides", {("a", "1"): None, ("b", "1"): 5}), "rides", "gu").set_index("gu")
    assert out.loc["a", "withheld"] and np.isnan(out.loc["a", "rides"])


def test_a_table_beside_one_that_was_made_from_it_is_refused() -> None:
    fine = answer("rides", {("a", "1"): 500, ("a", "2"): 700})
    coarse = answer("rides", {("a", "1"): 1200})
    coarse.attrs[KEY] |= {"answer_id": "ans-coarse", "noise_of": ["ans-rides"]}
    for combine in (ratio, diff):
        with pytest.raises(NoiseShared):
            combine(fine, coarse, by="gu")
    coarse.attrs[KEY]["noise_of"] = ["ans-coarse"]
    assert len(diff(fine, coarse, by="gu")) == 1


def test_people_are_not_summed() -> None:
    with pytest.raises(FrameUnsuitable):
        total(answer("riders", {("a", "1"): 5, ("a", "2"): 5}, fn="persons"), "riders", "gu")


def test_a_frame_without_provenance_has_no_error_to_carry() -> None:
    frame = answer("rides", {("a", "1"): 5})
    frame.attrs.clear()
    with pytest.raises(FrameUnsuitable):
        total(frame, "rides", "gu")


def test_intervals_of_totals_and_shares_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([3000.0, 9000.0, 20000.0])
    hits = np.zeros((2, 3))
    for _ in range(1000):
        seen = np.round(truth / 4 + rng.normal(0, SCALE, (4, 3)))
        cells = {(f"g{i}", str(m)): seen[m, i] for i in range(3) for m in range(4)}
        out = shares(total(answer("rides", cells), "rides", "gu"), "rides")
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


DRAWS = 1000


def drawn(seed: int, answer_id: str = "ans-rides", **truth: float) -> pd.DataFrame:
    """One answer with a gu for each draw and a "month" for each of `truth`: a thousand draws of a few cells."""
    rng = np.random.default_rng(seed)
    cells = {
        (str(draw), name): round(true + rng.normal(0, SCALE)) for draw in range(DRAWS) for name, true in truth.items()
    }  # fmt: skip
    frame = answer("rides", cells)
    frame.attrs[KEY] = frame.attrs[KEY] | {"answer_id": answer_id}
    return frame


def held(out: pd.DataFrame, name: str, truth: float) -> float:
    """How often the interval held the truth; where there is none, it claimed nothing."""
    inside = (out[f"{name}_low"] <= truth) & (truth <= out[f"{name}_high"])
    return float((inside | out["withheld"]).mean())


def only(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame[frame["month"].isin(names)]


@pytest.mark.parametrize(("top", "bottom"), [(9000.0, 6000.0), (300.0, 6000.0), (900.0, 600.0)])
def test_intervals_of_ratios_of_two_answers_cover_the_truth(top: float, bottom: float) -> None:
    a, b = drawn(1, x=top / 2, y=top / 2), drawn(2, "ans-other", x=bottom / 3, y=bottom / 3, z=bottom / 3)
    assert 0.93 <= held(ratio(a, b, by="gu"), "ratio", top / bottom) <= 0.98


def test_intervals_of_a_part_of_its_whole_know_that_they_share_noise() -> None:
    frame = drawn(3, women=3000, men=5000)
    women = only(frame, "women")
    assert 0.93 <= held(ratio(women, frame, by="gu"), "ratio", 0.375) <= 0.97
    assert 0.93 <= held(diff(frame, women, by="gu"), "diff", 5000) <= 0.97
    # The control: the same rows taken for another answer's.
    frame.attrs[KEY] = frame.attrs[KEY] | {"answer_id": "ans-other"}
    assert held(ratio(women, frame, by="gu"), "ratio", 0.375) > 0.97
    assert held(diff(frame, women, by="gu"), "diff", 5000) > 0.985


def test_intervals_of_totals_and_differences_cover_the_truth() -> None:
    frame = drawn(4, july=2000, august=2500, september=4000)
    assert 0.93 <= held(total(frame, by="gu"), "rides", 8500) <= 0.97
    later = diff(only(frame, "september"), only(frame, "july", "august"), by="gu")
    assert 0.93 <= held(later, "diff", -500) <= 0.97
    other = drawn(5, "ans-other", may=1000)
    assert 0.93 <= held(diff(only(frame, "july"), other, by="gu"), "diff", 1000) <= 0.97


def test_whole_numbers_with_little_noise_are_covered_too() -> None:
    # At σ 3.05 an interval of 1.96 σ holds eleven whole numbers and the truth in 93 % of draws.
    noise = np.round(np.random.default_rng(10).normal(0, 3.05, DRAWS))
    frame = answer("rides", {(str(n), "1"): 50 + each for n, each in enumerate(noise)}, scale=3.05)
    assert held(total(frame, by="gu"), "rides", 50) >= 0.94


def test_a_divisor_within_its_own_noise_gives_no_ratio() -> None:
    out = ratio(drawn(6, x=5000), drawn(7, "ans-other", x=150), by="gu")
    assert 0.3 < out["withheld"].mean() < 1 and held(out, "ratio", 5000 / 150) >= 0.93
    assert out.loc[out["withheld"], ["ratio", "ratio_low", "ratio_high"]].isna().all(axis=None)
    kept = out[~out["withheld"]]
    assert (kept["ratio_low"] <= kept["ratio"]).all() and (kept["ratio"] <= kept["ratio_high"]).all()


def test_what_cancels_is_exact() -> None:
    frame = answer("rides", {("a", "1"): 500, ("a", "2"): 700})
    out = diff(frame, frame)
    assert out[["diff", "diff_low", "diff_high"]].iloc[0].tolist() == [0, 0, 0]
    assert ratio(frame, frame)[["ratio", "ratio_low", "ratio_high"]].iloc[0].tolist() == pytest.approx(
        [1, 1, 1]
    )


def test_missing_cells_are_counted_named_and_said_first() -> None:
    frame = answer(
        "rides", {("a", "1"): 500, ("a", "2"): None, ("b", "1"): 900, ("b", "2"): 8000, ("c", "1"): 5}
    )
    frame.attrs[KEY] |= {"unit": "person", "minimum": 10}
    summed = total(frame, by="gu")
    assert summed.attrs[KEY]["missing"] == ["a 2"]
    assert "lacks 1 withheld cells: a 2" in repr(summed)
    out = ratio(only(frame, "1"), only(frame, "2"), by="gu").set_index("gu")
    assert out["missing"].to_dict() == {"a": 1, "b": 0, "c": 0}
    assert out["withheld"].to_dict() == {"a": True, "b": False, "c": True}
    short = complete(diff(frame, only(frame, "1"), by="gu"), "diff").set_index("gu")
    assert short["withheld"].to_dict() == {"a": True, "b": False, "c": False} and np.isnan(
        short.loc["a", "diff"]
    )


def test_rides_for_each_rider_of_one_answer() -> None:
    frame = answer("rides", {("a", "1"): 9000, ("b", "1"): 4000})
    frame["riders"] = pd.array([3000, 2000], dtype="Int64")
    frame.attrs[KEY]["measures"]["riders"] = {"fn": "persons", "rho": 1, "scale": "32.0", "margin": 62}
    out = ratio(frame, frame, "rides", "riders", by="gu")
    assert out["ratio"].tolist() == [3, 2]
    with pytest.raises(FrameUnsuitable):
        ratio(frame, frame, "rides", "riders")  # people of two gu are not two people
    with pytest.raises(FrameUnsuitable):
        total(frame)  # which of the two?


def test_rows_that_cannot_be_told_apart_are_refused() -> None:
    frame = answer("rides", {("a", "1"): 500, ("a", "2"): 700})
    twice = pd.concat([frame, frame])
    assert KEY in twice.attrs, "pandas keeps what all parts agree on"
    with pytest.raises(FrameUnsuitable):
        total(twice)
    with pytest.raises(FrameUnsuitable):
        diff(frame.drop(columns="month"), frame, by="gu")
    with pytest.raises(FrameUnsuitable):
        diff(total(frame, by="gu"), frame, by="gu")


def test_combined_tables_keep_where_they_come_from() -> None:
    a, b = drawn(8, x=100), drawn(9, "ans-other", x=100)
    b.attrs[KEY] = b.attrs[KEY] | {"synthetic": False}
    for out in (ratio(a, b, by="gu"), diff(a, b, by="gu")):
        assert out.attrs[KEY]["answer_id"] == "ans-rides, ans-other" and out.attrs[KEY]["synthetic"]
