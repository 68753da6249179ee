"""The promise of `methods.parks`: ranges hold the truth, and a drift before the opening is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from civic_kernel.frames import KEY
from civic_kernel.methods import parks
from tests.methods.conftest import Draws

QUARTERS = [year * 10 + quarter for year in (2023, 2024, 2025) for quarter in (1, 2, 3, 4)]
EFFECT = 0.08
ORIGIN = {"language": "ko", "lane": "open", "measures": {}, "keys": [], "lost": {}}


def labelled(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    frame.attrs[KEY] = ORIGIN | {"answer_id": f"ans-{name}"}
    return frame


def city(
    rng: np.random.Generator, drift: float = 0.0, effect: float = EFFECT
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Five openings at three moments, thirty areas around each; shocks of an area last from quarter to quarter."""
    centres = np.arange(5)[:, None] * np.array([6000.0, 0.0])
    opened = [20241, 20243, 20241, 20242, 20243]
    where = np.repeat(np.arange(5), 30)
    metres, angle = np.sqrt(rng.uniform(50**2, 1150**2, 150)), rng.uniform(0, 2 * np.pi, 150)
    xy = centres[where] + metres[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shock = np.zeros((150, len(QUARTERS)))
    for q in range(len(QUARTERS)):
        shock[:, q] = (0.6 * shock[:, q - 1] if q else 0) + rng.normal(0, 0.08, 150)
    since = np.arange(len(QUARTERS)) - np.array([QUARTERS.index(o) for o in opened])[where][:, None]
    near = (metres < parks.NEAR)[:, None]
    level = 18 + rng.normal(0, 0.8, (150, 1)) + rng.normal(0, 0.05, len(QUARTERS)) + shock
    level = level + near * (effect * (since >= 0) + drift * since)
    ids = [f"a{n}" for n in range(150)]
    sales = pd.DataFrame(
        [(a, q, np.exp(level[i, j])) for i, a in enumerate(ids) for j, q in enumerate(QUARTERS)],
        columns=["area", "quarter", "sales"],
    )
    areas = pd.DataFrame({"area": ids, "x": xy[:, 0], "y": xy[:, 1]})
    openings = pd.DataFrame(
        {"park": [f"p{n}" for n in range(5)], "x": centres[:, 0], "y": centres[:, 1], "opened": opened}
    )
    return labelled(sales, "sales"), labelled(areas, "areas"), labelled(openings, "parks")


def test_ranges_hold_the_truth(draws: Draws) -> None:
    rng = np.random.default_rng(11)
    held: dict[str, list[float]] = {name: [] for name in ("opening", "quarters")}
    alarms = []
    for _ in range(draws.count):
        rows = parks.stack(*city(rng))
        one, each = parks.opening_effect(rows), parks.event_study(rows)
        true = 100 * np.expm1(EFFECT * (each["since"] >= 0))
        held["opening"].append(
            float(one["value_low"].iloc[0] <= 100 * np.expm1(EFFECT) <= one["value_high"].iloc[0])
        )
        held["quarters"].append(float(((each["value_low"] <= true) & (true <= each["value_high"])).mean()))
        alarms.append(parks.pre_trend(rows).p < 0.05)
    for name, found in held.items():
        draws.check(name, np.array(found))
    assert np.mean(alarms) <= 0.05 + 3 * (0.05 / draws.count) ** 0.5


def test_a_drift_before_the_opening_is_seen() -> None:
    rows = parks.stack(*city(np.random.default_rng(3), drift=0.06))
    assert parks.pre_trend(rows).p < 0.01
    before = parks.event_study(rows).set_index("since").loc[-4]
    assert before["value_high"] < 0


def test_nearer_bands_are_told_from_further_ones() -> None:
    bands = parks.by_distance(parks.stack(*city(np.random.default_rng(4), effect=0.3)), [0, 400, 800])
    assert list(bands["band"]) == ["0–400", "400–800"]
    near, further = bands.to_dict("records")
    assert near["value_low"] > 0 and further["value_low"] < 0 < further["value_high"]


def test_an_area_near_another_opening_is_no_comparison() -> None:
    sales, areas, openings = city(np.random.default_rng(5))
    second = openings.iloc[:1].assign(park="p9", x=1000.0, opened=20242)
    both = labelled(pd.concat([openings, second], ignore_index=True), "parks")
    alone, beside = parks.stack(sales, areas, openings), parks.stack(sales, areas, both)
    kept = beside.loc[beside["event"] == "p0", "area"].nunique()
    assert 0 < kept < alone.loc[alone["event"] == "p0", "area"].nunique()


@pytest.mark.parametrize("code", [2024, "20245", 20240])
def test_what_is_no_quarter_is_refused(code: int | str) -> None:
    with pytest.raises(ValueError, match="quarter"):
        parks.quarter_number(code)
