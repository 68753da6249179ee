"""The promise of `methods.meals`, over privacy noise as the gateway draws it, counted before anything is withheld."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from civic_kernel.frames import KEY
from civic_kernel.methods import meals
from civic_kernel.places import dong_table
from tests.methods.conftest import Draws

#: Row bound 10: a count at ρ 0.015 and at 0.005, children at ρ 0.03.
COUNT_SD, ROUGH_SD, PERSONS_SD = 10 / 0.03**0.5, 10 / 0.01**0.5, 10**0.5 / 0.06**0.5
OPEN = {"language": "ko", "lane": "open", "measures": {}, "keys": [], "lost": {}}


def answer(
    key: str, values: list[str], measure: str, numbers: np.ndarray, sd: float, name: str
) -> pd.DataFrame:
    """A frame as an answer gives it, nothing withheld."""
    frame = pd.DataFrame({key: values, measure: numbers.astype(float), "withheld": False})
    frame.attrs[KEY] = {
        "answer_id": f"ans-{name}", "noise_of": [f"ans-{name}"], "language": "ko", "lane": "private",
        "keys": [key], "measures": {measure: {"fn": "count", "scale": str(sd)}}, "lost": {},
    }  # fmt: skip
    return frame


def test_ranges_hold_the_truth(draws: Draws) -> None:
    rng = np.random.default_rng(7)
    gu = [f"{n}구" for n in range(25)]
    whole = rng.integers(800, 12_000, 25)
    part = rng.binomial(whole, 0.45)
    places = _places(rng)
    children = np.where(meals.nearest(places) > 1, rng.integers(5, 250, len(places)), 0)
    true, _ = meals._gains(children.astype(float), np.full(len(places), True), places, 1.0)
    gain = pd.Series(true, index=places["code"])
    held: dict[str, list[float]] = {name: [] for name in ("share", "rough share", "gain")}
    for _ in range(draws.count):
        for name, sd in (("share", COUNT_SD), ("rough share", ROUGH_SD)):
            seen = [np.round(n + rng.normal(0, sd, 25)) for n in (part, whole)]
            frames = [answer("gu", gu, "uses", n, sd, f"{i}") for i, n in enumerate(seen)]
            out = meals.part_share(*frames, "gu", "uses")
            held[name].append(
                float(
                    (
                        (out["share_low"] <= 100 * part / whole) & (100 * part / whole <= out["share_high"])
                    ).mean()
                )
            )
        noisy = np.round(children + rng.normal(0, PERSONS_SD, len(places)))
        asked = answer("home_dong", list(places["code"]), "children", noisy, PERSONS_SD, "dong")
        found = meals.new_places(asked, places).set_index("code")
        inside = (found["gain_low"] <= gain[found.index]) & (gain[found.index] <= found["gain_high"])
        held["gain"].append(float(inside.mean()))
    for name, values in held.items():
        draws.check(name, np.array(values))


def _places(rng: np.random.Generator) -> pd.DataFrame:
    out = pd.DataFrame(dong_table(), columns=["code", "gu", "dong", "x", "y", "km2"])
    out["meals"] = rng.integers(1, 6, len(out))
    # Three stretches of the city without any.
    for centre in (120, 300, 420):
        near = np.hypot(out["x"] - out["x"][centre], out["y"] - out["y"][centre]) < 2.0
        out.loc[near, "meals"] = 0
    out.attrs[KEY] = OPEN | {"answer_id": "ans-shops"}
    return out


def test_a_merchant_stands_where_its_address_says_in_its_own_gu() -> None:
    rows = [
        ("한식", "강남구", "서울특별시 강남구 가상로 1, 1층 (신사동)"),
        ("분식", "은평구", "서울특별시 은평구 가상로 2 (신사동, 가상빌딩)"),
        ("한식", "강남구", "서울특별시 강남구 가상로 3 (화양동)"),
        ("한식", "강남구", "서울특별시 강남구 가상로 4"),
        ("편의점", "강남구", "서울특별시 강남구 가상로 5 (신사동)"),
        ("한식", "영등포구", "서울특별시 영등포구 가상로 6 (당산동6가)"),
    ]
    frame = pd.DataFrame(rows, columns=["trade", "gu", "address"])
    frame.attrs[KEY] = OPEN | {"answer_id": "ans-x"}
    places = meals.merchants_by_dong(frame)
    assert len(places) == 467 and places.attrs["unplaced"] == 2
    found = places[places["meals"] > 0]
    assert set(zip(found["gu"], found["dong"], strict=True)) == {
        ("강남구", "신사동"), ("은평구", "신사동"), ("영등포구", "당산동6가"),
    }  # fmt: skip


def test_a_dong_that_is_withheld_counts_as_if_nobody_lived_there() -> None:
    places = _places(np.random.default_rng(1))
    codes = list(places["code"])
    asked = answer("home_dong", codes, "children", np.full(len(codes), 50), PERSONS_SD, "dong")
    all_shown = meals.new_places(asked, places)
    asked.loc[:, "children"] = np.nan
    asked["withheld"] = True
    assert len(meals.new_places(asked, places)) == 0 < len(all_shown)
    assert all_shown["gain"].is_monotonic_decreasing and bool(all_shown["clear"].iloc[0])


@pytest.mark.parametrize(("meals_there", "km"), [(1, 0.5), (4, 0.25)])
def test_inside_a_dong_the_distance_is_that_to_the_nearest_of_strewn_points(
    meals_there: int, km: float
) -> None:
    place = pd.DataFrame({"x": [0.0], "y": [0.0], "km2": [1.0], "meals": [meals_there]})
    assert meals.distances(place)[0, 0] == km
